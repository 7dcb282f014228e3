//! The decision on one image: the new image, if any, and the reason.

use std::fmt;

use serde::Serialize;

use super::rule::Rule;
use crate::{
    closed_enum::closed_enum,
    image::{MAX_IMAGE_BYTES, has_reference_characters_only},
};

closed_enum! {
    /// The reason why an image was swapped or left alone.
    #[derive(Hash, Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Reason {
        /// The image is already under the target.
        AlreadySwapped => "already-swapped",
        /// The `default` rule.
        Default => "default",
        /// The image is the empty string.
        Empty => "empty",
        /// An `[EXACT]` rule.
        Exact => "exact",
        /// The target of the rule does not give a valid reference, so its images are left alone.
        InvalidTarget => "invalid-target",
        /// LEGACY mode.
        Legacy => "legacy",
        /// The text contains a character that is not allowed in a reference. It may be a template that is not filled in
        /// yet.
        Malformed => "malformed",
        /// The pull policy is `Never`, so the node must already have the image under this name. Admission decides this,
        /// not the rules.
        NeverPulled => "never-pulled",
        /// The map has no `default` rule.
        NoDefault => "no-default",
        /// A substring of `noswap_wildcards`.
        NoswapWildcard => "noswap-wildcard",
        /// The image is `auto`, which Istio's injector replaces with its proxy image.
        Placeholder => "placeholder",
        /// A registry rule.
        Registry => "registry",
        /// A `[REPLACE]` rule.
        Replace => "replace",
        /// The image is longer than any image that can be pulled.
        TooLong => "too-long",
    }
}

/// The image that Istio's injector replaces with its proxy image.
///
/// No registry serves it. The API server calls `imageswap-webhook` before `istio-sidecar-injector`, so the pod still
/// contains it.
pub(super) const PLACEHOLDER: &str = "auto";

/// Returns the reason to leave `image` alone before any rule is tried, if there is one.
pub(super) fn reason_to_skip(image: &str) -> Option<Reason> {
    if image.is_empty() {
        Some(Reason::Empty)
    } else if !has_reference_characters_only(image) {
        Some(Reason::Malformed)
    } else if image.len() > MAX_IMAGE_BYTES {
        Some(Reason::TooLong)
    } else {
        None
    }
}

/// The decision on one image.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// The reason of the decision.
    pub reason: Reason,
    /// The rule that decided. `None` in LEGACY mode, and if no rule was reached.
    pub rule: Option<&'a Rule>,
    /// The new image. `None` if the image is left alone.
    pub swapped: Option<SwappedImage<'a>>,
}

impl<'a> Decision<'a> {
    /// Creates the decision to leave the image alone.
    pub(super) fn leave(reason: Reason, rule: Option<&'a Rule>) -> Self {
        Self { reason, rule, swapped: None }
    }

    /// Creates the decision to replace `image` with `swapped`. If they are equal, the image is left alone.
    pub(super) fn swap(
        reason: Reason,
        rule: impl Into<Option<&'a Rule>>,
        image: &str,
        swapped: SwappedImage<'a>,
    ) -> Self {
        Self { reason, rule: rule.into(), swapped: (!swapped.is(image)).then_some(swapped) }
    }

    /// Returns the new image, or `image` itself if it is left alone.
    #[must_use]
    pub fn result(&self, image: &str) -> String {
        self.swapped.map_or_else(|| image.to_owned(), |swapped| swapped.to_string())
    }
}

/// A new image, as pieces of the rule and the old image.
///
/// The pieces are joined only where the text is needed, so a decision allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct SwappedImage<'a>([&'a str; 4]);

impl<'a> SwappedImage<'a> {
    /// Joins up to four pieces.
    pub(super) fn new<const N: usize>(pieces: [&'a str; N]) -> Self {
        const { assert!(N <= 4) };
        let mut all = [""; 4];
        all[..N].copy_from_slice(&pieces);
        Self(all)
    }

    /// Appends the image to `text`.
    pub fn append_to(&self, text: &mut String) {
        self.0.iter().for_each(|piece| text.push_str(piece));
    }

    fn is(&self, image: &str) -> bool {
        self.0.iter().try_fold(image, |rest, piece| rest.strip_prefix(piece)) == Some("")
    }
}

impl fmt::Display for SwappedImage<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| formatter.write_str(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_serialized_by_their_names() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }

    #[test]
    fn a_result_equal_to_the_image_is_no_swap() {
        let swapped = SwappedImage::new(["d.io", "/", "x"]);
        assert!(Decision::swap(Reason::Default, None, "d.io/x", swapped).swapped.is_none());
        assert!(Decision::swap(Reason::Default, None, "d.io/xy", swapped).swapped.is_some());
        assert!(Decision::swap(Reason::Default, None, "d.io/", swapped).swapped.is_some());
    }
}
