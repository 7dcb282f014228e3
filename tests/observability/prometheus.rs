//! A real Prometheus, as a process.

use std::{
    ffi::OsStr,
    fmt::Write,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
};

use serde_json::Value;
use support::{client::admin_get, wait::eventually};
use tempfile::TempDir;

/// The namespace of the targets.
pub(crate) const NAMESPACE: &str = "imageswap-system";

/// The job of the targets.
pub(crate) const JOB: &str = "imageswap-system/imageswap";

/// A running Prometheus that scrapes some replicas each second. Dropping it kills the process.
pub(crate) struct Prometheus {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts `program`, which scrapes the admin ports of `targets` and evaluates the alerts in the file `rules`.
    pub(crate) async fn start(program: &OsStr, rules: &str, targets: &[SocketAddr]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let configuration = directory.path().join("prometheus.yml");
        fs::write(&configuration, configuration_of(rules, targets)).unwrap();
        let mut child = Command::new(program)
            .arg("--config.file")
            .arg(configuration)
            .arg("--storage.tsdb.path")
            .arg(directory.path().join("data"))
            .args(["--web.listen-address", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = Vec::new();
        let address = loop {
            let Some(line) = lines.next() else { panic!("Prometheus ended: {log:#?}") };
            let line = line.unwrap();
            // The line has the port that the system has chosen.
            if let Some((_, address)) = line.split_once("\"Listening on\" address=") {
                break address.split_whitespace().next().unwrap().parse().unwrap();
            }
            log.push(line);
        };
        thread::spawn(move || lines.for_each(drop));
        let prometheus = Self { child, address, _directory: directory };
        eventually("Prometheus", async || {
            (admin_get(address, "/-/ready").await.status == 200).then_some(())
        })
        .await;
        prometheus
    }

    /// Returns the values of an expression now, without those that are not numbers.
    pub(crate) async fn query(&self, expression: &str) -> Result<Vec<f64>, String> {
        let result = self.get(&format!("/api/v1/query?query={}", encoded(expression))).await?;
        let samples = result["result"].as_array().unwrap().iter();
        let values = samples.map(|sample| sample["value"][1].as_str().unwrap().parse().unwrap());
        Ok(values.filter(|value: &f64| !value.is_nan()).collect())
    }

    /// Returns the values of a label in the series that a selector matches.
    pub(crate) async fn label_values(&self, selector: &str, label: &str) -> Result<Value, String> {
        self.get(&format!("/api/v1/label/{label}/values?match[]={}", encoded(selector))).await
    }

    /// Returns all alerts with their states.
    pub(crate) async fn rules(&self) -> Vec<Value> {
        let groups = self.get("/api/v1/rules").await.unwrap();
        let groups = groups["groups"].as_array().unwrap().iter();
        groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
    }

    /// Returns the data of an answer of the API, or its error.
    async fn get(&self, path: &str) -> Result<Value, String> {
        let answer = admin_get(self.address, &path.replace("[]", "%5B%5D")).await;
        let mut body: Value =
            serde_json::from_str(&answer.body).map_err(|_| answer.body.clone())?;
        if body["status"] == "success" { Ok(body["data"].take()) } else { Err(answer.body) }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the configuration: the replicas are targets with the labels that the Prometheus Operator gives them.
fn configuration_of(rules: &str, targets: &[SocketAddr]) -> String {
    let targets: Vec<_> = (0..)
        .zip(targets)
        .map(|(number, target): (usize, _)| {
            serde_json::json!({
                "targets": [target.to_string()],
                "labels": { "namespace": NAMESPACE, "pod": format!("imageswap-{number}") },
            })
        })
        .collect();
    // JSON is YAML.
    serde_json::json!({
        "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
        "rule_files": [rules],
        "scrape_configs": [{
            "job_name": JOB,
            "static_configs": targets,
        }],
    })
    .to_string()
}

/// Returns a text as it is written in the query of a URL.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(byte.into());
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
    }
    encoded
}
