//! An image as a registry is asked for it.

use std::fmt;

use crate::image::{ImageReference, canonical_registry, is_valid_reference};

/// The tag of an image without tag and digest.
const DEFAULT_TAG: &str = "latest";

/// An image as a registry is asked for it: registry, repository, and tag or digest.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Target {
    registry: Box<str>,
    repository: Box<str>,
    reference: Box<str>,
}

impl Target {
    /// Parses an image. `None` if it is not a valid reference, so that nobody is asked for it.
    #[must_use]
    pub fn parse(image: &str) -> Option<Self> {
        if !is_valid_reference(image) {
            return None;
        }
        let image = ImageReference::parse(image);
        // `[fd1]/a` has no registry for a runtime, which looks for a dot or a colon, and no valid repository then.
        if image.repository().starts_with('[') {
            return None;
        }
        let (tag, digest) =
            image.tag_and_digest().split_once('@').unwrap_or((image.tag_and_digest(), ""));
        let tag = tag.strip_prefix(':').unwrap_or(DEFAULT_TAG);
        // A registry may take another digest for a fault of its own, and a runtime refuses it.
        if !digest.is_empty() && !is_digest(digest) {
            return None;
        }
        // A runtime pulls by the digest, and ignores the tag beside it.
        let reference = if digest.is_empty() { tag } else { digest };
        Some(Self {
            registry: canonical_registry(image.registry()).into(),
            repository: format!("{}{}", image.library_prefix(), image.repository()).into(),
            reference: reference.into(),
        })
    }

    /// Returns the registry with its port, in lower case. It is `docker.io` for Docker Hub.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the repository, with `library/` for an official image of Docker Hub.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the digest, or the tag if there is no digest.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.reference
    }
}

/// Returns true if the algorithm of a digest is registered in the OCI image specification, and its value is as long as the
/// algorithm says, in lower case.
fn is_digest(digest: &str) -> bool {
    let Some((algorithm, value)) = digest.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    value.len() == length && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.reference.contains(':') { '@' } else { ':' };
        write!(formatter, "{}/{}{separator}{}", self.registry, self.repository, self.reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_asked_for_by_digest_or_tag() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (image, expected) in [
            ("nginx", "docker.io/library/nginx:latest".to_owned()),
            ("index.docker.io/a/b:1", "docker.io/a/b:1".to_owned()),
            ("Host.io:5000/a:V1", "host.io:5000/a:V1".to_owned()),
            (&format!("h.io/a:1@{digest}"), format!("h.io/a@{digest}")),
            ("[fd00::1]:80/a", "[fd00::1]:80/a:latest".to_owned()),
        ] {
            assert_eq!(Target::parse(image).unwrap().to_string(), expected);
        }
        for image in ["h.io/a/../b:1", "h.io//a", "h.io/a:", "h.io/A:1", "h.io/a?b", "[fd1]/a", ""]
        {
            assert_eq!(Target::parse(image), None, "{image}");
        }
        for digest in [
            format!("foo:{}", "ab".repeat(32)),
            format!("sha256:{}", "AB".repeat(32)),
            format!("sha256:{}", "ab".repeat(31)),
            format!("sha512:{}", "ab".repeat(32)),
        ] {
            assert_eq!(Target::parse(&format!("h.io/a@{digest}")), None, "{digest}");
        }
    }
}
