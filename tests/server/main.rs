//! The server over real TLS on loopback: every answer, every limit, reloads under load, and the end.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod answers;
mod authority;
mod client;
mod hello;
mod limits;
mod policy;
mod reload;
mod secrecy;
#[path = "../common/secrets.rs"]
mod secrets;
mod shutdown;
mod volume;

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use client::{Answer, DEADLINE};
use imageswap::{
    app::App,
    server::Limits,
    settings::{CertificateOrigin, LogFormat, LogSettings, RuleSource, ServeSettings},
};
use serde_json::Value;
use tracing::level_filters::LevelFilter;

/// Settings for a server in this process, on ports that the system chooses.
fn settings(rules: RuleSource) -> ServeSettings {
    let any_port: SocketAddr = "127.0.0.1:0".parse().unwrap();
    ServeSettings {
        rules,
        strict_maps: false,
        listen: any_port,
        admin_listen: any_port,
        certificate: CertificateOrigin::SelfSigned(vec!["localhost".into()]),
        client_authorities: None,
        disable_label: "k8s.twr.io/imageswap".into(),
        pod_name: "imageswap-0".into(),
        limits: Limits::default(),
        shutdown_delay: Duration::ZERO,
        shutdown_timeout: DEADLINE,
        log: LogSettings { level: LevelFilter::OFF, format: LogFormat::Text },
    }
}

/// A server in this process with the map `default::d.io`.
async fn started(limits: Limits) -> App {
    let settings = settings(RuleSource::BuiltIn("default::d.io"));
    App::start(ServeSettings { limits, ..settings }).await.unwrap()
}

fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/reviews/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The image that the first operation of an answer's patch sets.
fn first_image(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let patch = STANDARD.decode(body["response"]["patch"].as_str().unwrap()).unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    patch[0]["value"].as_str().unwrap().to_owned()
}

/// Tries until `probe` gives something, or the deadline has passed.
async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the server is ready.
async fn ready(admin: SocketAddr) {
    eventually("ready", async || {
        (client::admin_get(admin, "/readyz").await.status == 200).then_some(())
    })
    .await;
}

/// The value of a metric, given with its labels.
async fn metric(admin: SocketAddr, name: &str) -> Option<f64> {
    let page = client::admin_get(admin, "/metrics").await.body;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}

/// The real program, serving.
struct Program {
    child: Child,
    address: SocketAddr,
    admin_address: SocketAddr,
    log: Arc<Mutex<Vec<Value>>>,
}

impl Program {
    /// Starts `imageswap serve` with ports that the system chooses.
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_imageswap")))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(["--log-format", "json"])
            .args(arguments)
            .env_clear()
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut take_line = {
            let log = log.clone();
            move || {
                let line = lines.next()?.unwrap();
                let line: Value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                log.lock().unwrap().push(line.clone());
                Some(line)
            }
        };
        let started = loop {
            let line = take_line().unwrap();
            if line["message"] == "imageswap started" {
                break line;
            }
        };
        std::thread::spawn(move || while take_line().is_some() {});
        let address = |field: &str| started[field].as_str().unwrap().parse().unwrap();
        Self { child, address: address("listen"), admin_address: address("admin_listen"), log }
    }

    /// Sends the signal to end.
    fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Whether a line was logged whose message contains `text`.
    fn logged(&self, text: &str) -> bool {
        let log = self.log.lock().unwrap();
        log.iter()
            .any(|line| line["message"].as_str().is_some_and(|message| message.contains(text)))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let log = serde_json::to_string(&*self.log.lock().unwrap()).unwrap();
            let found = secrets::Secrets::new().found_in(log.as_bytes()).len();
            assert_eq!(found, 0, "a secret in {log}");
        }
    }
}
