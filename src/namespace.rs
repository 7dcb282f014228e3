//! Names of namespaces.

/// End of the name of a file with the map of a namespace; the rest is the name of the namespace.
pub(crate) const MAP_EXTENSION: &str = ".conf";

/// Returns true if a namespace can have this name: it is a DNS label
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>).
#[must_use]
pub(crate) fn is_namespace(name: &str) -> bool {
    let is_edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let name = name.as_bytes();
    name.len() <= 63
        && name.first().is_some_and(is_edge)
        && name.last().is_some_and(is_edge)
        && name.iter().all(|byte| is_edge(byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_label_in_lower_case() {
        let long = "a".repeat(64);
        for (name, expected) in [
            ("a", true),
            ("kube-system", true),
            ("0-9", true),
            (&long[..63], true),
            (&*long, false),
            ("", false),
            ("-a", false),
            ("a-", false),
            ("A", false),
            ("a.b", false),
            ("a_b", false),
            ("é", false),
        ] {
            assert_eq!(is_namespace(name), expected, "{name}");
        }
    }
}
