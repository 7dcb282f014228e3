//! The alerts: their text, their runbooks, their tests and their documentation.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::read;

/// The alerts as Prometheus reads them.
pub(crate) const RULES: &str = "deploy/observability/rules.yaml";

/// An alert of [`RULES`].
pub(crate) struct Alert {
    /// The name.
    pub(crate) name: String,
    /// The expression.
    pub(crate) expression: String,
    severity: String,
    annotations: Value,
}

/// Reads all alerts.
pub(crate) fn alerts() -> Vec<Alert> {
    let rules: Value = serde_saphyr::from_str(&read(RULES)).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    let alert = |rule: &Value| Alert {
        name: text(&rule["alert"]),
        expression: text(&rule["expr"]),
        severity: text(&rule["labels"]["severity"]),
        annotations: rule["annotations"].clone(),
    };
    rules.map(alert).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

#[test]
fn every_alert_has_a_severity_a_text_and_a_runbook_that_exists() {
    for alert in alerts() {
        let Alert { name, severity, annotations, .. } = alert;
        assert!(name.starts_with("ImageSwap"), "{name}");
        assert!(["info", "warning", "critical"].contains(&&*severity), "{name}: {severity}");
        let keys: Vec<_> = annotations.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            BTreeSet::from_iter(keys),
            ["description", "runbook", "summary"].into(),
            "{name}"
        );
        let (summary, description) =
            (text(&annotations["summary"]), text(&annotations["description"]));
        assert!(summary.len() < 80 && summary.ends_with('.'), "{name}: {summary}");
        // What happened, and what users notice.
        assert!(description.matches(". ").count() >= 1, "{name}: {description}");
        let runbook = text(&annotations["runbook"]);
        let (file, anchor) = runbook.split_once('#').unwrap_or_else(|| panic!("{name}: {runbook}"));
        assert!(anchors(&read(file)).contains(anchor), "{name}: there is no {runbook}");
    }
}

#[test]
fn every_alert_has_a_unit_test_and_a_row_in_the_documentation() {
    let (tests, page) = (read("deploy/observability/tests.yaml"), read("docs/observability.md"));
    let names: Vec<_> = alerts().into_iter().map(|alert| alert.name).collect();
    for name in &names {
        let fires = format!("alertname=\"{name}\", alertstate=\"firing\"");
        assert!(tests.contains(&fires), "no test says when {name} fires");
        assert!(page.contains(&format!("| `{name}` |")), "{name} has no row");
    }
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `ImageSwap")?.split_once('`'));
    for (row, _) in rows {
        let name = format!("ImageSwap{row}");
        assert!(
            names.contains(&name),
            "docs/observability.md describes {name}, which is not an alert"
        );
    }
}

/// Returns the anchors of the headings of a page, as GitHub and GitLab make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|character| if character == ' ' { '-' } else { character }).collect()
    };
    headings.map(anchor).collect()
}
