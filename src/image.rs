//! Image references: splits the text of an image into registry, host and path.
//!
//! Parsing follows the reference grammar of the container distribution project (`github.com/distribution/reference`),
//! but only as far as the swap rules need it: it finds the end of the registry. It never fails, because an image that
//! no registry can serve must still pass through the webhook unchanged. [`is_valid_reference`] is the strict check.
//!
//! It deliberately does not normalize images.

mod characters;

use std::{borrow::Cow, sync::LazyLock};

use memchr::{memchr, memrchr, memrchr2};
use regex_automata::meta::Regex;

pub use self::characters::{has_reference_characters_only, has_upper_case, lower_case};

/// The registry of images without one.
pub const DOCKER_HUB: &str = "docker.io";

/// The name of Docker Hub in old clients. It counts as [`DOCKER_HUB`], with which it ends.
pub const DOCKER_HUB_INDEX: &str = "index.docker.io";

/// The path segment that Docker Hub puts before an image without an organization.
pub const LIBRARY: &str = "library";

/// Maximum length of an image in bytes. Longer images are left alone.
///
/// The distribution grammar limits a name to 255 characters, a tag to 128 and a digest to about 140, so a longer image
/// cannot be pulled. Without a limit, 3 MiB of image text in a pod would be matched against every glob of the map.
pub const MAX_IMAGE_BYTES: usize = 4096;

/// Maximum length of a name, which is an image without tag and digest, in the distribution grammar, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// An image, split into registry and path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ImageReference<'a> {
    text: &'a str,
    registry: Option<&'a str>,
    path: &'a str,
}

impl<'a> ImageReference<'a> {
    /// Splits `text` at the first `/` if the part before it is a registry and the part after it is not empty.
    ///
    /// A registry contains `.`, `:` or an upper-case letter, or is `localhost`.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let first = memchr(b'/', text.as_bytes()).map_or(text, |slash| &text[..slash]);
        match text.get(first.len() + 1..) {
            Some(path) if !path.is_empty() && is_registry(first) => {
                Self { text, registry: Some(without_index(first)), path }
            }
            _ => Self { text, registry: None, path: text },
        }
    }

    /// Returns the image as it is written.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Returns true if the image names no registry and is therefore an image of Docker Hub.
    #[must_use]
    pub fn is_shorthand(&self) -> bool {
        self.registry.is_none()
    }

    /// Returns the same image with its registry in lower case, because hosts have no case. `buffer` holds its text.
    ///
    /// An image that does not fit into the buffer is returned as it is.
    #[must_use]
    pub fn in_lower_case<'b>(&self, buffer: &'b mut [u8]) -> ImageReference<'b>
    where
        'a: 'b,
    {
        let Some(copy) = buffer.get_mut(..self.text.len()) else { return *self };
        copy.copy_from_slice(self.text.as_bytes());
        let start_of_path = self.text.len() - self.path.len();
        copy[..start_of_path].make_ascii_lowercase();
        let Ok(text) = str::from_utf8(copy) else { return *self };
        // In lower case, a registry may no longer look like one.
        let registry = self.registry.and(text[..start_of_path].strip_suffix('/'));
        let path = &text[start_of_path..];
        ImageReference { text, registry: registry.map(without_index), path }
    }

    /// Returns the registry with its port, in the case of the image.
    ///
    /// It is `docker.io` for a shorthand, and without `index.` for `index.docker.io`.
    #[must_use]
    pub fn registry(&self) -> &'a str {
        self.registry.unwrap_or(DOCKER_HUB)
    }

    /// Returns the registry without its port.
    #[must_use]
    pub fn host(&self) -> &'a str {
        split_port(self.registry()).0
    }

    /// Returns the port of the registry with its colon, such as `:443`. Empty if there is no port.
    #[must_use]
    pub fn port_suffix(&self) -> &'a str {
        split_port(self.registry()).1
    }

    /// Returns the part after the registry, with tag and digest. For a shorthand it is the whole image.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// Returns the path without tag and digest.
    #[must_use]
    pub fn repository(&self) -> &'a str {
        let name = memchr(b'@', self.path.as_bytes()).map_or(self.path, |at| &self.path[..at]);
        match memrchr2(b':', b'/', name.as_bytes()) {
            Some(at) if name.as_bytes()[at] == b':' => &name[..at],
            _ => name,
        }
    }

    /// Returns what the canonical path has before the path: `library/` for an official image of Docker Hub.
    #[must_use]
    pub fn library_prefix(&self) -> &'static str {
        if self.is_library() { "library/" } else { "" }
    }

    /// Returns true if the canonical path has `library/` before the path.
    #[must_use]
    pub fn is_library(&self) -> bool {
        self.registry().eq_ignore_ascii_case(DOCKER_HUB)
            && memchr(b'/', self.path.as_bytes()).is_none()
    }

    /// Returns the last segment of the image, with tag and digest.
    #[must_use]
    pub fn last_segment(&self) -> &'a str {
        memrchr(b'/', self.text.as_bytes()).map_or(self.text, |slash| &self.text[slash + 1..])
    }

    /// Returns the tag and the digest with their separators, such as `:1.27`. Empty if the image has neither.
    #[must_use]
    pub fn tag_and_digest(&self) -> &'a str {
        &self.path[self.repository().len()..]
    }

    /// Returns true if the host is an IPv6 address, which can only be the host of a reference, not a part of its path.
    #[must_use]
    pub fn has_ipv6_host(&self) -> bool {
        self.registry().starts_with('[')
    }
}

/// Returns true if `first`, the text before the first `/` of an image, is a registry.
#[must_use]
pub fn is_registry(first: &str) -> bool {
    let marks_registry = |byte| matches!(byte, b'.' | b':' | b'A'..=b'Z');
    first.bytes().any(marks_registry) || first == "localhost"
}

/// Returns the form of a registry in which registries are compared: in lower case, and without `index.` if it is
/// `index.docker.io`.
#[must_use]
pub fn canonical_registry(registry: &str) -> Cow<'_, str> {
    let registry = without_index(registry);
    if registry.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(registry.to_ascii_lowercase())
    } else {
        Cow::Borrowed(registry)
    }
}

/// Returns the registry without `index.` if its host is `index.docker.io`.
fn without_index(registry: &str) -> &str {
    // Few other registries start with this letter, so most need no further comparison.
    let may_be_index = matches!(registry.as_bytes().first(), Some(b'i' | b'I'));
    let host = registry.get(..DOCKER_HUB_INDEX.len()).filter(|_| may_be_index);
    if host.is_some_and(|host| host.eq_ignore_ascii_case(DOCKER_HUB_INDEX))
        && split_port(registry).0.len() == DOCKER_HUB_INDEX.len()
    {
        &registry[DOCKER_HUB_INDEX.len() - DOCKER_HUB.len()..]
    } else {
        registry
    }
}

/// Returns true if `text` is a valid image reference in the distribution grammar.
#[must_use]
pub fn is_valid_reference(text: &str) -> bool {
    text.len() <= MAX_IMAGE_BYTES
        && REFERENCE.is_match(text)
        && text.len() - ImageReference::parse(text).tag_and_digest().len() <= MAX_NAME_BYTES
}

/// Splits a text before its first `/`, into a registry and the rest with its `/`. The rest may be empty.
#[must_use]
pub fn split_path(text: &str) -> (&str, &str) {
    text.split_at(memchr(b'/', text.as_bytes()).unwrap_or(text.len()))
}

/// Splits `host:port` before the colon. An IPv6 address in brackets keeps its colons.
#[must_use]
pub fn split_port(registry: &str) -> (&str, &str) {
    match memrchr(b':', registry.as_bytes()) {
        Some(colon) if !registry.ends_with(']') => registry.split_at(colon),
        _ => (registry, ""),
    }
}

/// The distribution grammar: `[domain[:port]/]path[:tag][@digest]`.
#[expect(clippy::expect_used, reason = "the pattern is a constant that the tests compile")]
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    let label = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    let component = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*";
    let pattern = format!(
        r"^(?:(?:{label}(?:\.{label})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?{component}(?:/{component})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{{32,}})?$"
    );
    Regex::new(&pattern).expect("the reference grammar compiles")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_split_as_in_the_distribution_grammar() {
        // text, registry, host, port suffix, path, repository, shorthand, library
        let cases = [
            ("nginx", "docker.io", "docker.io", "", "nginx", "nginx", true, true),
            ("nginx:1.27", "docker.io", "docker.io", "", "nginx:1.27", "nginx", true, true),
            ("a/b", "docker.io", "docker.io", "", "a/b", "a/b", true, false),
            ("docker.io/nginx", "docker.io", "docker.io", "", "nginx", "nginx", false, true),
            ("index.docker.io/a/b", "docker.io", "docker.io", "", "a/b", "a/b", false, false),
            ("quay.io/a/b:1", "quay.io", "quay.io", "", "a/b:1", "a/b", false, false),
            ("localhost/x", "localhost", "localhost", "", "x", "x", false, false),
            ("name:5000/x", "name:5000", "name", ":5000", "x", "x", false, false),
            ("[::1]:5000/x", "[::1]:5000", "[::1]", ":5000", "x", "x", false, false),
            ("[::1]/x", "[::1]", "[::1]", "", "x", "x", false, false),
            ("index.docker.io:443/a", "docker.io:443", "docker.io", ":443", "a", "a", false, false),
            ("Index.Docker.IO/a", "Docker.IO", "Docker.IO", "", "a", "a", false, true),
            (
                "index.docker.io:x:1/a",
                "index.docker.io:x:1",
                "index.docker.io:x",
                ":1",
                "a",
                "a",
                false,
                false,
            ),
            ("MYREG/team/app:1", "MYREG", "MYREG", "", "team/app:1", "team/app", false, false),
            ("myReg:5000/app", "myReg:5000", "myReg", ":5000", "app", "app", false, false),
            ("team/App", "docker.io", "docker.io", "", "team/App", "team/App", true, false),
            ("quay.io/", "docker.io", "docker.io", "", "quay.io/", "quay.io/", true, false),
            ("q.io/a:1@sha256:ab", "q.io", "q.io", "", "a:1@sha256:ab", "a", false, false),
            ("q.io/a@sha256:ab", "q.io", "q.io", "", "a@sha256:ab", "a", false, false),
            ("", "docker.io", "docker.io", "", "", "", true, true),
        ];
        for (text, registry, host, port, path, repository, shorthand, library) in cases {
            let image = ImageReference::parse(text);
            let seen = (
                image.registry(),
                image.host(),
                image.port_suffix(),
                image.path(),
                image.repository(),
                image.is_shorthand(),
                image.is_library(),
            );
            assert_eq!(
                seen,
                (registry, host, port, path, repository, shorthand, library),
                "{text}"
            );
        }
    }

    #[test]
    fn only_the_registry_of_an_image_is_written_in_lower_case() {
        for (text, lower) in [
            ("Quay.IO:80/Team/App:V1", "quay.io:80/Team/App:V1"),
            ("[FD00::1]/X", "[fd00::1]/X"),
            ("Index.docker.io/X", "index.docker.io/X"),
            ("MyReg/X", "myreg/X"),
            ("Nginx:V1", "Nginx:V1"),
            ("Quay.IO/", "Quay.IO/"),
            ("quay.io/é", "quay.io/é"),
        ] {
            let mut buffer = [0; MAX_IMAGE_BYTES];
            let image = ImageReference::parse(text);
            let in_lower_case = image.in_lower_case(&mut buffer);
            assert_eq!(in_lower_case.text(), lower);
            assert_eq!(in_lower_case.is_shorthand(), image.is_shorthand(), "{text}");
        }
    }

    #[test]
    fn registries_have_a_canonical_form() {
        for (registry, canonical) in [
            ("Quay.IO:80", "quay.io:80"),
            ("index.docker.io", "docker.io"),
            ("Index.Docker.io:443", "docker.io:443"),
            ("my.index.docker.io", "my.index.docker.io"),
            ("index.docker.io.corp", "index.docker.io.corp"),
        ] {
            assert_eq!(canonical_registry(registry), canonical);
        }
    }

    #[test]
    fn valid_references_are_those_of_the_distribution_grammar() {
        for valid in [
            "nginx",
            "nginx:1.27",
            "a__b/c-d/e.f",
            "localhost:5000/x",
            "Registry.Corp:8443/team/app:V1",
            "q.io/a:1@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7",
        ] {
            assert!(is_valid_reference(valid), "{valid}");
        }
        for invalid in ["", "Nginx", "a//b", "/a", "a/", "q.io/a:", "a b", "q.io:port/a", "q.io/é"]
        {
            assert!(!is_valid_reference(invalid), "{invalid}");
        }
        assert!(!is_valid_reference(&"a".repeat(256)), "the name is too long");
    }
}
