//! The target of a rule, and the check whether an image is already under it.

use std::fmt;

use super::template::{Template, TemplateError};
use crate::image::{ImageReference, canonical_registry, is_registry, split_path};

/// The target of a rule: the text after the separator.
///
/// If it is empty, the rule leaves its images alone.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Target {
    text: Box<str>,
    /// `None` for a target without placeholders whose host is in lower case, as most are.
    details: Option<Box<Details>>,
}

/// The properties of a target that are not simply a part of its text.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Details {
    template: Option<Template>,
    scope: Scope<Box<str>>,
}

/// The images that are under a target: those that start with a text.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Scope<T> {
    /// The text, with its host in lower case, and without a trailing `/`.
    pub(super) base: T,
    /// True if any text may follow. Otherwise the image ends there, or a `/` follows.
    pub(super) is_prefix: bool,
}

impl Target {
    /// The placeholder for the host of the image.
    pub const REGISTRY_PLACEHOLDER: &str = Template::REGISTRY;

    /// Creates a target from the text in the map, without white space.
    #[must_use]
    pub fn new(text: &str) -> Self {
        // A target with an invalid placeholder is an invalid target, because no reference contains braces.
        let template = Template::parse(text).ok().flatten();
        let plain = Self { text: text.into(), details: None };
        let Scope { base, is_prefix } = match &template {
            Some(template) => {
                let start = template.start();
                Scope { base: start.trim_end_matches('/'), is_prefix: !start.ends_with('/') }
            }
            None => plain.scope(),
        };
        let (host, path) = split_path(base);
        // A bare host is compared with the host of an image, so it has the same form.
        let canonical = if is_bare_host(base) && !is_prefix {
            canonical_registry(host).into_owned()
        } else {
            host.to_ascii_lowercase()
        };
        if template.is_none() && canonical == host {
            return plain;
        }
        let base = format!("{canonical}{path}").into();
        let details = Details { template, scope: Scope { base, is_prefix } };
        Self { text: plain.text, details: Some(Box::new(details)) }
    }

    /// Returns the target as it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the target without trailing `/`. A `/` can be appended without doubling it.
    #[must_use]
    pub fn base(&self) -> &str {
        self.text.trim_end_matches('/')
    }

    /// Returns true if the rule leaves its images alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns true if images are appended to the target without a `/` in between.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.text.ends_with('-')
    }

    /// Returns true if the target is a registry without a path.
    #[must_use]
    pub fn is_registry(&self) -> bool {
        !self.base().contains('/')
    }

    /// Returns true if the new images have a registry: that of the target, or that of the old image behind a prefix.
    #[must_use]
    pub fn names_registry(&self) -> bool {
        let (host, path) = split_path(self.base());
        (self.is_prefix() && path.is_empty()) || is_registry(host)
    }

    /// Returns true if the target is a host without port and path.
    #[must_use]
    pub fn is_bare_host(&self) -> bool {
        is_bare_host(self.base())
    }

    /// Returns true if the target cannot be a host, only the first segment of a path, because it contains a `_`.
    #[must_use]
    pub fn cannot_be_host(&self) -> bool {
        self.is_registry() && self.text.contains('_')
    }

    /// Returns the target with the `/{path}` that is meant at its end, if it has placeholders and all are valid.
    #[must_use]
    pub fn pattern(&self) -> Option<String> {
        self.template().map(ToString::to_string)
    }

    /// Returns the text with which the images under this target start, with its host in lower case. The flag is true if
    /// any text may follow; otherwise the image ends there, or a `/` follows.
    #[must_use]
    pub fn covered_prefix(&self) -> (&str, bool) {
        let Scope { base, is_prefix } = self.scope();
        (base, is_prefix)
    }

    /// Returns true if `image` is already under this target (section 5 of the swap rules).
    ///
    /// The registry of the image is in lower case.
    #[must_use]
    pub fn covers(&self, image: &ImageReference<'_>) -> bool {
        self.scope().contains(image)
    }

    /// Returns true if `image` is the repository that the target names, with a tag or a digest.
    ///
    /// A rule whose key names a whole repository produces such images: with `docker.io/library/nginx::h.io/web`,
    /// `nginx:1` becomes `h.io/web:1`. They count as under the target, because a second pass would otherwise swap them
    /// again. The registry of the image is in lower case.
    fn is_repository_of(&self, image: &ImageReference<'_>) -> bool {
        let rest = image.text().strip_prefix(self.scope().base);
        self.template().is_none() && rest.is_some_and(|rest| rest.starts_with([':', '@']))
    }

    /// Returns true if `image` is under this target as the target of a registry rule. `has_path` is true if the key of
    /// the rule has a path prefix.
    #[must_use]
    pub fn covers_result(&self, image: &ImageReference<'_>, has_path: bool) -> bool {
        self.covers(image) || (has_path && self.is_repository_of(image))
    }

    /// Returns each placeholder of the target with its value for `image`. Empty if the target has none.
    #[must_use]
    pub fn placeholders(&self, image: &ImageReference<'_>) -> Vec<(&'static str, String)> {
        self.template().map(|template| template.values(image)).unwrap_or_default()
    }

    /// Returns the template, if the target has placeholders and all are valid.
    pub(super) fn template(&self) -> Option<&Template> {
        self.details.as_ref()?.template.as_ref()
    }

    /// Returns the reason why the braces of the target are not placeholders, if they are not.
    pub(super) fn template_error(&self) -> Option<TemplateError> {
        Template::parse(&self.text).err()
    }

    /// Returns the images that are under this target.
    pub(super) fn scope(&self) -> Scope<&str> {
        match &self.details {
            Some(details) => {
                Scope { base: &details.scope.base, is_prefix: details.scope.is_prefix }
            }
            None => Scope { base: self.base(), is_prefix: self.is_prefix() },
        }
    }
}

impl Scope<&str> {
    fn contains(&self, image: &ImageReference<'_>) -> bool {
        let rest = image.text().strip_prefix(self.base);
        if rest.is_some_and(|rest| self.is_prefix || rest.is_empty() || rest.starts_with('/')) {
            return true;
        }
        !self.is_prefix && self.base == image.host() && is_bare_host(self.base)
    }
}

fn is_bare_host(base: &str) -> bool {
    !base.bytes().any(|byte| byte == b'/' || byte == b':')
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
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
            ("index.docker.io", "nginx", true),
            ("index.docker.io", "index.docker.io:80/x", true),
            ("index.docker.io/a", "index.docker.io/a/x", true),
            ("H.io/Proxy", "h.io/Proxy/x", true),
            ("H.io/Proxy", "h.io/proxy/x", false),
            ("H.io", "h.io:443/x", true),
            ("Mirror-", "mirror-quay.io/x", true),
            ("h.io/{registry}", "h.io/x", true),
            ("h.io/{registry}", "h.io:443/x", true),
            ("h.io/a/{path}", "h.io/ab", false),
            ("h.io/a/x.{path}", "h.io/a/x.y", true),
            ("h.io/a/x.{path}", "h.io/a/x/y", false),
            ("H.io/A/{path}", "h.io/A/x", true),
        ] {
            assert_eq!(
                Target::new(target).covers(&ImageReference::parse(image)),
                under,
                "{image} under {target}"
            );
        }
    }
}
