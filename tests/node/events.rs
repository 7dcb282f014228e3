//! The warnings of Kubernetes about the pods of the webhook.

use std::collections::BTreeMap;

use crate::{installation::NAMESPACE, node::Node};

/// Number of each warning, by its reason and message without addresses.
pub(crate) type Warnings = BTreeMap<String, u64>;

/// Warnings about the autoscaler, because the node has no metrics server.
const OF_AUTOSCALER: &str = "HorizontalPodAutoscaler";

impl Node {
    /// Returns the warnings in the namespace of the webhook so far.
    pub(crate) fn warnings(&self) -> Warnings {
        let events = self.api().get(&format!("/api/v1/namespaces/{NAMESPACE}/events"));
        let mut warnings = Warnings::new();
        for event in events.unwrap()["items"].as_array().unwrap() {
            if event["type"] != "Warning" || event["involvedObject"]["kind"] == OF_AUTOSCALER {
                continue;
            }
            let text = |field: &str| event[field].as_str().unwrap_or_default();
            let count = event["count"].as_u64().or(event["series"]["count"].as_u64());
            let warning = format!("{}: {}", text("reason"), without_addresses(text("message")));
            *warnings.entry(warning).or_default() += count.unwrap_or(1);
        }
        warnings
    }

    /// Prints the warnings that have not been printed, with their number, and returns them.
    pub(crate) fn print_new_warnings(&self) -> Vec<String> {
        let now = self.warnings();
        let (mut printed, mut found) = (self.warnings.lock().unwrap(), Vec::new());
        for (warning, count) in &now {
            let new = count.saturating_sub(printed.get(warning).copied().unwrap_or_default());
            if new > 0 {
                eprintln!("      {new} x Warning {warning}");
                found.push(warning.clone());
            }
        }
        *printed = now;
        found
    }
}

/// Returns a text without the addresses of pods, so that the same warning about two pods is the same text.
fn without_addresses(text: &str) -> String {
    let words = text.split(' ').map(|word| if word.contains("10.244.") { "ADDRESS" } else { word });
    words.collect::<Vec<_>>().join(" ")
}
