//! The keys of `auths` in a docker config file, which Kubernetes compares as patterns.

use std::{cmp::Reverse, net::Ipv6Addr};

use crate::image::{canonical_registry, split_path, split_port};

/// A key of `auths`: a host, whose labels may contain `*` and `?`, a port, and the beginning of a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pattern {
    /// In lower case.
    host: Box<str>,
    /// Digits; empty if there is no port.
    port: Box<str>,
    /// Without its first `/`; empty if there is none.
    path: Box<str>,
}

impl Pattern {
    /// Parses a key: a host, or a URL as docker writes it. `None` if there is no host in it.
    pub(super) fn parse(key: &str) -> Option<Self> {
        let key =
            key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
        let (registry, path) = split_path(key);
        // The versions of the registry's interface are no paths of images.
        let path =
            ["/v1/", "/v2/"].iter().find_map(|version| path.strip_prefix(version)).unwrap_or(path);
        let registry = canonical_registry(registry);
        let (host, port) = split_port(&registry);
        if port == ":" {
            return None;
        }
        let port = port.strip_prefix(':').unwrap_or_default();
        let is_valid = is_host(host) && port.bytes().all(|byte| byte.is_ascii_digit());
        let path = path.strip_prefix('/').unwrap_or(path);
        is_valid.then(|| Self { host: host.into(), port: port.into(), path: path.into() })
    }

    /// Returns true if the credential of this key is for a repository of a registry.
    pub(super) fn matches(&self, registry: &str, repository: &str) -> bool {
        let (host, port) = split_port(registry);
        if port.strip_prefix(':').unwrap_or_default() != &*self.port
            || !repository.starts_with(&*self.path)
        {
            return false;
        }
        if host.starts_with('[') {
            return host == &*self.host;
        }
        let mut labels = host.split('.');
        let all = self.host.split('.').all(|pattern| {
            labels.next().is_some_and(|label| matches_glob(pattern.as_bytes(), label.as_bytes()))
        });
        all && labels.next().is_none()
    }

    /// Returns the key by which patterns are sorted: the longest path first, then a host without wildcards, then the
    /// longest host.
    pub(super) fn order(&self) -> (Reverse<usize>, bool, Reverse<usize>) {
        let has_wildcard = self.host.contains(['*', '?']);
        (Reverse(self.path.len()), has_wildcard, Reverse(self.host.len()))
    }
}

/// Returns true for an address of IPv6 in brackets, and for other hosts with `*` and `?`. Sets such as `[ab]` are not read.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let is_part = |byte: u8| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*' | b'?')
            };
            !host.is_empty() && host.bytes().all(is_part)
        }
    }
}

/// Compares a label with a pattern, in which `*` is any text and `?` any character.
fn matches_glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut in_text) = (0, 0);
    // The last `*`, and the position up to which it takes the text.
    let mut star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[in_text] => {
                at += 1;
                in_text += 1;
            }
            _ => match star {
                // The last `*` takes a character more.
                Some((position, taken)) => {
                    star = Some((position, taken + 1));
                    at = position + 1;
                    in_text = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_like_those_of_the_kubelet() {
        for (key, registry, repository, expected) in [
            ("h.io", "h.io", "a", true),
            ("H.io", "h.io", "a", true),
            ("https://h.io", "h.io", "a", true),
            ("http://h.io/v2/", "h.io", "a", true),
            ("h.io/", "h.io", "a", true),
            ("h.io/images", "h.io", "images/a", true),
            ("h.io/images", "h.io", "image", false),
            ("*.h.io", "a.h.io", "a", true),
            ("*.h.io", "h.io", "a", false),
            ("*.h.io", "a.b.h.io", "a", false),
            ("*.*.h.io", "a.b.h.io", "a", true),
            ("a*c.h.io", "abbc.h.io", "a", true),
            ("a?c.h.io", "abc.h.io", "a", true),
            ("*a*b.h.io", "xaxbxb.h.io", "a", true),
            ("*a*b.h.io", "xaxbxc.h.io", "a", false),
            ("h.io:5000", "h.io:5000", "a", true),
            ("h.io:5000", "h.io", "a", false),
            ("h.io", "h.io:5000", "a", false),
            ("*", "localhost", "a", true),
            ("*", "h.io", "a", false),
            ("[fd00::1]:5000", "[fd00::1]:5000", "a", true),
            ("[fd00::1]", "[fd00::2]", "a", false),
            ("docker.io", "docker.io", "library/a", true),
            ("index.docker.io", "docker.io", "library/a", true),
        ] {
            let pattern = Pattern::parse(key).unwrap();
            assert_eq!(
                pattern.matches(registry, repository),
                expected,
                "{key} {registry}/{repository}"
            );
        }
        for key in [
            "",
            "https://",
            "/path",
            "user:word@h.io",
            "h.io:port",
            "h io",
            "ftp://h.io",
            "[ab].h.io",
            "[x]",
        ] {
            assert_eq!(Pattern::parse(key), None, "{key}");
        }
    }

    #[test]
    fn many_wildcards_take_no_time() {
        let pattern = Pattern::parse(&format!("{}b", "a*".repeat(20_000))).unwrap();
        assert!(!pattern.matches(&"a".repeat(253), "a"));
    }
}
