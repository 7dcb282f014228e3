//! Invalid, expired and missing certificates and keys, under traffic.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use support::{
    certificates::Pair,
    client::{Client, admin_get},
    program::Program,
    server::{await_ready, metric},
    tls::Protocol,
    volume::Volume,
    wait::eventually,
};

use crate::{
    alone,
    process::Usage,
    report,
    traffic::{SAMPLE_IMAGE, Traffic},
};

/// Certificate and key of a bad pair, made from the pair in use and the next one.
type Fault = for<'a> fn(&'a Pair, &'a Pair) -> (&'a [u8], &'a [u8]);

const FAULTS: [Fault; 7] = [
    |good, next| (next.certificate.as_bytes(), good.key.as_bytes()),
    |good, next| (good.certificate.as_bytes(), next.key.as_bytes()),
    |_, next| (next.certificate.as_bytes(), &next.key.as_bytes()[..next.key.len() / 2]),
    |_, next| (b"garbage", next.key.as_bytes()),
    |_, next| (next.certificate.as_bytes(), b""),
    |_, next| (next.key.as_bytes(), next.certificate.as_bytes()),
    |_, _| (b"\0\xff\0\xff", b"\0\xff\0\xff"),
];

fn serving(volume: &Volume) -> Program {
    let directory = volume.directory().to_str().unwrap();
    Program::start(&["--dev", "--tls-mode", "files", "--tls-dir", directory])
}

/// Waits until a result was counted for so many pairs.
async fn await_reloads(program: &Program, result: &str, count: u8) {
    let name = format!("imageswap_tls_reloads_total{{result=\"{result}\"}}");
    eventually(&name, async || {
        (metric(program.admin_address, &name).await == Some(f64::from(count))).then_some(())
    })
    .await;
}

async fn shown(program: &Program) -> Vec<u8> {
    let client = Client::connect(program.address, Protocol::Http2).await.unwrap();
    client.certificate.as_ref().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_pair_leaves_the_last_one_in_use() {
    let _alone = alone().await;
    let mut good = Pair::make();
    let mut volume = Volume::new();
    volume.write(&good.files());
    let program = serving(&volume);
    await_ready(program.admin_address).await;
    let traffic = Traffic::start(program.address, SAMPLE_IMAGE);
    for (count, fault) in (1_u8..).zip(FAULTS) {
        let next = Pair::make();
        let (certificate, key) = fault(&good, &next);
        volume.write(&[("cert.pem", certificate), ("key.pem", key)]);
        await_reloads(&program, "failed", count).await;
        assert_eq!(shown(&program).await, good.der);
        assert_eq!(admin_get(program.admin_address, "/readyz").await.status, 200);
        traffic.await_answers(50).await;
        volume.write(&next.files());
        await_reloads(&program, "applied", count + 1).await;
        assert_eq!(shown(&program).await, next.der);
        good = next;
    }
    let seen = traffic.finish().await;
    seen.assert_complete();
    let usage = Usage::of(&program);
    usage.assert_peak_below(128);
    report(
        "an_invalid_pair_leaves_the_last_one_in_use",
        format!("{} faults: {seen}; {usage}", FAULTS.len()),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate_is_served_with_a_warning() {
    let _alone = alone().await;
    let good = Pair::make();
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.not_before = date_time_ymd(2001, 1, 1);
    parameters.not_after = date_time_ymd(2002, 1, 1);
    let over = parameters.self_signed(&key).unwrap();
    let mut volume = Volume::new();
    volume.write(&good.files());
    let program = serving(&volume);
    await_ready(program.admin_address).await;
    let traffic = Traffic::start(program.address, SAMPLE_IMAGE);
    let (certificate, key) = (over.pem(), key.serialize_pem());
    volume.write(&[("cert.pem", certificate.as_bytes()), ("key.pem", key.as_bytes())]);
    await_reloads(&program, "applied", 2).await;
    assert_eq!(shown(&program).await, over.der().to_vec());
    program.await_log("certificate has expired; the API server refuses it").await;
    let ends = metric(program.admin_address, "imageswap_tls_not_after_timestamp_seconds").await;
    assert_eq!(ends, Some(1_009_843_200.0));
    // Clients that do not check the dates are still served.
    traffic.await_answers(50).await;
    volume.write(&good.files());
    await_reloads(&program, "applied", 3).await;
    let seen = traffic.finish().await;
    seen.assert_complete();
    report("an_expired_certificate_is_served_with_a_warning", &seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_pair_the_process_is_alive_but_not_ready() {
    let _alone = alone().await;
    let mut volume = Volume::new();
    volume.write(&[("cert.pem", b"garbage"), ("key.pem", b"garbage")]);
    let program = serving(&volume);
    let admin = program.admin_address;
    let reason = eventually("the reason", async || {
        let answer = admin_get(admin, "/readyz").await;
        (answer.status == 503 && answer.body.contains("cert.pem")).then_some(answer.body)
    })
    .await;
    assert!(reason.contains("no PEM block of a certificate"), "{reason}");
    assert_eq!(admin_get(admin, "/livez").await.status, 200);
    for _ in 0..20 {
        assert!(Client::connect(program.address, Protocol::Http2).await.is_err());
    }
    let failures = "imageswap_tls_handshake_failures_total{reason=\"other\"}";
    eventually("20 failures", async || (metric(admin, failures).await == Some(20.0)).then_some(()))
        .await;
    volume.write(&Pair::make().files());
    await_ready(admin).await;
    let traffic = Traffic::start(program.address, SAMPLE_IMAGE);
    traffic.await_answers(100).await;
    traffic.finish().await.assert_complete();
}
