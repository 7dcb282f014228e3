//! The names of metrics: those in alerts and dashboard exist, and the dashboard shows all metrics.

use std::collections::BTreeSet;

use imageswap::{
    app::declared_metrics,
    metrics::{MetricKind, Registry},
};

use crate::{dashboard::queries, rules::alerts};

/// Metrics of others that alerts use: Prometheus itself, the API server and kube-state-metrics.
const FOREIGN: [&str; 5] = [
    "apiserver_admission_webhook_fail_open_count",
    "apiserver_admission_webhook_rejection_count",
    "kube_deployment_spec_replicas",
    "kube_deployment_status_replicas_available",
    "up",
];

/// Metrics that the dashboard does not show: address space is neither used memory nor limited.
const NOT_SHOWN: [&str; 2] = ["process_virtual_memory_bytes", "process_virtual_memory_max_bytes"];

/// Words of the query language that are not functions.
const KEYWORDS: [&str; 12] = [
    "and",
    "bool",
    "by",
    "group_left",
    "group_right",
    "ignoring",
    "offset",
    "on",
    "or",
    "unless",
    "without",
    "atan2",
];

#[test]
fn the_names_in_an_expression_are_found() {
    for (expression, names) in [
        ("up == 0", vec!["up"]),
        ("sum by (pod, le) (rate(a_total{b=\"c_total\"}[5m])) > 1e3", vec!["a_total"]),
        ("a{x=~\"}\"} and on (y) b or vector(1)", vec!["a", "b"]),
        ("count(count_values(\"hash\", a)) / (1 - b_sum)", vec!["a", "b_sum"]),
    ] {
        assert_eq!(
            names_in(expression),
            names.into_iter().map(str::to_owned).collect(),
            "{expression}"
        );
    }
}

#[test]
fn every_metric_in_alerts_and_dashboard_exists() {
    let series = series();
    let known = |name: &str| series.contains(name) || FOREIGN.contains(&name);
    for alert in alerts() {
        for name in names_in(&alert.expression) {
            assert!(known(&name), "{}: there is no metric {name}", alert.name);
        }
    }
    for query in queries() {
        for name in names_in(&query.expression) {
            assert!(series.contains(&name), "{}: there is no metric {name}", query.panel);
        }
    }
}

#[test]
fn the_dashboard_shows_every_metric() {
    let shown: BTreeSet<_> =
        queries().iter().flat_map(|query| names_in(&query.expression)).collect();
    for name in documented() {
        let is_shown = shown.iter().any(|shown| *shown == name || base(shown) == name);
        assert_ne!(is_shown, NOT_SHOWN.contains(&&*name), "{name}");
    }
}

/// Returns the names of all metrics, as in `docs/reference/metrics.md`.
fn documented() -> BTreeSet<String> {
    let registry = declared_metrics();
    let page = Registry::default().render();
    let process = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let declared = registry.metrics().into_iter().map(|metric| metric.name.to_owned());
    declared.chain(process.map(str::to_owned)).collect()
}

/// Returns the names of all series.
fn series() -> BTreeSet<String> {
    let mut names = documented();
    for metric in declared_metrics().metrics() {
        if let MetricKind::Histogram(_) = metric.kind {
            names.remove(metric.name);
            names
                .extend(["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", metric.name)));
        }
    }
    names
}

/// Returns the name of the histogram to which a series belongs.
fn base(series: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|part| series.strip_suffix(part))
        .unwrap_or(series)
}

/// Returns the names of the metrics in an expression: the words that are not functions, keywords, labels or texts.
fn names_in(expression: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = expression;
    let mut last_word = "";
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        let length = length.unwrap_or(rest.len());
        if length > 0 {
            let (word, after) = rest.split_at(length);
            // The labels of an aggregation may stand before its argument.
            let is_function =
                ["(", "by (", "without ("].iter().any(|next| after.trim_start().starts_with(next));
            let is_number = first.is_ascii_digit();
            if !is_number && !is_function && !KEYWORDS.contains(&word) {
                names.insert(word.to_owned());
            }
            (last_word, rest) = (word, after);
            continue;
        }
        rest = match first {
            '"' => after_text(rest),
            '{' => after_braces(rest),
            '[' => rest.split_once(']').unwrap().1,
            // A list of labels.
            '(' if KEYWORDS.contains(&last_word) => rest.split_once(')').unwrap().1,
            _ => &rest[first.len_utf8()..],
        };
        if !first.is_whitespace() {
            last_word = "";
        }
    }
    names
}

/// Returns what follows a text in quotation marks. The expressions have no escapes of quotation marks.
fn after_text(rest: &str) -> &str {
    rest[1..].split_once('"').unwrap().1
}

/// Returns what follows a selector in braces.
fn after_braces(mut rest: &str) -> &str {
    loop {
        let next = rest.find(['"', '}']).unwrap();
        rest = &rest[next..];
        match rest.strip_prefix('}') {
            Some(after) => return after,
            None => rest = after_text(rest),
        }
    }
}
