//! Maps of namespaces: reloads, files that cannot be used, and large directories.

use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::{Value, json};
use support::{
    client::{Client, admin_get, first_image},
    program::Program,
    reviews::fixture,
    server::{await_ready, metric},
    tls::Protocol,
    volume::Volume,
    wait::eventually,
};

/// Starts the program with the map `default::cluster.io` and the maps of a directory.
fn serve(directory: &Path, flags: &[&str]) -> (Program, tempfile::TempDir) {
    let map = tempfile::tempdir().unwrap();
    let file = map.path().join("maps.conf");
    fs::write(&file, "default::cluster.io").unwrap();
    let arguments = [
        "--maps",
        file.to_str().unwrap(),
        "--namespace-maps-dir",
        directory.to_str().unwrap(),
        "--tls-mode",
        "self-signed",
    ];
    (Program::start(&[&arguments, flags].concat()), map)
}

/// Returns the image that replaces `busybox:1.36` of a pod in a namespace.
async fn image(program: &Program, namespace: &str) -> String {
    let mut review: Value = serde_json::from_str(&fixture("00-create-pod")).unwrap();
    review["request"]["namespace"] = json!(namespace);
    let mut client = Client::connect(program.address, Protocol::Http1).await.unwrap();
    first_image(&client.post(review.to_string()).await.unwrap())
}

async fn await_image(program: &Program, namespace: &str, expected: &str) {
    eventually(&format!("{expected} in {namespace}"), async || {
        (image(program, namespace).await == expected).then_some(())
    })
    .await;
}

async fn maps(program: &Program, state: &str) -> Option<f64> {
    let series = format!("imageswap_namespace_maps{{state=\"{state}\"}}");
    metric(program.admin_address, &series).await
}

async fn await_maps(program: &Program, in_use: f64, failing: f64) {
    eventually(&format!("{in_use} maps, {failing} failing"), async || {
        let found = (maps(program, "in-use").await?, maps(program, "failing").await?);
        (found == (in_use, failing)).then_some(())
    })
    .await;
}

/// Waits until the log has a line with a message that `matches`.
async fn await_line(program: &Program, message: &str, matches: impl Fn(&Value) -> bool) {
    eventually(message, async || {
        let is_found = |line: &Value| line["message"] == message && matches(line);
        program.lines().iter().any(is_found).then_some(())
    })
    .await;
}

const CLUSTER: &str = "cluster.io/library/busybox:1.36";

#[tokio::test]
async fn the_map_of_a_namespace_is_followed() {
    let mut volume = Volume::new();
    volume.write(&[("shop.conf", b"docker.io::shop.io"), ("team.conf", b"quay.io::quay.team.io")]);
    let (program, _map) = serve(volume.directory(), &[]);
    await_ready(program.admin_address).await;
    await_maps(&program, 2.0, 0.0).await;
    assert_eq!(image(&program, "shop").await, "shop.io/library/busybox:1.36");
    assert_eq!(image(&program, "team").await, CLUSTER);
    assert_eq!(image(&program, "other").await, CLUSTER);
    volume.write(&[("shop.conf", b"default::new.io"), ("other.conf", b"docker.io::")]);
    await_image(&program, "shop", "new.io/library/busybox:1.36").await;
    assert_eq!(maps(&program, "in-use").await, Some(2.0));
    let rules = "imageswap_map_rules{scope=\"namespace\",kind=\"default\"}";
    assert_eq!(metric(program.admin_address, rules).await, Some(1.0));
    volume.write(&[]);
    await_image(&program, "shop", CLUSTER).await;
    await_maps(&program, 0.0, 0.0).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_used_affects_its_namespace_only() {
    let mut volume = Volume::new();
    volume.write(&[("good.conf", b"default::good.io"), ("bad.conf", b"default::bad.io")]);
    let (program, _map) = serve(volume.directory(), &[]);
    await_maps(&program, 2.0, 0.0).await;
    let manifest = b"apiVersion: v1\nkind: ConfigMap\n";
    let large = vec![b'#'; 1024 * 1024 + 1];
    for (broken, reason) in [
        (&b""[..], "the map has no rules"),
        (b"nothing", "the map has no rules"),
        (manifest, "the file is a YAML or JSON manifest"),
        (b"default::x.io\n\xff", "not valid UTF-8"),
        (&large, "larger than 1048576 bytes"),
    ] {
        volume.write(&[
            ("good.conf", b"default::good.io"),
            ("bad.conf", broken),
            ("new.conf", broken),
        ]);
        await_maps(&program, 2.0, 2.0).await;
        let message = "namespace map failed, keeping the last good map";
        await_line(&program, message, |line| {
            line["namespace"] == "bad" && line["error"].as_str().unwrap().contains(reason)
        })
        .await;
        assert_eq!(image(&program, "bad").await, "bad.io/library/busybox:1.36");
        assert_eq!(image(&program, "good").await, "good.io/library/busybox:1.36");
        assert_eq!(image(&program, "new").await, CLUSTER);
        volume.write(&[("good.conf", b"default::good.io"), ("bad.conf", b"default::bad.io")]);
        await_maps(&program, 2.0, 0.0).await;
    }
}

#[tokio::test]
async fn names_that_are_no_namespaces_and_links_out_of_the_directory_are_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "default::secret.io").unwrap();
    symlink(&secret, directory.path().join("linked.conf")).unwrap();
    for name in ["Shop.conf", "shop", "a.b.conf", ".conf", "..data.conf"] {
        fs::write(directory.path().join(name), "default::wrong.io").unwrap();
    }
    fs::create_dir(directory.path().join("directory.conf")).unwrap();
    fs::write(directory.path().join("shop.conf"), "default::shop.io").unwrap();
    let (program, _map) = serve(directory.path(), &[]);
    await_maps(&program, 1.0, 2.0).await;
    assert_eq!(image(&program, "shop").await, "shop.io/library/busybox:1.36");
    for namespace in ["linked", "directory", "Shop", "a.b", ""] {
        assert_eq!(image(&program, namespace).await, CLUSTER, "{namespace}");
    }
    for name in ["Shop.conf", "a.b.conf", "shop"] {
        let file = directory.path().join(name).display().to_string();
        await_line(&program, "file is no map of a namespace", |line| line["file"] == *file).await;
    }
}

#[tokio::test]
async fn a_directory_may_come_later_and_go_again() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("maps");
    let (program, _map) = serve(&directory, &[]);
    await_ready(program.admin_address).await;
    assert_eq!(image(&program, "shop").await, CLUSTER);
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("shop.conf"), "default::shop.io").unwrap();
    await_image(&program, "shop", "shop.io/library/busybox:1.36").await;
    fs::rename(&directory, parent.path().join("gone")).unwrap();
    let message = "namespace maps cannot be read, keeping the last good maps";
    await_line(&program, message, |_| true).await;
    assert_eq!(image(&program, "shop").await, "shop.io/library/busybox:1.36");
    assert_eq!(admin_get(program.admin_address, "/readyz").await.status, 200);
}

#[tokio::test]
async fn legacy_mode_has_no_maps_of_namespaces() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("shop.conf"), "default::shop.io").unwrap();
    let program = Program::start(&[
        "--mode",
        "LEGACY",
        "--image-prefix",
        "legacy.io",
        "--namespace-maps-dir",
        directory.path().to_str().unwrap(),
        "--tls-mode",
        "self-signed",
    ]);
    await_ready(program.admin_address).await;
    assert_eq!(image(&program, "shop").await, "legacy.io/busybox:1.36");
}
