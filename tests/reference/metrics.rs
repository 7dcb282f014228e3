//! `metrics.md`: the metrics, from their declarations and a page of a registry.

use std::collections::BTreeSet;

use imageswap::{
    app::declared_metrics,
    metrics::{Metric, MetricKind, Registry},
};

use support::source::{Token, sources};

use crate::markdown::{self, literal};

const INTRODUCTION: &str = "\
`GET /metrics` on the admin port returns the metrics of one replica, in the Prometheus text format. Counters start at
zero when the replica starts. [Observability](../observability.md) has alerts and a dashboard.

";

const SERIES: &str = "
A series with labels appears when it is first counted. Those of reloads, certificates, writes and failed handshakes, of
posted requests, and of posted requests that failed by a fault, start at zero.

`imageswap_load_failing` appears when a file or Secret was first loaded, or could not be loaded.
`imageswap_webhook_configuration_present` appears when the replica has first read the configuration, so not if the
certificate is in files.

The number of `imageswap_map_hash` has no meaning but this: it is the same on replicas with the same map, byte by byte,
in all versions of ImageSwap. It is below 2^53, so that Prometheus stores it exactly.

`imageswap_images_total` counts an image as swapped if it changes. With the reason `default` and `swapped` as `false` it
counts the images that the rule `default::` leaves alone.

The metrics `imageswap_target_...` and `imageswap_registry_breakers_open` are on the page only if
`IMAGESWAP_VERIFY_TARGET` is `fallback`. They start at zero.

`imageswap_target_answers_total` counts an image of a review once for each answer. Sources of the answers:

- `registry`: the registry was asked for this review, or for another one at the same time.
- `cache`: an earlier answer still counts: 10 minutes if the image is present, 30 seconds if it is absent, 10 seconds if
  the registry did not say, or what its `Retry-After` says, up to 5 minutes.
- `breaker`: the registry has failed, and is not asked for a while. The image is unknown.
- `busy`: too many checks are running or waiting. The image is unknown.
- `exempt`: the registry is in `IMAGESWAP_VERIFY_EXCEPT`, or the image is longer than 640 bytes. It is unknown.
- `no-client`: the credentials could not be loaded yet. The image is unknown.
- `timeout`: the registry did not answer in time. The image is unknown, and the check goes on for the next review.

Reasons of failed handshakes:

- `alert`: the client refused the handshake, usually because it does not trust the certificate.
- `client-certificate`: the certificate of the client has expired, or none of the client CAs signed it.
- `closed`: the client closed or reset the connection after its first byte. A connection that ends before, such as that
  of a health check, is not counted.
- `protocol`: the client does not speak TLS, or supports no version or cipher suite of the server.
- `timeout`: the client did not complete the handshake within 5 seconds.
- `other`: any other reason, such as no certificate to serve.
";

const HISTOGRAMS: &str = "
## Histograms

A histogram has the series `..._bucket` with the label `le`, `..._sum` and `..._count`. `le` is written as Python and
Prometheus 3 write it, such as `0.5`, `1.0` or `5e-06`. The upper bounds of the buckets:

";

const PROCESS: &str = "
## Process

The usual metrics of a process.

";

/// Labels whose values are not a closed set, with their meanings.
const OPEN_LABELS: &[(&str, &str)] = &[("revision", "git revision"), ("version", "version")];

pub(crate) fn page() -> String {
    let registry = declared_metrics();
    let metrics = registry.metrics();
    assert_all_declared(&metrics);
    let rows = metrics.iter().map(|metric| {
        let labels: Vec<_> = metric.labels.iter().zip(registry.label_values(metric)).collect();
        let labels: Vec<_> =
            labels.into_iter().map(|(name, values)| label(name, &values)).collect();
        let kind = metric.kind.as_str().to_owned();
        [literal(metric.name), kind, metric.help.to_owned(), labels.join("; ")]
    });
    let table = markdown::table(["metric", "kind", "meaning", "labels"], rows);
    let bounds = metrics.iter().filter_map(|metric| match metric.kind {
        MetricKind::Histogram(_) => Some([literal(metric.name), upper_bounds(metric)]),
        MetricKind::Counter | MetricKind::Gauge => None,
    });
    let histograms = markdown::table(["histogram", "upper bounds in seconds"], bounds);
    let process = markdown::table(["metric", "kind", "meaning"], process_rows());
    markdown::page("Metrics")
        + INTRODUCTION
        + &table
        + SERIES
        + HISTOGRAMS
        + &histograms
        + PROCESS
        + &process
}

fn label(name: &str, values: &[&str]) -> String {
    let values = if values.is_empty() {
        let open = OPEN_LABELS.iter().find(|(label, _)| *label == name);
        open.unwrap_or_else(|| panic!("the label {name} has no values")).1.to_owned()
    } else {
        values.iter().map(|value| literal(value)).collect::<Vec<_>>().join(", ")
    };
    format!("`{name}`: {values}")
}

/// Checks that each declaration in the source is among `metrics`.
fn assert_all_declared(metrics: &[&'static Metric]) {
    let mut declared = BTreeSet::new();
    for source in sources() {
        source.visit(&mut |tokens| {
            if let [Token::Word(kind), Token::Mark('='), Token::Word(metric), rest @ ..] = tokens
                && kind == "Metric"
                && metric == kind
            {
                let fields = rest.iter().find_map(|token| match token {
                    Token::Group(_, fields) => Some(fields),
                    _ => None,
                });
                declared.extend(fields.unwrap().iter().find_map(|field| match field {
                    Token::Text(text) => Some(text.clone()),
                    _ => None,
                }));
            }
        });
    }
    let listed: BTreeSet<_> = metrics.iter().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(listed, declared, "declared_metrics() and the constants in src differ");
}

/// Returns the upper bounds of a histogram, as a page has them in the label `le`.
fn upper_bounds(metric: &'static Metric) -> String {
    let registry = Registry::default();
    registry.describe(metric);
    let _ = registry.histogram(metric, &[]);
    let page = registry.render();
    let bounds = page.lines().filter_map(|line| line.split_once("le=\"")?.1.split_once('"'));
    let bounds: Vec<_> = bounds.map(|(bound, _)| bound).filter(|bound| *bound != "+Inf").collect();
    bounds.join(", ")
}

/// Returns the metrics of the process, as a page describes them.
fn process_rows() -> Vec<[String; 3]> {
    let page = Registry::default().render();
    let described = page.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let mut rows: Vec<_> = described
        .map(|(name, help)| {
            let kind = page.lines().find_map(|line| {
                line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' ')
            });
            [literal(name), kind.unwrap().to_owned(), help.to_owned()]
        })
        .collect();
    assert!(rows.len() >= 5, "no metrics of the process in\n{page}");
    rows.sort();
    rows
}
