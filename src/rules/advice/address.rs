//! IPv6 addresses that are written without brackets, or with a mistake in them.

use core::net::Ipv6Addr;

/// Returns an IPv6 address without brackets in its correct form: `[address]` or `[address]:port`.
///
/// A last group that looks like a port is the port. `None` if the text is not an address.
pub(super) fn bracketed(host: &str) -> Option<String> {
    let is_address = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    match host.rsplit_once(':') {
        Some((address, port)) if is_address(address) && is_probably_port(port) => {
            Some(format!("[{address}]:{port}"))
        }
        _ => is_address(host).then(|| format!("[{host}]")),
    }
}

/// Returns true for a number that is a port rather than the last group of an address.
fn is_probably_port(group: &str) -> bool {
    group.parse::<u16>().is_ok() && (group.len() >= 4 || ["80", "443"].contains(&group))
}

/// Returns the mistake of a host that starts with a bracket, as a clause. `None` if there is none.
pub(super) fn bracket_problem(text: &str) -> Option<&'static str> {
    let inside = text.strip_prefix('[')?;
    match inside.split_once(']') {
        None => Some("the bracket of an IPv6 address is not closed"),
        Some((address, _)) if address.parse::<Ipv6Addr>().is_err() => {
            Some("the text between the brackets is not an IPv6 address")
        }
        Some(_) => None,
    }
}
