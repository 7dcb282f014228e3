//! The logs of the webhook, as the container runtime stores them on the disk of the node.

use std::{collections::BTreeMap, fs};

use serde_json::Value;
use support::secrets::Secrets;

use crate::node::Node;

impl Node {
    /// Prints how often the replicas have logged each warning and error. Fails if a private key or a token is in a log.
    pub(crate) fn check_logs(&self) {
        let secrets = Secrets::new();
        let mut warnings = BTreeMap::<String, usize>::new();
        for log in self.logs_of_replicas() {
            assert_eq!(secrets.found_in(log.as_bytes()).len(), 0, "a secret in {log}");
            for line in log.lines() {
                let (_, line) = line.split_at(line.find('{').unwrap_or(0));
                let line: Value = serde_json::from_str(line).unwrap_or_default();
                if line["level"] == "WARN" || line["level"] == "ERROR" {
                    let warning = format!("{} {}", line["message"], line["error"]);
                    *warnings.entry(warning).or_default() += 1;
                }
            }
        }
        for (warning, count) in warnings {
            eprintln!("      logged {count} x {warning}");
        }
    }

    /// Returns the logs of the pods that are on the node now, also those of containers before a restart.
    fn logs_of_replicas(&self) -> Vec<String> {
        let mut logs = Vec::new();
        for pod in fs::read_dir(self.disk("log/pods")).unwrap() {
            let pod = pod.unwrap();
            if !pod.file_name().to_string_lossy().starts_with("imageswap-system_") {
                continue;
            }
            // The kubelet may be deleting it.
            for log in fs::read_dir(pod.path().join("imageswap")).into_iter().flatten() {
                logs.extend(fs::read_to_string(log.unwrap().path()));
            }
        }
        logs
    }
}
