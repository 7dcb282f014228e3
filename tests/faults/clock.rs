//! A system clock that jumps, under traffic.
//!
//! The tests use `libfaketime`, which replaces the clock of the program. As on a real system, the monotonic clock,
//! which measures timeouts, does not jump. The tests need the feature `faketime`, because the library must be
//! installed.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use support::{
    client::{Client, admin_get, first_image},
    program::{self, ANY_PORT, Program},
    reviews::fixture,
    server::{await_ready, metric},
    tls::PROTOCOLS,
    volume::Volume,
    wait::eventually,
};
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{alone, process::Usage, report, scaled, traffic::Traffic};

/// Path of the library, unless `IMAGESWAP_FAKETIME` contains another.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// Jumps, in days from the real time: to after the expiry of all certificates, to before their validity, and back.
const JUMPS: [i64; 6] = [400, -400, 1, -1, 20_000, 0];

/// Starts the program with a clock that differs by the content of `clock`, such as `+400d`.
fn serving(clock: &Path, map: &Path) -> Program {
    let library = std::env::var("IMAGESWAP_FAKETIME").unwrap_or_else(|_| LIBRARY.to_owned());
    assert!(Path::new(&library).exists(), "{library} is there; IMAGESWAP_FAKETIME names another");
    let mut launcher = Command::new("env");
    launcher
        .arg(format!("LD_PRELOAD={library}"))
        .arg(format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()))
        .args(["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"])
        .arg(program::path());
    let map = map.to_str().unwrap();
    Program::launch(launcher, [ANY_PORT; 2], &["--maps", map, "--tls-mode", "self-signed"])
}

/// Returns the current date of the program.
async fn today(program: &Program) -> Date {
    let page = admin_get(program.admin_address, "/healthz").await.body;
    let page: Value = serde_json::from_str(&page).unwrap();
    OffsetDateTime::parse(page["date_time"].as_str().unwrap(), &Rfc3339).unwrap().date()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clock_jumps_do_not_affect_requests_and_reloads() {
    let _alone = alone().await;
    let rounds = scaled(1, 5);
    let directory = tempfile::tempdir().unwrap();
    let clock = directory.path().join("clock");
    let turn = |days: i64| {
        // Renamed into place, so that the library never reads a part of it.
        let next = directory.path().join("next");
        fs::write(&next, format!("{days:+}d\n")).unwrap();
        fs::rename(&next, &clock).unwrap();
    };
    turn(0);
    let mut volume = Volume::new();
    let write = |volume: &mut Volume, version: usize| {
        volume.write(&[("maps.conf", format!("default::good.io # {version}").as_bytes())]);
    };
    write(&mut volume, 0);
    let program = serving(&clock, &volume.directory().join("maps.conf"));
    await_ready(program.admin_address).await;
    let traffic = Traffic::start(program.address, "good.io/library/busybox:1.36");
    let mut idle = Vec::new();
    for protocol in PROTOCOLS {
        idle.push(Client::connect(program.address, protocol).await.unwrap());
    }
    for (version, days) in (1..).zip(JUMPS.repeat(rounds)) {
        turn(days);
        let expected = OffsetDateTime::now_utc().date() + time::Duration::days(days);
        eventually("the new date", async || {
            // Midnight may have passed in the meantime.
            let today = today(&program).await;
            (today == expected || Some(today) == expected.next_day()).then_some(())
        })
        .await;
        traffic.await_answers(100).await;
        // Open connections do not count as idle for days.
        for client in &mut idle {
            let answer = client.post(fixture("00-create-pod")).await.unwrap();
            assert_eq!(first_image(&answer), "good.io/library/busybox:1.36");
        }
        write(&mut volume, version);
        eventually("the reload", async || {
            let applied = "imageswap_map_reloads_total{result=\"applied\"}";
            let applied = metric(program.admin_address, applied).await.unwrap();
            #[expect(clippy::cast_precision_loss, reason = "a count of a test")]
            (applied > version as f64).then_some(())
        })
        .await;
    }
    let seen = traffic.finish().await;
    seen.assert_complete();
    report(
        "clock_jumps_do_not_affect_requests_and_reloads",
        format!("{} jumps: {seen}; {}", JUMPS.len() * rounds, Usage::of(&program)),
    );
}
