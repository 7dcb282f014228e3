//! What becomes of one image, and why.

use std::fmt;

use serde::Serialize;

use super::rule::Rule;
use crate::image::{MAX_IMAGE_BYTES, has_reference_characters_only};

/// Why an image was swapped or left alone.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The image is under the target already.
    AlreadySwapped,
    /// The `default` rule.
    Default,
    /// The image is the empty string.
    Empty,
    /// An `[EXACT]` rule.
    Exact,
    /// The target of the rule makes no valid reference, so its images are left alone.
    InvalidTarget,
    /// LEGACY mode.
    Legacy,
    /// The text has a character that no reference has: it is no image yet, or never will be.
    Malformed,
    /// The image has to be on the node already, under the name as written. Admission decides this from the pull
    /// policy, not the rules.
    NeverPulled,
    /// The map has no `default` rule.
    NoDefault,
    /// A substring of `noswap_wildcards`.
    NoswapWildcard,
    /// The image `auto`, in whose place Istio's injector puts its proxy.
    Placeholder,
    /// A registry rule.
    Registry,
    /// A `[REPLACE]` rule.
    Replace,
    /// The image is longer than any that can be pulled.
    TooLong,
}

impl Reason {
    /// All reasons, in the order of their discriminants.
    pub const ALL: [Self; 14] = [
        Self::AlreadySwapped,
        Self::Default,
        Self::Empty,
        Self::Exact,
        Self::InvalidTarget,
        Self::Legacy,
        Self::Malformed,
        Self::NeverPulled,
        Self::NoDefault,
        Self::NoswapWildcard,
        Self::Placeholder,
        Self::Registry,
        Self::Replace,
        Self::TooLong,
    ];

    /// The kebab-case name, as in `swap --output json` and in metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AlreadySwapped => "already-swapped",
            Self::Default => "default",
            Self::Empty => "empty",
            Self::Exact => "exact",
            Self::InvalidTarget => "invalid-target",
            Self::Legacy => "legacy",
            Self::Malformed => "malformed",
            Self::NeverPulled => "never-pulled",
            Self::NoDefault => "no-default",
            Self::NoswapWildcard => "noswap-wildcard",
            Self::Placeholder => "placeholder",
            Self::Registry => "registry",
            Self::Replace => "replace",
            Self::TooLong => "too-long",
        }
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
    fn reasons_are_listed_by_discriminant_under_their_serialized_names() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
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
