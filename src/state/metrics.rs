//! Metrics of loads.

use metrics::{Counter, Gauge};

use super::Subject;
use crate::{
    closed_enum::closed_enum,
    metrics::{Family, Metric, Registry, single},
    rules::{KeyKind, MapScope, Severity},
};

closed_enum! {
    /// The result of a load.
    pub enum ReloadResult {
        /// The new value is in use.
        Applied => "applied",
        /// The new value could not be read, or was not valid.
        Failed => "failed",
        /// The new value was readable, but must not be used.
        Refused => "refused",
    }
}

closed_enum! {
    /// The states of a site of custom resources.
    pub(super) enum SiteState {
        /// The site is in use.
        InUse => "in-use",
        /// The line is skipped for a mistake.
        Invalid => "invalid",
    }
}

closed_enum! {
    /// The states of the map of a namespace. A map can be in both.
    pub(super) enum NamespaceMapState {
        /// The last load has failed.
        Failing => "failing",
        /// A map is in use.
        InUse => "in-use",
    }
}

const MAP_RELOADS: Metric =
    Metric::counter("imageswap_map_reloads_total", "Map reloads by result.", &["result"]);
const MAP_LAST_SUCCESS: Metric = Metric::gauge(
    "imageswap_map_last_success_timestamp_seconds",
    "Time at which the map in use was loaded, in seconds since 1970.",
    &[],
);
const MAP_RULES: Metric = Metric::gauge(
    "imageswap_map_rules",
    "Rules and [PULLSECRET] lines of the maps in use, by kind.",
    &["scope", "kind"],
);
const NAMESPACE_MAPS: Metric = Metric::gauge(
    "imageswap_namespace_maps",
    "Maps of namespaces that are in use, and those whose last load has failed.",
    &["state"],
);
const CANDIDATE_MAP_RULES: Metric = Metric::gauge(
    "imageswap_candidate_map_rules",
    "Rules of the candidate map; 0 if there is none.",
    &[],
);
const SITES: Metric = Metric::gauge(
    "imageswap_sites",
    "Sites of custom resources that are in use, and lines of the file that are skipped because of a mistake.",
    &["state"],
);
const MAP_HASH: Metric = Metric::gauge(
    "imageswap_map_hash",
    "Hash of the map in use. Replicas with the same map have the same hash.",
    &[],
);
const MAP_BUILTIN: Metric = Metric::gauge(
    "imageswap_map_builtin",
    "1 while the built-in map is in use instead of a map file, else 0.",
    &[],
);
const MAP_DIAGNOSTICS: Metric = Metric::gauge(
    "imageswap_map_diagnostics",
    "Diagnostics of the map in use, by severity.",
    &["severity"],
);
const TLS_NOT_BEFORE: Metric = Metric::gauge(
    "imageswap_tls_not_before_timestamp_seconds",
    "Start of the validity of the serving certificate, in seconds since 1970.",
    &[],
);
const TLS_NOT_AFTER: Metric = Metric::gauge(
    "imageswap_tls_not_after_timestamp_seconds",
    "Expiry time of the serving certificate, in seconds since 1970.",
    &[],
);
const TLS_RELOADS: Metric =
    Metric::counter("imageswap_tls_reloads_total", "Certificate reloads by result.", &["result"]);
const CLIENT_CA_RELOADS: Metric = Metric::counter(
    "imageswap_client_ca_reloads_total",
    "Reloads of the client CA file, by result.",
    &["result"],
);
const LOAD_FAILING: Metric = Metric::gauge(
    "imageswap_load_failing",
    "1 while the last load of a file or Secret has failed, so that the value before stays in use, else 0.",
    &["subject"],
);

/// Handles of the metrics of loads.
#[derive(Debug)]
pub(super) struct LoadMetrics {
    pub(super) map_reloads: Family<(ReloadResult,), Counter>,
    pub(super) map_last_success: Family<(), Gauge>,
    pub(super) map_rules: Family<(MapScope, KeyKind), Gauge>,
    pub(super) namespace_maps: Family<(NamespaceMapState,), Gauge>,
    pub(super) candidate_map_rules: Gauge,
    pub(super) sites: Family<(SiteState,), Gauge>,
    pub(super) map_hash: Family<(), Gauge>,
    pub(super) map_builtin: Gauge,
    pub(super) map_diagnostics: Family<(Severity,), Gauge>,
    pub(super) tls_not_before: Family<(), Gauge>,
    pub(super) tls_not_after: Family<(), Gauge>,
    pub(super) tls_reloads: Family<(ReloadResult,), Counter>,
    pub(super) client_ca_reloads: Family<(ReloadResult,), Counter>,
    pub(super) load_failing: Family<(Subject,), Gauge>,
}

impl LoadMetrics {
    /// Registers the metrics.
    pub(super) fn new(registry: &Registry) -> Self {
        let metrics = Self {
            map_reloads: Family::new(registry, &MAP_RELOADS).from_zero(),
            map_last_success: Family::new(registry, &MAP_LAST_SUCCESS),
            map_rules: Family::new(registry, &MAP_RULES),
            namespace_maps: Family::new(registry, &NAMESPACE_MAPS),
            candidate_map_rules: single(registry, &CANDIDATE_MAP_RULES),
            sites: Family::new(registry, &SITES),
            map_hash: Family::new(registry, &MAP_HASH),
            map_builtin: single(registry, &MAP_BUILTIN),
            map_diagnostics: Family::new(registry, &MAP_DIAGNOSTICS),
            tls_not_before: Family::new(registry, &TLS_NOT_BEFORE),
            tls_not_after: Family::new(registry, &TLS_NOT_AFTER),
            tls_reloads: Family::new(registry, &TLS_RELOADS).from_zero(),
            client_ca_reloads: Family::new(registry, &CLIENT_CA_RELOADS).from_zero(),
            load_failing: Family::new(registry, &LOAD_FAILING),
        };
        metrics.map_builtin.set(0.0);
        metrics.candidate_map_rules.set(0.0);
        metrics
    }
}
