//! The metrics of the whole program.

use crate::{
    controller::ControllerMetrics,
    metrics::{Metric, Registry},
    registry::TargetMetrics,
    server::ServerMetrics,
    state::LoadObserver,
};

pub(super) const BUILD_INFO: Metric = Metric::gauge(
    "imageswap_build_info",
    "1, with version and git revision of the program as labels.",
    &["version", "revision"],
);

/// Returns a registry with all metrics of the program, for the reference.
#[must_use]
pub fn declared_metrics() -> Registry {
    let registry = Registry::default();
    registry.describe(&BUILD_INFO);
    let _ = ServerMetrics::new(&registry);
    let _ = LoadObserver::new(&registry);
    let _ = ControllerMetrics::new(&registry);
    let _ = TargetMetrics::new(&registry);
    registry
}
