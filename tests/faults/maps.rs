//! All bad states of the volume with the map, under traffic.

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use support::{
    client::{Client, first_image},
    program::Program,
    reviews::fixture,
    server::{await_ready, metric},
    tls::Protocol,
    volume::Volume,
    wait::eventually,
};

use crate::{alone, process::Usage, report, scaled, traffic::Traffic};

const FILE: &str = "maps.conf";

/// Maximum size of a map in bytes.
const MAX_MAP_BYTES: usize = 16 * 1024 * 1024;

const GOOD: &[u8] = b"default::good.io";

/// The image that replaces the first image of the pod.
const GOOD_IMAGE: &str = "good.io/library/busybox:1.36";

/// A name, and a function that makes the file bad.
type Fault = (&'static str, fn(&Path));

fn serving(volume: &Volume) -> Program {
    let file = volume.directory().join(FILE);
    Program::start(&["--maps", file.to_str().unwrap(), "--tls-mode", "self-signed"])
}

/// Waits until so many loads with this result were counted.
async fn await_reloads(program: &Program, result: &str, count: usize, what: &str) {
    eventually(what, async || (reloads(program, result).await >= count).then_some(())).await;
}

async fn reloads(program: &Program, result: &str) -> usize {
    let name = format!("imageswap_map_reloads_total{{result=\"{result}\"}}");
    let count = metric(program.admin_address, &name).await.unwrap();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a count")]
    let count = count as usize;
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_or_unreadable_map_leaves_the_last_one_in_use() {
    let _alone = alone().await;
    let mut volume = Volume::new();
    volume.write(&[(FILE, GOOD)]);
    let program = serving(&volume);
    await_ready(program.admin_address).await;
    let traffic = Traffic::start(program.address, GOOD_IMAGE);
    let file = volume.directory().join(FILE);
    let faults: [Fault; 6] = [
        ("deleted", |_| {}),
        ("a directory", |file| fs::create_dir(file).unwrap()),
        ("a link to nothing", |file| symlink("nothing", file).unwrap()),
        ("a link to itself", |file| symlink(FILE, file).unwrap()),
        ("a pipe that nobody writes", |file| {
            assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
        }),
        ("not permitted", |file| {
            let other = file.with_extension("other");
            fs::write(&other, "default::bad.io").unwrap();
            fs::set_permissions(&other, fs::Permissions::from_mode(0o0)).unwrap();
            // Root may read files without permissions. A path that is too long is unreadable for root too.
            if File::open(&other).is_ok() {
                fs::remove_file(other).unwrap();
                symlink("x".repeat(256), file).unwrap();
            } else {
                fs::rename(other, file).unwrap();
            }
        }),
    ];
    for (name, make) in faults {
        let (good, bad) = (reloads(&program, "applied").await, reloads(&program, "failed").await);
        remove(&file);
        make(&file);
        await_reloads(&program, "failed", bad + 1, name).await;
        traffic.await_answers(50).await;
        remove(&file);
        // Different content with the same rule, to show that the file was read.
        volume.write(&[(FILE, format!("default::good.io # after {name}").as_bytes())]);
        await_reloads(&program, "applied", good + 1, name).await;
        traffic.await_answers(50).await;
    }
    let (good, bad) = (reloads(&program, "applied").await, reloads(&program, "failed").await);
    volume.replace();
    await_reloads(&program, "failed", bad + 1, "without the volume").await;
    traffic.await_answers(50).await;
    volume.write(&[(FILE, b"default::good.io # once more")]);
    await_reloads(&program, "applied", good + 1, "the volume is back").await;
    traffic.await_answers(50).await;
    let seen = traffic.finish().await;
    seen.assert_complete();
    let usage = Usage::of(&program);
    usage.assert_peak_below(128);
    report(
        "a_missing_or_unreadable_map_leaves_the_last_one_in_use",
        format!("{} faults: {seen}; {usage}", faults.len() + 1),
    );
}

fn remove(file: &Path) {
    if file.is_dir() && !file.is_symlink() {
        fs::remove_dir(file).unwrap();
    } else if file.is_symlink() || file.exists() {
        fs::remove_file(file).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_at_the_limit_applies_and_one_byte_more_is_refused() {
    let _alone = alone().await;
    let mut volume = Volume::new();
    volume.write(&[(FILE, GOOD)]);
    let program = serving(&volume);
    await_ready(program.admin_address).await;
    let traffic = Traffic::checked(program.address, |image| {
        [GOOD_IMAGE, "full.io/library/busybox:1.36"].contains(&image)
    });
    // Only the full test fills the map with rules: to compile that many takes long without optimization.
    let rules = scaled(2_000, usize::MAX);
    let mut full = full_map(rules);
    let before = Instant::now();
    volume.write(&[(FILE, &full)]);
    await_reloads(&program, "applied", 2, "the full map").await;
    let loaded = before.elapsed();
    traffic.await_answers(100).await;
    full.push(b'\n');
    volume.write(&[(FILE, &full)]);
    await_reloads(&program, "failed", 1, "the byte too many").await;
    program.await_log("keeping the last good map").await;
    traffic.await_answers(100).await;
    volume.write(&[(FILE, GOOD)]);
    await_reloads(&program, "applied", 3, "the small map").await;
    traffic.await_answers(100).await;
    let rules = memchr::memchr_iter(b'\n', &full).count() - 1;
    let seen = traffic.finish().await;
    seen.assert_complete();
    let usage = Usage::of(&program);
    usage.assert_peak_below(1024);
    report(
        "a_map_at_the_limit_applies_and_one_byte_more_is_refused",
        format!("{rules} rules in use after {loaded:.1?}: {seen}; {usage}"),
    );
}

/// Returns a map of exactly the maximum size: as many rules as fit, up to `most`, and a comment.
fn full_map(most: usize) -> Vec<u8> {
    let mut map = b"default::full.io\n".to_vec();
    for number in 0..most {
        let rule = format!("registry-{number}.example.com/team::mirror.example.com/m{number}\n");
        if map.len() + rule.len() > MAX_MAP_BYTES {
            break;
        }
        map.extend(rule.as_bytes());
    }
    map.resize(MAX_MAP_BYTES, b'#');
    map
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_that_changes_constantly_fails_no_request() {
    let _alone = alone().await;
    let swaps = scaled(100, 1000);
    let duration = Duration::from_secs(scaled(5, 60) as u64);
    let mut volume = Volume::new();
    let write = |volume: &mut Volume, version: usize| {
        volume.write(&[(FILE, format!("default::v{version}.io").as_bytes())]);
    };
    write(&mut volume, 0);
    let program = serving(&volume);
    await_ready(program.admin_address).await;
    let traffic = Traffic::checked(program.address, |image| {
        let version = image.strip_prefix('v').and_then(|rest| rest.split_once('.'));
        version.is_some_and(|(version, rest)| {
            version.parse::<usize>().is_ok() && rest == "io/library/busybox:1.36"
        })
    });
    let mut pace = tokio::time::interval(duration / u32::try_from(swaps).unwrap());
    for version in 1..=swaps {
        pace.tick().await;
        write(&mut volume, version);
    }
    let last = Instant::now();
    let newest = format!("v{swaps}.io/library/busybox:1.36");
    let address = program.address;
    eventually("the last map", async || {
        let mut client = Client::connect(address, Protocol::Http2).await.unwrap();
        let answer = client.post(fixture("00-create-pod")).await.unwrap();
        (first_image(&answer) == newest).then_some(())
    })
    .await;
    let applied = last.elapsed();
    let seen = traffic.finish().await;
    seen.assert_complete();
    let usage = Usage::of(&program);
    usage.assert_peak_below(128);
    let loads = reloads(&program, "applied").await;
    let failed = reloads(&program, "failed").await;
    report(
        "a_map_that_changes_constantly_fails_no_request",
        format!(
            "{swaps} swaps in {duration:?}, {loads} loads, {failed} failed, the last in use after \
             {applied:.1?}: {seen}; {usage}"
        ),
    );
}
