//! The real program, and its registration with the API server.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{certificates::Authority, eventually};

/// The label of namespaces that are swapped, and of objects that are not.
pub(crate) const LABEL: &str = "k8s.twr.io/imageswap";

/// What the program serves with: a map, and a certificate pair of an authority of its own.
pub(crate) struct Files {
    directory: TempDir,
    authority: Authority,
}

impl Files {
    /// Makes the files of a webhook on loopback, with a map.
    pub(crate) fn new(map: &str) -> Self {
        let files =
            Self { directory: tempfile::tempdir().unwrap(), authority: Authority::new("webhook") };
        let directory = files.directory.path();
        files.authority.write_server_pair(
            &["127.0.0.1"],
            &directory.join("tls.crt"),
            &directory.join("tls.key"),
        );
        files.write_map(map);
        files
    }

    /// Replaces the map at once, by renaming.
    pub(crate) fn write_map(&self, map: &str) {
        let directory = self.directory.path();
        fs::write(directory.join("new.conf"), map).unwrap();
        fs::rename(directory.join("new.conf"), directory.join("maps.conf")).unwrap();
    }

    /// The registration of the webhook at an address, for the resources that `rules` name.
    pub(crate) fn configuration(&self, name: &str, address: SocketAddr, rules: &Value) -> Value {
        let mut selector = json!({});
        selector["matchLabels"][LABEL] = json!("enabled");
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": { "name": name },
            "webhooks": [{
                "name": "imageswap.webhook.k8s.twr.io",
                "clientConfig": {
                    "url": format!("https://{address}/"),
                    "caBundle": STANDARD.encode(self.authority.certificate()),
                },
                "rules": rules,
                "failurePolicy": "Fail",
                "reinvocationPolicy": "IfNeeded",
                "timeoutSeconds": 5,
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "namespaceSelector": selector,
            }],
        })
    }
}

/// A rule of a webhook configuration: creations and updates of resources.
pub(crate) fn rule(group: &str, resources: &[&str]) -> Value {
    json!({
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": resources,
    })
}

/// The program, serving until it is dropped.
pub(crate) struct Webhook {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    /// Starts `imageswap serve` with the files of a folder, on ports that the system chooses.
    pub(crate) fn start(files: &Files) -> Self {
        let directory = files.directory.path();
        let mut child = Command::new(Path::new(env!("CARGO_BIN_EXE_imageswap")))
            .args(["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"])
            // Long enough for the API server to hear of the next instance.
            .args(["--log-format=json", "--tls-mode=files", "--shutdown-delay=10s"])
            .arg("--tls-dir")
            .arg(directory)
            .arg("--maps")
            .arg(directory.join("maps.conf"))
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        thread::spawn({
            let log = log.clone();
            move || {
                for line in lines {
                    let line = line.unwrap();
                    let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                    log.lock().unwrap().push(line);
                }
            }
        });
        let webhook = Self { child, log };
        eventually("the start of the webhook", || webhook.bound());
        webhook
    }

    /// Where it takes reviews.
    pub(crate) fn address(&self) -> SocketAddr {
        self.bound().unwrap()
    }

    /// The address that it logs when it has started; else all that it logged.
    fn bound(&self) -> Result<SocketAddr, Vec<Value>> {
        let log = self.log.lock().unwrap();
        let started = log.iter().find(|line| line["message"] == "imageswap started");
        let address = started.ok_or_else(|| log.clone())?["listen"].as_str().unwrap();
        Ok(address.parse().unwrap())
    }

    /// Sends the signal to end.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What it logged that is more than information.
    pub(crate) fn complaints(&self) -> Vec<Value> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| line["level"] != "INFO").cloned().collect()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the log of a webhook:");
            for line in self.log.lock().unwrap().iter() {
                eprintln!("{line}");
            }
        }
    }
}
