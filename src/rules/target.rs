//! The target of a rule, and the check whether an image is already under it.

use std::fmt;

use crate::image::ImageReference;

/// The target of a rule: the text after the separator.
///
/// If it is empty, the rule leaves its images alone.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Target(Box<str>);

impl Target {
    /// Creates a target from the text in the map, without white space.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the target as it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Returns the target without trailing `/`. A `/` can be appended without doubling it.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.trim_end_matches('/')
    }

    /// Returns true if the rule leaves its images alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if images are appended to the target without a `/` in between.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.0.ends_with('-')
    }

    /// Returns true if the target is a host without port and path.
    #[must_use]
    pub fn is_bare_host(&self) -> bool {
        !self.base().bytes().any(|byte| byte == b'/' || byte == b':')
    }

    /// Returns true if `image` is already under this target (section 5 of the swap rules).
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

    /// Returns true if `image` is the repository that the target names, with a tag or a digest.
    ///
    /// A rule whose key names a whole repository produces such images: with `docker.io/library/nginx::h.io/web`,
    /// `nginx:1` becomes `h.io/web:1`. They count as under the target, because a second pass would otherwise swap them
    /// again.
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
