//! The open files that the system allows the process, and how many of them connections may take.
//!
//! Each connection is an open file. When they run out, no port accepts anything, the admin port
//! neither, and the kubelet restarts a pod whose probes are not answered. So what connections take
//! is bounded before, for each port by itself.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use super::Limits;

/// The files that the program itself has open: listeners, event queues, watches and the connections
/// to the API server, some 25, and the files that it reads, for moments.
const OWN_FILES: usize = 40;

/// The admin port may take one in so many of the files that are left. Probes and metrics need a few.
const ADMIN_DIVISOR: usize = 4;

/// Raises the limit of open files as far as these limits of connections need and the system allows,
/// and lowers what does not fit all the same, with a warning.
#[must_use]
pub fn fit(limits: Limits) -> Limits {
    let needed = OWN_FILES
        .saturating_add(limits.max_connections)
        .saturating_add(limits.max_admin_connections);
    let open_files = raise(needed);
    let fitted = within(limits, open_files);
    if fitted.max_connections < limits.max_connections {
        warn!(
            open_files,
            connections = fitted.max_connections,
            admin_connections = fitted.max_admin_connections,
            wanted = limits.max_connections,
            "the limit of open files leaves room for fewer connections than \
             IMAGESWAP_MAX_CONNECTIONS allows; those beyond it wait"
        );
    }
    fitted
}

/// Raises the soft limit of open files to `needed`, or as far as the hard limit allows; the limit
/// that there is then.
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

/// The limits of connections as far as they fit into so many open files; at least one connection
/// on each port.
fn within(limits: Limits, open_files: usize) -> Limits {
    let left = open_files.saturating_sub(OWN_FILES);
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
    fn connections_take_what_the_program_leaves_and_the_admin_port_a_part_of_it() {
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
            let fitted = within(limits, open_files);
            let places = [fitted.max_connections, fitted.max_admin_connections];
            assert_eq!(places, expected, "{wanted:?} in {open_files} files");
        }
    }
}
