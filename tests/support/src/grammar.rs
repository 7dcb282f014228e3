//! A naive parser for the reference grammar of the container distribution project. It tries every way to split a text.
//! It shares no code with the program.
//!
//! `[domain[:port]/]path[:tag][@digest]` (<https://github.com/distribution/reference/blob/main/reference.go>).

/// Returns true if a registry would accept `text` as an image reference.
pub fn is_reference(text: &str) -> bool {
    text.len() <= 4096
        && splits(text, '@').any(|(text, digest)| {
            digest.is_none_or(is_digest)
                && splits(text, ':')
                    .any(|(name, tag)| tag.is_none_or(is_tag) && name.len() <= 255 && is_name(name))
        })
}

/// Returns the whole text, and the text split in two at each separator.
fn splits(text: &str, separator: char) -> impl Iterator<Item = (&str, Option<&str>)> {
    let cut = move |(at, found): (usize, &str)| (&text[..at], Some(&text[at + found.len()..]));
    std::iter::once((text, None)).chain(text.match_indices(separator).map(cut))
}

fn is_name(name: &str) -> bool {
    is_path(name)
        || name.split_once('/').is_some_and(|(domain, path)| is_domain(domain) && is_path(path))
}

fn is_domain(domain: &str) -> bool {
    splits(domain, ':').any(|(host, port)| {
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        port.is_none_or(is_port) && (host.split('.').all(is_label) || is_address(host))
    })
}

fn is_label(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_address(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    address.is_some_and(|address| {
        !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
    })
}

fn is_path(path: &str) -> bool {
    path.split('/').all(is_component)
}

/// Returns true for lower-case letters and digits, with `.`, `_`, `__` or any number of `-` between them.
fn is_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separator = String::new();
    // A component must not start with a separator.
    let mut is_valid = component.bytes().next().is_some_and(is_word);
    for byte in component.bytes() {
        if is_word(byte) {
            is_valid &= is_separator(&separator) || separator.is_empty();
            separator.clear();
        } else {
            separator.push(char::from(byte));
        }
    }
    is_valid && separator.is_empty()
}

fn is_separator(text: &str) -> bool {
    matches!(text, "." | "_" | "__") || (!text.is_empty() && text.bytes().all(|byte| byte == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

fn is_digest(digest: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        algorithm.split(['-', '_', '+', '.']).all(is_part)
            && hex.len() >= 32
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_references_follow_the_grammar() {
        let digest = "sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7";
        let long = "a".repeat(255);
        for valid in ["a", "a:1", "A.b:80/c", "[::1]/c", "a__b.c--d", "a/b_c:V-1_.", &long] {
            assert!(is_reference(valid), "{valid}");
            assert!(is_reference(&format!("{valid}@{digest}")), "{valid}");
        }
        let too_long = "a".repeat(256);
        for invalid in ["", "A", "a/", "/a", "a___b", "a._b", "a-", "a:", "a:.", "a@b", &too_long] {
            assert!(!is_reference(invalid), "{invalid}");
        }
    }
}
