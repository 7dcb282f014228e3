//! The decision on one image: the new image, if any, and the reason.

use serde::Serialize;

use super::{rule::Rule, swapped_image::SwappedImage};
use crate::{
    closed_enum::closed_enum,
    image::{ImageReference, MAX_IMAGE_BYTES, MAX_NAME_BYTES, has_reference_characters_only},
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
        /// An annotation of the object excludes the container. Admission decides this, not the rules.
        Excluded => "excluded",
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
        /// The registry does not have the new image. Admission decides this, not the rules.
        TargetAbsent => "target-absent",
        /// The image is longer than any image that can be pulled.
        TooLong => "too-long",
        /// The new image would not be a valid reference: it would be too long, an IPv6 address would be part of its path,
        /// it would have no path, or a port would follow a text that is not a host.
        Unrepresentable => "unrepresentable",
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

    /// Creates the decision of a rule that moves `image` to its target. It leaves the image alone if there is no valid
    /// new image.
    pub(super) fn relocate(
        reason: Reason,
        rule: &'a Rule,
        image: &ImageReference<'a>,
        swapped: Option<SwappedImage<'a>>,
    ) -> Self {
        // With `docker.io`, `library` and their separators, no new image is longer. So most need not be measured.
        const MAX_ADDED_BYTES: usize = "docker.io/library/".len();
        let longest = rule.target.text().len() + image.text().len() + MAX_ADDED_BYTES;
        match swapped {
            Some(swapped) if longest <= MAX_NAME_BYTES || !swapped.is_too_long(image) => {
                Self::swap(reason, rule, image.text(), swapped)
            }
            _ => Self::leave(Reason::Unrepresentable, Some(rule)),
        }
    }

    /// Returns the new image, or `image` itself if it is left alone.
    #[must_use]
    pub fn result(&self, image: &str) -> String {
        self.swapped.map_or_else(|| image.to_owned(), |swapped| swapped.to_string())
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
}
