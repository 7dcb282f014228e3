//! LEGACY mode, the deprecated predecessor of the map: one prefix for all images.
//!
//! It implements section 6 of the swap rules.

use super::{
    decision::{Decision, PLACEHOLDER, Reason, reason_to_skip},
    swapped_image::SwappedImage,
};
use crate::image::ImageReference;

/// The prefix that LEGACY mode puts before images, from `IMAGE_PREFIX`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LegacyPrefix(Box<str>);

impl LegacyPrefix {
    /// Creates a prefix from the text of the setting. An empty prefix swaps nothing.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self(prefix.into())
    }

    /// Returns the prefix as it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Decides how an image is rewritten. It never fails and never panics, whatever the text.
    #[must_use]
    pub fn decide<'a>(&'a self, image: &'a str) -> Decision<'a> {
        let prefix = &*self.0;
        if let Some(reason) = reason_to_skip(image) {
            return Decision::leave(reason, None);
        }
        if image == PLACEHOLDER {
            return Decision::leave(Reason::Placeholder, None);
        }
        if prefix.is_empty() {
            return Decision::leave(Reason::Legacy, None);
        }
        if image.contains(prefix) {
            return Decision::leave(Reason::AlreadySwapped, None);
        }
        let swapped = if prefix.ends_with('-') {
            SwappedImage::joined([prefix, image])
        } else {
            let last = ImageReference::parse(image).last_segment();
            SwappedImage::joined([prefix.trim_end_matches('/'), "/", last])
        };
        Decision::swap(Reason::Legacy, None, image, swapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_mode_follows_section_6() {
        for (prefix, image, result, reason) in [
            ("", "nginx", "nginx", Reason::Legacy),
            ("d.io", "quay.io/a/b:1", "d.io/b:1", Reason::Legacy),
            ("d.io/", "nginx", "d.io/nginx", Reason::Legacy),
            ("d.io/mirror-", "quay.io/a", "d.io/mirror-quay.io/a", Reason::Legacy),
            ("d.io", "x/d.io/y", "x/d.io/y", Reason::AlreadySwapped),
            ("d.io", "", "", Reason::Empty),
            ("d.io", " nginx", " nginx", Reason::Malformed),
            ("d.io", "$(params.image)", "$(params.image)", Reason::Malformed),
            ("d.io", "auto", "auto", Reason::Placeholder),
            ("d.io", "auto:1", "d.io/auto:1", Reason::Legacy),
        ] {
            let legacy = LegacyPrefix::new(prefix);
            let decision = legacy.decide(image);
            assert_eq!((decision.result(image).as_str(), decision.reason), (result, reason));
            let again = decision.result(image);
            assert_eq!(legacy.decide(&again).result(&again), again, "idempotent");
        }
    }
}
