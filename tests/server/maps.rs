//! Refused maps: the next review, `/readyz`, `/metrics` and the log.

use std::net::SocketAddr;

use support::{
    client::{Client, admin_get, first_image},
    program::Program,
    reviews::fixture,
    server::{await_ready, metric},
    tls::Protocol,
    volume::Volume,
    wait::eventually,
};

use crate::logs::await_log_with;

const GOOD: &str = "default::good.io";
const MANIFEST: &str = "apiVersion: v1\nkind: ConfigMap\ndata:\n  maps: |\n    default::d.io\n";

const NO_RULES: &str = "the map has no rules; write `default::` to leave all images alone";
const NOT_A_MAP: &str = "the file is a YAML or JSON manifest, not a map";
const NO_DEFAULT: &str = "the map has no valid `default`, but the map in use has one";
const ERRORS: &str = "the map has errors, and IMAGESWAP_STRICT_MAPS is set";

/// Maps that never replace a good one, with the reason of a lenient and of a strict webhook.
const REFUSED: [(&str, &str, &str); 6] = [
    ("", NO_RULES, NO_RULES),
    ("# default::d.io\n\n", NO_RULES, NO_RULES),
    ("this is not\na map", NO_RULES, NO_RULES),
    (MANIFEST, NOT_A_MAP, NOT_A_MAP),
    ("quay.io::quay.good.io", NO_DEFAULT, ERRORS),
    ("default::https://good.io", NO_DEFAULT, ERRORS),
];

/// Starts the program with the map of a volume.
fn serve(volume: &Volume, flags: &[&str]) -> Program {
    let file = volume.directory().join("maps.conf");
    let arguments = ["--maps", file.to_str().unwrap(), "--tls-mode", "self-signed"];
    Program::start(&[&arguments, flags].concat())
}

async fn reloads(admin: SocketAddr, result: &str) -> Option<f64> {
    metric(admin, &format!("imageswap_map_reloads_total{{result=\"{result}\"}}")).await
}

/// Returns the image that replaces `busybox:1.36` of the captured pod.
async fn image(address: SocketAddr) -> String {
    let mut client = Client::connect(address, Protocol::Http1).await.unwrap();
    first_image(&client.post(fixture("00-create-pod")).await.unwrap())
}

#[tokio::test]
async fn a_refused_map_leaves_the_last_good_one_in_use() {
    for is_strict in [false, true] {
        let mut volume = Volume::new();
        volume.write(&[("maps.conf", GOOD.as_bytes())]);
        let program = serve(&volume, if is_strict { &["--strict-maps"] } else { &[] });
        let admin = program.admin_address;
        await_ready(admin).await;
        for (count, (map, lenient, strict)) in (1_u8..).zip(REFUSED) {
            volume.write(&[("maps.conf", map.as_bytes())]);
            eventually(map, async || {
                (reloads(admin, "refused").await == Some(f64::from(count))).then_some(())
            })
            .await;
            let reason = if is_strict { strict } else { lenient };
            await_log_with(
                &program,
                "map reload refused, keeping the last good map",
                "reason",
                reason,
            )
            .await;
            assert_eq!(image(program.address).await, "good.io/library/busybox:1.36", "{map}");
            assert_eq!(admin_get(admin, "/readyz").await.status, 200, "{map}");
            let rules = "imageswap_map_rules{scope=\"cluster\",kind=\"default\"}";
            assert_eq!(metric(admin, rules).await, Some(1.0), "{map}");
        }
        assert_eq!(reloads(admin, "applied").await, Some(1.0));
        volume.write(&[("maps.conf", b"default::better.io")]);
        eventually("the next good map", async || {
            (reloads(admin, "applied").await == Some(2.0)).then_some(())
        })
        .await;
        assert_eq!(image(program.address).await, "better.io/library/busybox:1.36");
    }
}

#[tokio::test]
async fn a_strict_start_waits_for_a_map_without_errors() {
    for (map, _, reason) in REFUSED {
        let mut volume = Volume::new();
        volume.write(&[("maps.conf", map.as_bytes())]);
        let program = serve(&volume, &["--strict-maps"]);
        let admin = program.admin_address;
        await_log_with(&program, "map refused, no map in use", "reason", reason).await;
        let readiness = admin_get(admin, "/readyz").await;
        assert_eq!(readiness.status, 503, "{map}");
        assert!(
            readiness.body.contains(&format!("maps.conf is refused: {reason}")),
            "{readiness:?}"
        );
        assert_eq!(reloads(admin, "refused").await, Some(1.0));
        let mut client = Client::connect(program.address, Protocol::Http1).await.unwrap();
        let answer = client.post(fixture("00-create-pod")).await.unwrap();
        assert_eq!(answer.status, 503, "{map}");
        volume.write(&[("maps.conf", GOOD.as_bytes())]);
        await_ready(admin).await;
        assert_eq!(image(program.address).await, "good.io/library/busybox:1.36");
    }
}

#[tokio::test]
async fn a_map_without_default_applies_at_start_with_a_warning() {
    for (map, message) in [
        ("[EXACT]docker.io/library/busybox:1.36::x.io/box", "the map has no `default`"),
        (
            "default::https://d.io\ndocker.io/library::x.io/box",
            "`https://d.io` makes no valid image reference",
        ),
    ] {
        let mut volume = Volume::new();
        volume.write(&[("maps.conf", map.as_bytes())]);
        let program = serve(&volume, &[]);
        await_ready(program.admin_address).await;
        program.await_log(message).await;
        assert!(image(program.address).await.starts_with("x.io/box"), "{map}");
        let errors = "imageswap_map_diagnostics{severity=\"error\"}";
        assert_eq!(metric(program.admin_address, errors).await, Some(1.0));
        // Another map without a default may replace it: there is no good default to lose.
        volume.write(&[("maps.conf", map.replace("x.io", "y.io").as_bytes())]);
        eventually(map, async || {
            (reloads(program.admin_address, "applied").await == Some(2.0)).then_some(())
        })
        .await;
        assert!(image(program.address).await.starts_with("y.io/box"), "{map}");
    }
}

#[tokio::test]
async fn the_built_in_map_is_used_until_there_is_a_file() {
    let mut volume = Volume::new();
    let program = serve(&volume, &["--maps-optional"]);
    let admin = program.admin_address;
    await_ready(admin).await;
    let message = "no map file, using the built-in map";
    let hint = "no image is swapped until the file exists; in a cluster it is the key `maps` of \
                the ConfigMap imageswap-maps";
    await_log_with(&program, message, "hint", hint).await;
    let mut client = Client::connect(program.address, Protocol::Http1).await.unwrap();
    let answer = client.post(fixture("00-create-pod")).await.unwrap();
    assert!(answer.status == 200 && !answer.body.contains("patch"), "{answer:?}");
    let built_in = async || metric(admin, "imageswap_map_builtin").await;
    assert_eq!(built_in().await, Some(1.0));
    assert_eq!(
        metric(admin, "imageswap_map_rules{scope=\"cluster\",kind=\"default\"}").await,
        Some(1.0)
    );

    // A refused file leaves the built-in map in use.
    volume.write(&[("maps.conf", MANIFEST.as_bytes())]);
    await_log_with(&program, "map refused, keeping the built-in map", "reason", NOT_A_MAP).await;
    assert_eq!(admin_get(admin, "/readyz").await.status, 200);
    assert_eq!(built_in().await, Some(1.0));

    // The first file is treated as at a start, because it may have been created before or after the start.
    volume.write(&[("maps.conf", b"[EXACT]docker.io/library/busybox:1.36::x.io/box")]);
    eventually("the first file", async || (built_in().await == Some(0.0)).then_some(())).await;
    assert_eq!(image(program.address).await, "x.io/box");

    // A removed file leaves the last map in use.
    volume.replace();
    eventually("the loss", async || (reloads(admin, "failed").await == Some(1.0)).then_some(()))
        .await;
    assert_eq!(image(program.address).await, "x.io/box");
    assert_eq!(built_in().await, Some(0.0));
}

#[tokio::test]
async fn a_missing_map_that_is_not_optional_is_not_ready() {
    let volume = Volume::new();
    let program = serve(&volume, &[]);
    let admin = program.admin_address;
    program.await_log("map load failed, no map in use").await;
    let readiness = admin_get(admin, "/readyz").await;
    assert_eq!(readiness.status, 503);
    assert!(readiness.body.contains("No such file or directory"), "{readiness:?}");
    assert_eq!(metric(admin, "imageswap_map_builtin").await, Some(0.0));
}

#[tokio::test]
async fn a_map_that_comes_back_is_loaded_again() {
    const NO_TEXT: &[u8] = b"default::d.io\n\xff";
    for (flags, content, result, reason) in [
        (&[][..], MANIFEST.as_bytes(), "refused", NOT_A_MAP),
        (&["--maps-optional"], MANIFEST.as_bytes(), "refused", NOT_A_MAP),
        (&["--maps-optional"], NO_TEXT, "failed", "not valid UTF-8"),
    ] {
        let mut volume = Volume::new();
        volume.write(&[("maps.conf", content)]);
        let program = serve(&volume, flags);
        let admin = program.admin_address;
        // The answer of the probe until the first map is loaded.
        let says = async |text: &str| {
            eventually(text, async || {
                admin_get(admin, "/readyz").await.body.contains(text).then_some(())
            })
            .await;
        };
        says(reason).await;
        let before = reloads(admin, result).await.unwrap();
        volume.replace();
        if flags.is_empty() {
            says("No such file or directory").await;
        } else {
            await_ready(admin).await;
        }
        volume.write(&[("maps.conf", content)]);
        eventually("another load", async || {
            (reloads(admin, result).await == Some(before + 1.0)).then_some(())
        })
        .await;
        if flags.is_empty() {
            says(reason).await;
        }
    }
}
