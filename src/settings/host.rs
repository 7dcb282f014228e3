//! The names of the machine that the program runs on.

use std::net::SocketAddr;

/// The names under which a server for development is reached.
pub(super) fn own_names(listen: SocketAddr) -> Vec<String> {
    let mut names: Vec<_> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    let own = listen.ip().to_string();
    if !listen.ip().is_unspecified() && !names.contains(&own) {
        names.push(own);
    }
    names
}

/// The name of the host, which in a pod is the pod's name.
pub(super) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "imageswap".to_owned() } else { name.trim().to_owned() }
}
