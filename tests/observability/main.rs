//! The alerts and the dashboard in `deploy/observability`: all that they name exists, and a real Prometheus that
//! scrapes the real program answers each of their queries.
//!
//! `.ci/observability` gets Prometheus, and runs the unit tests of the alerts.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod api_server;
mod dashboard;
mod names;
mod pod_monitor;
mod prometheus;
mod queries;
mod registry;
mod rules;

use std::{fs, path::PathBuf};

/// Returns the path of a file of the repository.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Reads a file of the repository.
fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
