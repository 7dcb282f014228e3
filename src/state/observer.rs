//! Logs and counts loads.

use time::OffsetDateTime;
use tracing::{field::display, info, warn};

use super::{
    Load, LoadError, MapSummary, NamespaceSummary, ReloadResult, SitesSummary, Subject, Summary,
    metrics::{LoadMetrics, NamespaceMapState, SiteState},
};
use crate::{
    metrics::Registry,
    origin::Origin,
    rules::{Diagnostics, KeyKind, MapScope, Severity},
};

/// Logs and counts loads in the same way for all values.
#[derive(Debug)]
pub struct LoadObserver(LoadMetrics);

impl Default for LoadObserver {
    /// Creates an observer whose metrics nothing reads, for `init` and tests.
    fn default() -> Self {
        Self::new(&Registry::default())
    }
}

impl LoadObserver {
    /// Creates an observer with its metrics in `registry`.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self(LoadMetrics::new(registry))
    }

    /// Reports a value that was put into use.
    pub(super) fn loaded(&self, subject: Subject, load: &Load) {
        // The prefix is a setting, and a self-signed certificate is created, so neither was loaded.
        let is_prefix = matches!(load.summary, Summary::LegacyPrefix);
        if !is_prefix && load.origin != Origin::Generated {
            self.count(subject, ReloadResult::Applied);
        }
        match &load.summary {
            Summary::CandidateMap { rules } => {
                self.candidate_map_loaded(*rules, &load.origin, &load.diagnostics);
            }
            Summary::Certificate { not_before, not_after } => {
                self.certificate_loaded(&load.origin, *not_before, *not_after);
            }
            Summary::ClientCa { authorities, added, removed } => {
                info!(origin = %load.origin, authorities, added, removed, "client CA loaded");
            }
            Summary::LegacyPrefix => {}
            Summary::Map(map) => self.map_loaded(map, &load.origin, &load.diagnostics),
            Summary::NamespaceMaps(maps) => self.namespace_maps_loaded(maps),
            Summary::RegistryCa { authorities } => {
                info!(origin = %load.origin, authorities, "registry CA loaded");
            }
            Summary::RegistryConfig { registries, problems } => {
                info!(origin = %load.origin, registries, "registry config loaded");
                for problem in problems {
                    warn!(origin = %load.origin, problem, "registry config entry ignored");
                }
            }
            Summary::Sites(sites) => self.sites_loaded(sites, &load.origin),
            Summary::WebhookTemplate => {
                let file = load.origin.file().map(|file| display(file.display()));
                info!(file, source = source(&load.origin), "webhook template loaded");
            }
        }
    }

    fn candidate_map_loaded(&self, rules: Option<usize>, origin: &Origin, found: &Diagnostics) {
        self.0.candidate_map_rules.set(to_f64(rules.unwrap_or_default()));
        let file = origin.file().map(|file| display(file.display()));
        match rules {
            Some(rule_count) => {
                let errors = found.count(Severity::Error);
                info!(file, rule_count, errors, "candidate map loaded");
            }
            None => info!(file, "candidate map removed"),
        }
    }

    fn certificate_loaded(
        &self,
        origin: &Origin,
        not_before: OffsetDateTime,
        not_after: OffsetDateTime,
    ) {
        #[expect(clippy::cast_precision_loss, reason = "dates are far below 2^52 seconds")]
        for (gauge, time) in
            [(&self.0.tls_not_before, not_before), (&self.0.tls_not_after, not_after)]
        {
            gauge.of(()).set(time.unix_timestamp() as f64);
        }
        let now = OffsetDateTime::now_utc();
        let days_left = (not_after - now).whole_days();
        info!(%origin, days_left, "certificate loaded");
        if not_after <= now {
            warn!(%origin, "certificate has expired; the API server refuses it");
        }
        if now < not_before {
            let hint = "check the clocks of this node and of the issuer";
            warn!(%origin, hint, "certificate is not valid yet");
        }
    }

    fn map_loaded(&self, map: &MapSummary, origin: &Origin, diagnostics: &Diagnostics) {
        let metrics = &self.0;
        let is_built_in = if *origin == Origin::BuiltIn { 1.0 } else { 0.0 };
        metrics.map_builtin.set(is_built_in);
        #[expect(clippy::cast_precision_loss, reason = "a hash is below 2^53")]
        metrics.map_hash.of(()).set(map.hash as f64);
        self.rules_counted(MapScope::Cluster, &map.rules);
        for severity in Severity::ALL {
            metrics.map_diagnostics.of((severity,)).set(to_f64(diagnostics.count(severity)));
        }
        let now = OffsetDateTime::now_utc() - OffsetDateTime::UNIX_EPOCH;
        metrics.map_last_success.of(()).set(now.as_seconds_f64());
        let file = origin.file().map(|file| display(file.display()));
        info!(
            file,
            source = source(origin),
            added = map.changes.added,
            removed = map.changes.removed,
            changed = map.changes.changed,
            errors = diagnostics.count(Severity::Error),
            warnings = diagnostics.count(Severity::Warning),
            "map loaded"
        );
    }

    fn namespace_maps_loaded(&self, summary: &NamespaceSummary) {
        self.rules_counted(MapScope::Namespace, &summary.rules);
        let states = &self.0.namespace_maps;
        states.of((NamespaceMapState::InUse,)).set(to_f64(summary.maps));
        states.of((NamespaceMapState::Failing,)).set(to_f64(summary.failing.len()));
    }

    fn sites_loaded(&self, summary: &SitesSummary, origin: &Origin) {
        let SitesSummary { sites, kinds, invalid } = *summary;
        let states = &self.0.sites;
        states.of((SiteState::InUse,)).set(to_f64(sites));
        states.of((SiteState::Invalid,)).set(to_f64(invalid));
        // The built-in ones are in use from the start in every cluster.
        if let Some(file) = origin.file() {
            info!(file = %file.display(), sites, kinds, invalid, "sites loaded");
        }
    }

    fn rules_counted(&self, scope: MapScope, rules: &[usize; KeyKind::ALL.len()]) {
        for (kind, &count) in KeyKind::ALL.into_iter().zip(rules) {
            self.0.map_rules.of((scope, kind)).set(to_f64(count));
        }
    }

    /// Reports a failed load. `in_use` is the origin of the value that stays in use.
    pub(super) fn failed(&self, subject: Subject, error: &LoadError, in_use: Option<&Origin>) {
        match error {
            LoadError::Failed { message, .. } => {
                self.count(subject, ReloadResult::Failed);
                warn!(error = message, "{}", failure(subject, in_use));
            }
            LoadError::Refused { origin, reason, diagnostics } => {
                self.count(subject, ReloadResult::Refused);
                match origin.file() {
                    Some(file) => {
                        let errors = diagnostics.count(Severity::Error);
                        warn!(file = %file.display(), errors, reason, "{}", refusal(subject, in_use));
                    }
                    None => warn!(%origin, reason, "{}", refusal(subject, in_use)),
                }
            }
        }
    }

    /// Records the result of the last load in the metrics.
    pub(super) fn last_load(&self, subject: Subject, is_failure: bool) {
        self.0.load_failing.of((subject,)).set(if is_failure { 1.0 } else { 0.0 });
    }

    fn count(&self, subject: Subject, result: ReloadResult) {
        let family = match subject {
            Subject::Certificate => &self.0.tls_reloads,
            Subject::ClientCa => &self.0.client_ca_reloads,
            Subject::Map => &self.0.map_reloads,
            Subject::CandidateMap
            | Subject::NamespaceMaps
            | Subject::RegistryCa
            | Subject::RegistryConfig
            | Subject::Sites
            | Subject::WebhookTemplate => return,
        };
        family.of((result,)).increment(1);
    }
}

/// Returns the log message of a failed load.
fn failure(subject: Subject, in_use: Option<&Origin>) -> &'static str {
    match (subject, in_use) {
        (Subject::CandidateMap, Some(_)) => {
            "candidate map cannot be loaded, keeping the last good candidate map"
        }
        (Subject::CandidateMap, None) => "candidate map cannot be loaded, comparing no map",
        (Subject::Certificate, Some(_)) => {
            "certificate reload failed, keeping the last good certificate"
        }
        (Subject::Certificate, None) => "certificate load failed, no certificate in use",
        (Subject::ClientCa, Some(_)) => "client CA reload failed, keeping the last good client CA",
        (Subject::ClientCa, None) => "client CA load failed, no client CA in use",
        (Subject::Map, Some(Origin::BuiltIn)) => "map load failed, keeping the built-in map",
        (Subject::Map, Some(_)) => "map reload failed, keeping the last good map",
        (Subject::Map, None) => "map load failed, no map in use",
        (Subject::NamespaceMaps, Some(_)) => {
            "namespace maps cannot be read, keeping the last good maps"
        }
        (Subject::NamespaceMaps, None) => {
            "namespace maps cannot be read, using the map of the cluster"
        }
        (Subject::RegistryCa, Some(_)) => "registry CA reload failed, keeping the last good CAs",
        (Subject::RegistryCa, None) => {
            "registry CA load failed, trusting the CAs of the system only"
        }
        (Subject::RegistryConfig, Some(_)) => {
            "registry config reload failed, keeping the last good credentials"
        }
        (Subject::RegistryConfig, None) => "registry config load failed, using no credentials",
        (Subject::Sites, Some(Origin::File(_))) => {
            "sites cannot be loaded, keeping the last good sites"
        }
        (Subject::Sites, _) => "sites cannot be loaded, using the built-in sites",
        (Subject::WebhookTemplate, Some(_)) => {
            "webhook template reload failed, keeping the last good template"
        }
        (Subject::WebhookTemplate, None) => {
            "webhook template load failed, leaving the webhook configuration as it is"
        }
    }
}

/// Returns the log message of a refused value.
fn refusal(subject: Subject, in_use: Option<&Origin>) -> &'static str {
    match (subject, in_use) {
        (Subject::Certificate, Some(_)) => "certificate refused, keeping the last good certificate",
        (Subject::Certificate, None) => "certificate refused, no certificate in use",
        (Subject::Map, Some(Origin::BuiltIn)) => "map refused, keeping the built-in map",
        (Subject::Map, Some(_)) => "map reload refused, keeping the last good map",
        (Subject::Map, None) => "map refused, no map in use",
        (Subject::CandidateMap, Some(_)) => {
            "candidate map refused, keeping the last good candidate map"
        }
        (Subject::CandidateMap, None) => "candidate map refused, comparing no map",
        // These are never refused.
        (
            Subject::ClientCa
            | Subject::NamespaceMaps
            | Subject::RegistryCa
            | Subject::RegistryConfig
            | Subject::Sites
            | Subject::WebhookTemplate,
            _,
        ) => failure(subject, in_use),
    }
}

/// Returns the origin of a map or template in one word.
fn source(origin: &Origin) -> &'static str {
    if *origin == Origin::BuiltIn { "built-in" } else { "file" }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn to_f64(count: usize) -> f64 {
    count as f64
}
