//! Reloads of maps and certificates in a running server.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use imageswap::{
    app::App,
    settings::{CertificateOrigin, RuleSource, ServeSettings},
};
use support::{
    certificates::Pair,
    client::{Client, admin_get, first_image},
    program::Program,
    reviews::fixture,
    server::{await_ready, metric, settings},
    tls::{PROTOCOLS, Protocol},
    volume::Volume,
    wait::eventually,
};

const REQUESTS: usize = 10_000;
const MAP_SWAPS: usize = 20;
const CERTIFICATE_SWAPS: [usize; 2] = [7, 14];

/// The versions of the map from which answers may come.
#[derive(Default)]
struct Versions {
    /// The newest version that an answer has shown.
    confirmed: AtomicUsize,
    /// The newest version that was written.
    written: AtomicUsize,
    answers: AtomicUsize,
    swapped: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_maps_and_certificates_change() {
    let (mut maps, mut certificates) = (Volume::new(), Volume::new());
    maps.write(&[("maps.conf", b"default::v0.example.com")]);
    certificates.write(&Pair::make().files());
    let app = App::start(ServeSettings {
        certificate: CertificateOrigin::Files(certificates.directory().into()),
        ..settings(RuleSource::MapFile(maps.directory().join("maps.conf")))
    })
    .await
    .unwrap();
    let admin = app.admin_address();
    await_ready(admin).await;

    let versions = Arc::new(Versions::default());
    let clients: Vec<_> = PROTOCOLS
        .into_iter()
        .flat_map(|protocol| [protocol, protocol])
        .map(|protocol| tokio::spawn(ask(app.address(), protocol, versions.clone())))
        .collect();
    for version in 1..=MAP_SWAPS {
        versions.written.store(version, Ordering::SeqCst);
        maps.write(&[("maps.conf", format!("default::v{version}.example.com").as_bytes())]);
        if CERTIFICATE_SWAPS.contains(&version) {
            let pair = Pair::make();
            certificates.write(&pair.files());
            eventually("the new certificate", async || {
                let client = Client::connect(app.address(), Protocol::Http2).await.unwrap();
                (client.certificate.as_ref() == pair.der).then_some(())
            })
            .await;
        }
        eventually("the new map", async || {
            (versions.confirmed.load(Ordering::SeqCst) == version).then_some(())
        })
        .await;
        versions.swapped.fetch_add(1, Ordering::SeqCst);
    }
    for client in clients {
        client.await.unwrap();
    }
    assert!(versions.answers.load(Ordering::SeqCst) >= REQUESTS);
    let applied = |kind: &str| format!("imageswap_{kind}_reloads_total{{result=\"applied\"}}");
    assert_eq!(metric(admin, &applied("map")).await, Some(21.0));
    assert_eq!(metric(admin, &applied("tls")).await, Some(3.0));
}

/// Posts reviews until there were enough and all maps were seen. Each answer must come from a map that was in use
/// during the request.
async fn ask(address: SocketAddr, protocol: Protocol, versions: Arc<Versions>) {
    let review = fixture("00-create-pod");
    while versions.answers.load(Ordering::SeqCst) < REQUESTS
        || versions.swapped.load(Ordering::SeqCst) < MAP_SWAPS
    {
        // New connections from time to time, so that many of them receive each certificate.
        let mut client = Client::connect(address, protocol).await.unwrap();
        for _ in 0..100 {
            let oldest = versions.confirmed.load(Ordering::SeqCst);
            let answer = client.post(review.clone()).await.unwrap();
            let newest = versions.written.load(Ordering::SeqCst);
            let image = first_image(&answer);
            let (host, path) = image.split_once('/').unwrap();
            assert_eq!(path, "library/busybox:1.36");
            let version = host.strip_prefix('v').unwrap().strip_suffix(".example.com").unwrap();
            let version = version.parse().unwrap();
            assert!((oldest..=newest).contains(&version), "{version} not in {oldest}..={newest}");
            versions.confirmed.fetch_max(version, Ordering::SeqCst);
            versions.answers.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn an_invalid_map_leaves_the_last_one_in_use() {
    let mut volume = Volume::new();
    volume.write(&[("maps.conf", b"default::good.io")]);
    let file = volume.directory().join("maps.conf");
    let program = Program::start(&["--maps", file.to_str().unwrap(), "--tls-mode", "self-signed"]);
    let (address, admin) = (program.address, program.admin_address);
    await_ready(admin).await;
    assert_image_becomes(address, "good.io/library/busybox:1.36").await;

    let too_large = vec![b'#'; 16 * 1024 * 1024 + 1];
    let cases: [(&[u8], &str, &str); 3] = [
        (b"default::bad.io\n\xff\xfe", "failed", "map reload failed"),
        (b"this is not\na map", "refused", "map reload refused, keeping the last good map"),
        (&too_large, "failed", "map reload failed"),
    ];
    let mut failures = 0.0;
    for (content, result, message) in cases {
        volume.write(&[("maps.conf", content)]);
        let name = format!("imageswap_map_reloads_total{{result=\"{result}\"}}");
        let expected = if result == "failed" { failures + 1.0 } else { 1.0 };
        eventually(message, async || (metric(admin, &name).await == Some(expected)).then_some(()))
            .await;
        failures += if result == "failed" { 1.0 } else { 0.0 };
        program.await_log(message).await;
        assert_image_becomes(address, "good.io/library/busybox:1.36").await;
        assert_eq!(admin_get(admin, "/readyz").await.status, 200);
    }

    // A directory instead of the file.
    let file = volume.directory().join("maps.conf");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let failed = "imageswap_map_reloads_total{result=\"failed\"}";
    eventually("a directory", async || {
        (metric(admin, failed).await == Some(failures + 1.0)).then_some(())
    })
    .await;
    failures += 1.0;
    assert_image_becomes(address, "good.io/library/busybox:1.36").await;

    // The whole volume is removed and created again.
    volume.replace();
    eventually("a missing map", async || {
        (metric(admin, failed).await == Some(failures + 1.0)).then_some(())
    })
    .await;
    assert_image_becomes(address, "good.io/library/busybox:1.36").await;
    volume.write(&[("maps.conf", b"default::back.io\nbroken")]);
    eventually("the map that came back", async || {
        let applied = "imageswap_map_reloads_total{result=\"applied\"}";
        (metric(admin, applied).await == Some(2.0)).then_some(())
    })
    .await;
    assert_image_becomes(address, "back.io/library/busybox:1.36").await;
    let errors = "imageswap_map_diagnostics{severity=\"error\"}";
    assert_eq!(metric(admin, errors).await, Some(1.0));
    program.await_log("there is no `::` between key and target").await;
}

#[tokio::test]
async fn with_strict_maps_any_error_refuses_the_map() {
    let mut volume = Volume::new();
    volume.write(&[("maps.conf", b"default::good.io")]);
    let file = volume.directory().join("maps.conf");
    let app =
        App::start(ServeSettings { strict_maps: true, ..settings(RuleSource::MapFile(file)) })
            .await
            .unwrap();
    let admin = app.admin_address();
    let reloads = |result: &'static str| async move {
        metric(admin, &format!("imageswap_map_reloads_total{{result=\"{result}\"}}")).await
    };
    eventually("the first map", async || (reloads("applied").await == Some(1.0)).then_some(()))
        .await;
    volume.write(&[("maps.conf", b"default::new.io\nbroken")]);
    eventually("the refusal", async || (reloads("refused").await == Some(1.0)).then_some(())).await;
    assert_image_becomes(app.address(), "good.io/library/busybox:1.36").await;
    volume.write(&[("maps.conf", b"default::new.io\nquay.io:old.separator")]);
    eventually("the corrected map", async || (reloads("applied").await == Some(2.0)).then_some(()))
        .await;
    assert_image_becomes(app.address(), "new.io/library/busybox:1.36").await;
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_named_by_the_readiness_probe() {
    let mut volume = Volume::new();
    let certificate = include_bytes!("../fixtures/rsa/cert.pem");
    let settings = ServeSettings {
        certificate: CertificateOrigin::Files(volume.directory().into()),
        ..settings(RuleSource::BuiltIn("default::d.io"))
    };
    let app = App::start(settings).await.unwrap();
    for (key, expected) in [
        (
            &include_bytes!("../fixtures/keys/ecdsa-p521.pem")[..],
            "tls.key: the key is ECDSA on P-521; use",
        ),
        (
            include_bytes!("../fixtures/keys/encrypted-pkcs1.pem"),
            "tls.key: the key is encrypted; decrypt it",
        ),
        (certificate, "tls.key: no PEM block of a private key: no items found"),
    ] {
        volume.write(&[("tls.crt", certificate), ("tls.key", key)]);
        eventually(expected, async || {
            admin_get(app.admin_address(), "/readyz").await.body.contains(expected).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_invalid_pair_leaves_the_last_one_in_use() {
    let mut volume = Volume::new();
    let (good, other) = (Pair::make(), Pair::make());
    let settings = ServeSettings {
        certificate: CertificateOrigin::Files(volume.directory().into()),
        ..settings(RuleSource::BuiltIn("default::d.io"))
    };
    let app = App::start(settings).await.unwrap();
    let admin = app.admin_address();
    let reloads = |result: &'static str| async move {
        metric(admin, &format!("imageswap_tls_reloads_total{{result=\"{result}\"}}")).await
    };
    // Without a certificate the handshake fails, and the probe shows the reason.
    eventually("not ready", async || {
        admin_get(admin, "/readyz").await.body.contains("cert.pem").then_some(())
    })
    .await;
    assert!(Client::connect(app.address(), Protocol::Http2).await.is_err());
    volume.write(&good.files());
    eventually("the first pair", async || (reloads("applied").await == Some(1.0)).then_some(()))
        .await;

    let mismatched = [("cert.pem", other.certificate.as_bytes()), ("key.pem", good.key.as_bytes())];
    let garbage = [("cert.pem", &b"garbage"[..]), ("key.pem", &b"garbage"[..])];
    let half = [("cert.pem", other.certificate.as_bytes())];
    for (count, files) in (2_u8..).zip([&mismatched[..], &garbage[..], &half[..]]) {
        volume.write(files);
        eventually("the failure", async || {
            (reloads("failed").await == Some(f64::from(count))).then_some(())
        })
        .await;
        let client = Client::connect(app.address(), Protocol::Http2).await.unwrap();
        assert_eq!(client.certificate.as_ref(), good.der);
    }

    // The file names of cert-manager work too.
    let tls = [("tls.crt", other.certificate.as_bytes()), ("tls.key", other.key.as_bytes())];
    volume.write(&tls);
    eventually("the other pair", async || (reloads("applied").await == Some(2.0)).then_some(()))
        .await;
    let client = Client::connect(app.address(), Protocol::Http2).await.unwrap();
    assert_eq!(client.certificate.as_ref(), other.der);
    let not_after = metric(admin, "imageswap_tls_not_after_timestamp_seconds").await.unwrap();
    assert!(not_after > 1.7e9, "{not_after}");
}

async fn assert_image_becomes(address: SocketAddr, image: &str) {
    let mut client = Client::connect(address, Protocol::Http1).await.unwrap();
    let answer = client.post(fixture("00-create-pod")).await.unwrap();
    assert_eq!(first_image(&answer), image);
}
