//! What becomes of one image, and why.

use std::fmt;

use serde::Serialize;

use super::rule::Rule;
use crate::{
    closed_enum::closed_enum,
    image::{MAX_IMAGE_BYTES, has_reference_characters_only},
};

closed_enum! {
    /// Why an image was swapped or left alone.
    #[derive(Hash, Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Reason {
        /// The image is under the target already.
        AlreadySwapped => "already-swapped",
        /// The `default` rule.
        Default => "default",
        /// The image is the empty string.
        Empty => "empty",
        /// An `[EXACT]` rule.
        Exact => "exact",
        /// The target of the rule makes no valid reference, so its images are left alone.
        InvalidTarget => "invalid-target",
        /// LEGACY mode.
        Legacy => "legacy",
        /// The text has a character that no reference has: it is no image yet, or never will be.
        Malformed => "malformed",
        /// The image has to be on the node already, under the name as written. Admission decides this from the pull
        /// policy, not the rules.
        NeverPulled => "never-pulled",
        /// The map has no `default` rule.
        NoDefault => "no-default",
        /// A substring of `noswap_wildcards`.
        NoswapWildcard => "noswap-wildcard",
        /// The image `auto`, in whose place Istio's injector puts its proxy.
        Placeholder => "placeholder",
        /// A registry rule.
        Registry => "registry",
        /// A `[REPLACE]` rule.
        Replace => "replace",
        /// The image is longer than any that can be pulled.
        TooLong => "too-long",
    }
}

/// The image that Istio's injector puts its proxy in the place of. It is no image that anybody can pull, and
/// `imageswap-webhook` is asked before `istio-sidecar-injector`.
pub(super) const PLACEHOLDER: &str = "auto";

/// The reason for which no rule is asked about `image`, if there is one.
pub(super) fn untouchable(image: &str) -> Option<Reason> {
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

/// What becomes of one image.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// Why.
    pub reason: Reason,
    /// The rule that decided; none in LEGACY mode and when no rule was reached.
    pub rule: Option<&'a Rule>,
    /// The new image; none when the image is left alone.
    pub swapped: Option<SwappedImage<'a>>,
}

impl<'a> Decision<'a> {
    /// The image is left alone.
    pub(super) fn leave(reason: Reason, rule: Option<&'a Rule>) -> Self {
        Self { reason, rule, swapped: None }
    }

    /// The image becomes `swapped`, or is left alone when that is the image itself.
    pub(super) fn swap(
        reason: Reason,
        rule: impl Into<Option<&'a Rule>>,
        image: &str,
        swapped: SwappedImage<'a>,
    ) -> Self {
        Self { reason, rule: rule.into(), swapped: (!swapped.is(image)).then_some(swapped) }
    }

    /// The image as it is to be: the new one, or `image` when it is left alone.
    #[must_use]
    pub fn result(&self, image: &str) -> String {
        self.swapped.map_or_else(|| image.to_owned(), |swapped| swapped.to_string())
    }
}

/// A new image, as the pieces of rule and old image that make it up.
///
/// It is written where it is needed, so that a decision allocates nothing.
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
    fn an_image_that_stays_the_same_is_left_alone() {
        let swapped = SwappedImage::new(["d.io", "/", "x"]);
        assert!(Decision::swap(Reason::Default, None, "d.io/x", swapped).swapped.is_none());
        assert!(Decision::swap(Reason::Default, None, "d.io/xy", swapped).swapped.is_some());
        assert!(Decision::swap(Reason::Default, None, "d.io/", swapped).swapped.is_some());
    }
}
