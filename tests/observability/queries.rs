//! A real Prometheus that scrapes the real program: each query of the dashboard has a value, each alert is evaluated.

use std::{env, io::Write, net::SocketAddr, process::Command, time::Duration};

use support::{
    certificates::Pair,
    client::Client,
    program::{ANY_PORT, Program, path as program},
    reviews::CAPTURED,
    server::{await_ready, metric},
    tls::Protocol,
    volume::Volume,
    wait::eventually,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinHandle};

use crate::{
    api_server::EmptyApiServer,
    dashboard::{queries, variables},
    path,
    prometheus::{NAMESPACE, Prometheus},
    registry::Registry,
    rules::{RULES, alerts},
};

/// Environment variable with the program Prometheus, which `.ci/observability` sets.
const PROMETHEUS: &str = "IMAGESWAP_PROMETHEUS";

/// Time between two connections of a client, so that the other programs have the processors too.
const PAUSE: Duration = Duration::from_millis(50);

/// A review of a pod with an image of another number each time.
const REVIEW: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",
    "request":{"uid":"1","kind":{"kind":"Pod"},"operation":"CREATE",
    "object":{"spec":{"containers":[{"name":"app","image":"numbered:NUMBER"}]}}}}"#;

/// Alerts whose condition holds in the test. They have no time to fire, so they are pending.
const BEGUN: [&str; 8] = [
    "ImageSwapConfigurationMissing",
    "ImageSwapControllerFailing",
    "ImageSwapLoadFailing",
    "ImageSwapMapErrors",
    "ImageSwapMapsDiffer",
    "ImageSwapRegistryFailing",
    "ImageSwapReplicaNotReady",
    "ImageSwapReviewErrors",
];

/// Alerts whose condition does not hold.
const QUIET: [&str; 11] = [
    "ImageSwapCertificateAboutToExpire",
    "ImageSwapCertificateExpiresSoon",
    "ImageSwapDown",
    "ImageSwapMapBuiltIn",
    "ImageSwapMapWithoutDefault",
    "ImageSwapNamespaceMapFailing",
    "ImageSwapNoReviews",
    "ImageSwapReplicaDown",
    "ImageSwapTargetsAbsent",
    "ImageSwapTargetsUnknown",
    "ImageSwapUnknownClients",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_answers_every_query() {
    let Some(prometheus) = env::var_os(PROMETHEUS) else {
        // Directly to the standard error, because the test harness hides the output of a test that passes.
        let written = writeln!(
            std::io::stderr(),
            "the queries of dashboard and alerts are SKIPPED: {PROMETHEUS} is not set; run \
             .ci/observability, which gets Prometheus"
        );
        return written.unwrap();
    };
    let api_server = EmptyApiServer::start().await;
    let registry = Registry::start().await;
    let mut replicas = [Replica::start(&registry).await, Replica::start(&registry).await];
    let controller = failing_controller(&api_server);
    let mut targets: Vec<_> =
        replicas.iter().map(|replica| replica.program.admin_address).collect();
    targets.push(controller.admin_address);
    let rules = path(RULES);
    let prometheus = Prometheus::start(&prometheus, rules.to_str().unwrap(), &targets).await;
    let clients = replicas.each_ref().map(|replica| Clients::of(replica.program.address));
    cause_trouble(&mut replicas).await;

    for (selector, label) in variables() {
        let selector = substituted(&selector);
        eventually(&selector, async || {
            let values = prometheus.label_values(&selector, &label).await.unwrap();
            (!values.as_array().unwrap().is_empty()).then_some(())
        })
        .await;
    }
    for query in queries() {
        let expression = substituted(&query.expression);
        eventually(&format!("a value for {}: {expression}", query.panel), async || {
            let values = prometheus.query(&expression).await;
            let values = values.unwrap_or_else(|error| panic!("{expression}: {error}"));
            (!values.is_empty()).then_some(())
        })
        .await;
    }
    for alert in alerts() {
        let result = prometheus.query(&alert.expression).await;
        assert!(result.is_ok(), "{}: {result:?}", alert.name);
    }
    await_alerts(&prometheus).await;
    drop(clients);
}

/// Waits until all alerts are evaluated without an error, and are in the states that the trouble causes.
async fn await_alerts(prometheus: &Prometheus) {
    let names: Vec<_> = alerts().into_iter().map(|alert| alert.name).collect();
    let names = names.iter().map(String::as_str);
    let expected = names.map(|name| (name, "health", "ok"));
    let expected = expected.chain(BEGUN.map(|name| (name, "state", "pending")));
    for (name, field, value) in expected.chain(QUIET.map(|name| (name, "state", "inactive"))) {
        eventually(&format!("{field} of {name}: {value}"), async || {
            let rules = prometheus.rules().await;
            let rule = rules.iter().find(|rule| rule["name"] == name).unwrap();
            (rule[field] == value).then_some(())
        })
        .await;
    }
}

/// Returns an expression of the dashboard as Grafana sends it.
fn substituted(expression: &str) -> String {
    let expression = expression.replace("$__rate_interval", "10s").replace("$namespace", NAMESPACE);
    let expression = expression.replace("$pod", ".*");
    assert!(!expression.contains('$'), "an unknown variable: {expression}");
    expression
}

/// A replica with map and certificate in files, which asks the registry of its map.
struct Replica {
    program: Program,
    maps: Volume,
    certificates: Volume,
    _namespaces: Volume,
}

impl Replica {
    async fn start(registry: &Registry) -> Self {
        let (mut maps, mut certificates) = (Volume::new(), Volume::new());
        let host = registry.host();
        maps.write(&[("maps.conf", format!("default::{host}").as_bytes())]);
        certificates.write(&Pair::make().files());
        let mut namespaces = Volume::new();
        namespaces.write(&[("shop.conf", b"quay.io::")]);
        let map = maps.directory().join("maps.conf");
        let program = Program::start(&[
            "--maps",
            map.to_str().unwrap(),
            "--namespace-maps-dir",
            namespaces.directory().to_str().unwrap(),
            "--tls-mode",
            "files",
            "--tls-dir",
            certificates.directory().to_str().unwrap(),
            "--verify-target",
            "fallback",
            "--registry-plain-http",
            &host,
        ]);
        await_ready(program.admin_address).await;
        Self { program, maps, certificates, _namespaces: namespaces }
    }
}

/// Starts a replica whose controller fails, because the API server has no objects.
fn failing_controller(api_server: &EmptyApiServer) -> Program {
    // The shared code starts the program without environment variables.
    let mut launcher = Command::new("/usr/bin/env");
    launcher.arg(format!("KUBECONFIG={}", api_server.kubeconfig().display())).arg(program());
    let map = path("config/imageswap-maps.conf");
    Program::launch(launcher, [ANY_PORT; 2], &["--maps", map.to_str().unwrap()])
}

/// Changes the files of the replicas: a refused map on the first, another map with an error on the second, and a new
/// certificate. Then a client fails a handshake.
async fn cause_trouble(replicas: &mut [Replica; 2]) {
    let [first, second] = replicas;
    first.maps.write(&[("maps.conf", b"")]);
    // Nothing listens at this port, so the registry fails.
    second.maps.write(&[("maps.conf", b"default::127.0.0.1:1\nthis is not a rule")]);
    second.certificates.write(&Pair::make().files());
    let mut stream = TcpStream::connect(first.program.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    for (replica, series) in [
        (&*first, "imageswap_map_reloads_total{result=\"refused\"}"),
        (&*first, "imageswap_tls_handshake_failures_total{reason=\"protocol\"}"),
        (&*second, "imageswap_map_diagnostics{severity=\"error\"}"),
    ] {
        eventually(series, async || {
            (metric(replica.program.admin_address, series).await == Some(1.0)).then_some(())
        })
        .await;
    }
    let certificates = "imageswap_tls_reloads_total{result=\"applied\"}";
    eventually(certificates, async || {
        (metric(second.program.admin_address, certificates).await == Some(2.0)).then_some(())
    })
    .await;
}

/// Clients that post reviews until they are dropped, one after the other. Some of the bodies are not reviews.
struct Clients(JoinHandle<()>);

impl Clients {
    fn of(address: SocketAddr) -> Self {
        Self(tokio::spawn(async move {
            for number in 0.. {
                // Each connection is answered by the replica, also while its certificate changes.
                let Ok(mut client) = Client::connect(address, Protocol::Http2).await else {
                    continue;
                };
                for body in CAPTURED.into_iter().chain(["not a review"]) {
                    client.post(body).await.unwrap();
                }
                // An image that the registry has not been asked for.
                let review = REVIEW.replace("NUMBER", &u32::to_string(&number));
                client.post(review).await.unwrap();
                tokio::time::sleep(PAUSE).await;
            }
        }))
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.0.abort();
    }
}
