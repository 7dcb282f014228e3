//! The host of a registry, as the settings name it.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use hyper::{Uri, http::uri::Scheme};

use crate::image::{canonical_registry, split_port};

/// Maximum length of a host name in bytes, in the DNS.
const MAX_HOST_BYTES: usize = 253;

/// Maximum length of a label of a host name in bytes, in the DNS.
const MAX_LABEL_BYTES: usize = 63;

/// The host of a registry with its port, in lower case. Without a port, it is the default port of the scheme.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RegistryHost {
    /// A name or an address; an IPv6 address has brackets.
    host: Box<str>,
    port: Option<u16>,
}

/// A text that is not the host of a registry.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "expected a host or host:port without scheme and path, such as registry.example.com, 10.0.0.5:5000 or [fd00::1]:5000"
)]
pub struct RegistryHostError;

impl RegistryHost {
    /// Returns the host of a URL. `None` if it has no valid host and port, or names a user.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        uri.authority()?.as_str().parse().ok()
    }

    /// Returns the host without its port: a name, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, if one is given.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns true if `registry`, the registry of an image, is this one: the same host with the same port.
    #[must_use]
    pub fn is(&self, registry: &str) -> bool {
        registry.parse().is_ok_and(|other: Self| *self == other)
    }

    /// Returns true if host and port are those of `uri`; a port that is not given is the default port of its scheme.
    pub(super) fn serves(&self, uri: &Uri) -> bool {
        let default = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => 443,
            Some(scheme) if *scheme == Scheme::HTTP => 80,
            _ => return false,
        };
        Self::of(uri).is_some_and(|other| {
            self.host == other.host && self.port.unwrap_or(default) == other.port.unwrap_or(default)
        })
    }
}

impl FromStr for RegistryHost {
    type Err = RegistryHostError;

    fn from_str(text: &str) -> Result<Self, RegistryHostError> {
        let text = canonical_registry(text);
        let (host, port) = split_port(&text);
        let port = match port.strip_prefix(':') {
            Some(port) => Some(parse_port(port).ok_or(RegistryHostError)?),
            None => None,
        };
        if is_host(host) { Ok(Self { host: host.into(), port }) } else { Err(RegistryHostError) }
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(formatter, "{}:{port}", self.host),
            None => formatter.write_str(&self.host),
        }
    }
}

/// Parses a port; the parser of numbers would accept a sign.
fn parse_port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0)
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    host.len() <= MAX_HOST_BYTES && host.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_have_a_port_and_nothing_else() {
        for (text, expected) in [
            ("Registry.Example.com", Some(("registry.example.com", None))),
            ("index.docker.io", Some(("docker.io", None))),
            ("localhost:5000", Some(("localhost", Some(5000)))),
            ("10.0.0.5:5000", Some(("10.0.0.5", Some(5000)))),
            ("[FD00::1]", Some(("[fd00::1]", None))),
            ("[fd00::1]:65535", Some(("[fd00::1]", Some(65535)))),
            ("", None),
            (":5000", None),
            ("h:", None),
            ("h:0", None),
            ("h:+5", None),
            ("h:65536", None),
            ("https://h", None),
            ("h/path", None),
            ("h.", None),
            ("-h", None),
            ("user@h", None),
            ("h ", None),
            ("h_1", None),
            ("fd00::1", None),
            ("[fd00::1", None),
            ("[h]", None),
            ("*.example.com", None),
        ] {
            let host: Option<RegistryHost> = text.parse().ok();
            let found = host.as_ref().map(|host| (host.host(), host.port()));
            assert_eq!(found, expected, "{text}");
        }
        assert!(format!("{}.com", "a".repeat(64)).parse::<RegistryHost>().is_err());
        assert!(["a"; 128].join(".").parse::<RegistryHost>().is_err());
    }

    #[test]
    fn a_registry_is_compared_as_it_is_written() {
        for (text, registry, expected) in [
            ("h.io", "H.io", true),
            ("h.io", "h.io:443", false),
            ("h.io:443", "h.io:443", true),
            ("docker.io", "index.docker.io", true),
        ] {
            assert_eq!(text.parse::<RegistryHost>().unwrap().is(registry), expected, "{text}");
        }
    }

    #[test]
    fn a_url_is_compared_with_the_port_of_its_scheme() {
        for (text, url, expected) in [
            ("h.io", "https://H.io/a", true),
            ("h.io", "https://h.io:443/", true),
            ("h.io:443", "https://h.io/", true),
            ("h.io", "http://h.io/", true),
            ("h.io:443", "http://h.io/", false),
            ("h.io:80", "http://h.io/", true),
            ("h.io", "https://h.io:8443/", false),
            ("h.io", "https://a.h.io/", false),
            ("h.io", "https://user@h.io/", false),
            ("h.io", "ftp://h.io/", false),
            ("h.io", "/path", false),
            ("[fd00::1]:5000", "https://[FD00::1]:5000/", true),
        ] {
            let host: RegistryHost = text.parse().unwrap();
            assert_eq!(host.serves(&url.parse().unwrap()), expected, "{text} {url}");
        }
    }
}
