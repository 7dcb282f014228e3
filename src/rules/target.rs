//! Where a rule sends images, and which images are there already.

use std::fmt;

use crate::image::ImageReference;

/// The text after a rule's separator.
///
/// An empty target means: leave the image alone.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Target(Box<str>);

impl Target {
    /// Takes the text as written, white space already removed.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The target as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The target without trailing `/`, so that joining never doubles one.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.trim_end_matches('/')
    }

    /// Whether images are to be left alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the target is glued to what follows instead of being joined with `/`.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.0.ends_with('-')
    }

    /// Whether the target is a host without port and path.
    #[must_use]
    pub fn is_bare_host(&self) -> bool {
        !self.base().bytes().any(|byte| byte == b'/' || byte == b':')
    }

    /// Whether `image` is under this target already (section 5 of the swap rules).
    #[must_use]
    pub fn covers(&self, image: &ImageReference<'_>) -> bool {
        let base = self.base();
        let text = image.text();
        if let Some(rest) = text.strip_prefix(base)
            && (self.is_prefix() || rest.is_empty() || rest.starts_with('/'))
        {
            return true;
        }
        base == image.host() && self.is_bare_host()
    }

    /// Whether `image` is this very repository with a tag or a digest.
    ///
    /// A key with a path prefix that names a whole repository yields such images: with
    /// `docker.io/library/nginx::h.io/web`, `nginx:1` becomes `h.io/web:1`. They count as under
    /// the target, or a second pass would swap them again.
    #[must_use]
    pub fn is_repository_of(&self, image: &ImageReference<'_>) -> bool {
        image.text().strip_prefix(self.base()).is_some_and(|rest| rest.starts_with([':', '@']))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_under_its_target() {
        for (target, image, under) in [
            ("h.io", "h.io/x", true),
            ("h.io", "h.io", true),
            ("h.io", "h.io:443/x", true),
            ("h.io", "h.iou/x", false),
            ("h.io:443", "h.io/x", false),
            ("h.io/proxy", "h.io/proxy/x", true),
            ("h.io/proxy/", "h.io/proxy/x", true),
            ("h.io/proxy", "h.io/proxyx/x", false),
            ("h.io/proxy", "h.io/proxy:1", false),
            ("h.io/mirror-", "h.io/mirror-quay.io/x", true),
            ("h.io/mirror-", "h.io/mirror/x", false),
            ("docker.io", "nginx", true),
        ] {
            assert_eq!(
                Target::new(target).covers(&ImageReference::parse(image)),
                under,
                "{image} under {target}"
            );
        }
    }
}
