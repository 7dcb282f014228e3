//! Metrics that describe a replica: its readiness, its map and its last loads.

use std::net::SocketAddr;

use support::{
    certificates::Pair,
    program::Program,
    server::{await_ready, metric},
    volume::Volume,
    wait::eventually,
};

const MAP: &[u8] = b"default::one.example.com";

/// Starts a replica with the map of one volume and the certificate of another.
fn start(maps: &Volume, certificates: &Volume) -> Program {
    let file = maps.directory().join("maps.conf");
    let directory = certificates.directory().to_str().unwrap();
    let maps = file.to_str().unwrap();
    Program::start(&["--maps", maps, "--tls-mode", "files", "--tls-dir", directory])
}

async fn await_metric(admin: SocketAddr, series: &str, value: f64) {
    eventually(&format!("{series} {value}"), async || {
        (metric(admin, series).await == Some(value)).then_some(())
    })
    .await;
}

async fn hash(replica: &Program) -> Option<f64> {
    metric(replica.admin_address, "imageswap_map_hash").await
}

#[tokio::test]
async fn replicas_have_the_same_hash_as_long_as_they_use_the_same_map() {
    let (mut maps, mut other_maps, mut certificates) =
        (Volume::new(), Volume::new(), Volume::new());
    maps.write(&[("maps.conf", MAP)]);
    other_maps.write(&[("maps.conf", MAP)]);
    certificates.write(&Pair::make().files());
    let (first, second) = (start(&maps, &certificates), start(&other_maps, &certificates));
    for replica in [&first, &second] {
        await_ready(replica.admin_address).await;
    }
    let before = hash(&first).await;
    assert!(before.is_some());
    assert_eq!(hash(&second).await, before);
    // The number of rules is the same; only a target differs.
    other_maps.write(&[("maps.conf", b"default::two.example.com")]);
    eventually("another hash", async || (hash(&second).await != before).then_some(())).await;
    assert_eq!(hash(&first).await, before);
    maps.write(&[("maps.conf", b"default::two.example.com")]);
    let after = hash(&second).await.unwrap();
    await_metric(first.admin_address, "imageswap_map_hash", after).await;
}

#[tokio::test]
async fn a_failing_load_is_visible_until_a_load_succeeds() {
    const FAILING: &str = "imageswap_load_failing{subject=\"map\"}";
    let (mut maps, mut certificates) = (Volume::new(), Volume::new());
    maps.write(&[("maps.conf", MAP)]);
    certificates.write(&Pair::make().files());
    let replica = start(&maps, &certificates);
    let admin = replica.admin_address;
    await_metric(admin, FAILING, 0.0).await;
    let before = hash(&replica).await;
    // Refused, and not readable.
    for (name, content) in [("maps.conf", &b""[..]), ("maps.conf", b"\xff"), ("other", MAP)] {
        if name == "other" {
            maps.replace();
        }
        maps.write(&[(name, content)]);
        await_metric(admin, FAILING, 1.0).await;
        assert_eq!(hash(&replica).await, before);
        maps.write(&[("maps.conf", MAP)]);
        await_metric(admin, FAILING, 0.0).await;
    }
    assert_eq!(metric(admin, "imageswap_load_failing{subject=\"certificate\"}").await, Some(0.0));
}

#[tokio::test]
async fn a_replica_is_ready_when_it_has_a_map_and_a_certificate() {
    const READY: &str = "imageswap_ready";
    let (mut maps, mut certificates) = (Volume::new(), Volume::new());
    certificates.write(&Pair::make().files());
    let replica = start(&maps, &certificates);
    let admin = replica.admin_address;
    await_metric(admin, "imageswap_load_failing{subject=\"map\"}", 1.0).await;
    assert_eq!(metric(admin, READY).await, Some(0.0));
    assert_eq!(metric(admin, "imageswap_map_hash").await, None);
    maps.write(&[("maps.conf", MAP)]);
    await_metric(admin, READY, 1.0).await;
    let series =
        ["imageswap_tls_not_before_timestamp_seconds", "imageswap_tls_not_after_timestamp_seconds"];
    let [begin, end] =
        [metric(admin, series[0]).await.unwrap(), metric(admin, series[1]).await.unwrap()];
    assert!(begin < end, "{begin} {end}");
    // Without a cluster nobody knows if there is a webhook configuration.
    assert_eq!(metric(admin, "imageswap_webhook_configuration_present").await, None);
}
