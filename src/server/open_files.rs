//! Fits the limits of connections to the open files that the system allows.
//!
//! Each connection is an open file. Without a free file descriptor no port accepts connections, not even the admin
//! port, and the kubelet restarts a pod whose probes are not answered. So each port has its own maximum below that.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use super::Limits;

/// Number of open files of the program itself: some 25 for listeners, event queues, watches and connections to the API
/// server, and others for short reads.
const OWN_FILES: usize = 40;

/// Number of open files of the checks of registries: those of 128 checks, and some connections that are kept.
const REGISTRY_FILES: usize = 160;

/// Divisor of the remaining open files that gives the share of the admin port. Probes and metrics need a few.
const ADMIN_DIVISOR: usize = 4;

/// Raises the limit of open files to what `limits` need, as far as the system allows. `asks_registries` is true if
/// registries are asked for new images.
///
/// If that is not enough, logs a warning and returns lower limits of connections.
#[must_use]
pub fn fit(limits: Limits, asks_registries: bool) -> Limits {
    let own = OWN_FILES + if asks_registries { REGISTRY_FILES } else { 0 };
    let needed =
        own.saturating_add(limits.max_connections).saturating_add(limits.max_admin_connections);
    let open_files = raise(needed);
    let fitted = within(limits, open_files.saturating_sub(own));
    if fitted.max_connections < limits.max_connections {
        warn!(
            open_files,
            connections = fitted.max_connections,
            admin_connections = fitted.max_admin_connections,
            wanted = limits.max_connections,
            "connection limit lowered to fit the limit of open files"
        );
    }
    fitted
}

/// Raises the soft limit of open files to `needed`, or as far as the hard limit allows, and returns the resulting
/// limit.
fn raise(needed: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let files = |limit: Option<u64>| {
        limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
    };
    let (soft, hard) = (files(limit.current), files(limit.maximum));
    let wanted = needed.min(hard);
    let raised = Rlimit { current: u64::try_from(wanted).ok(), maximum: limit.maximum };
    if wanted > soft && setrlimit(Resource::Nofile, raised).is_ok() { wanted } else { soft }
}

/// Returns the limits lowered to fit `left` open files, with at least one connection on each port.
fn within(limits: Limits, left: usize) -> Limits {
    if limits.max_connections.saturating_add(limits.max_admin_connections) <= left {
        return limits;
    }
    let max_admin_connections = limits.max_admin_connections.min(left / ADMIN_DIVISOR).max(1);
    let left = left.saturating_sub(max_admin_connections);
    Limits {
        max_connections: limits.max_connections.min(left).max(1),
        max_admin_connections,
        ..limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_the_open_files_and_the_admin_port_has_a_share() {
        for (wanted, open_files, expected) in [
            ([4096, 256], 1_048_576, [4096, 256]),
            ([4096, 256], OWN_FILES + 4352, [4096, 256]),
            ([4096, 256], OWN_FILES + 4351, [4095, 256]),
            ([4096, 256], 1024, [738, 246]),
            ([4096, 256], 64, [18, 6]),
            ([2, 256], 64, [2, 6]),
            ([4096, 256], 40, [1, 1]),
            ([4096, 256], 0, [1, 1]),
        ] {
            let [max_connections, max_admin_connections] = wanted;
            let limits = Limits { max_connections, max_admin_connections, ..Limits::default() };
            let fitted = within(limits, open_files.saturating_sub(OWN_FILES));
            let fitted = [fitted.max_connections, fitted.max_admin_connections];
            assert_eq!(fitted, expected, "{wanted:?} in {open_files} files");
        }
    }
}
