//! Keys that mean all tags or digests of one image.

use super::candidate::proposal;
use crate::image::{ImageReference, LIBRARY, canonical_registry};

/// Returns true if the name of the image would stand twice in a new image: `{path}` after a target that ends with it.
pub(super) fn doubles_name(image: &str, target_with_path: &str) -> bool {
    let Some(base) = target_with_path.strip_suffix("/{path}") else { return false };
    let last = image.rsplit('/').next().unwrap_or_default();
    let name = &last[..last.find(['*', '?', '[', ':', '@']).unwrap_or(last.len())];
    base.split('/').skip(1).last() == Some(name)
}

/// Returns the rule for all tags or digests of an image, such as `quay.io/a/b:*`. `None` if it has another wildcard.
pub(super) fn rule_for_repository(image: &str, target: &str) -> Option<String> {
    let name = ["@sha256:*", "@*", ":*"].iter().find_map(|all| image.strip_suffix(all))?;
    let reference = ImageReference::parse(name);
    if name.contains(['*', '?', '[']) || !reference.tag_and_digest().is_empty() {
        return None;
    }
    let registry = canonical_registry(reference.registry());
    let path = reference.path();
    let key = if reference.is_library() {
        format!("{registry}/{LIBRARY}/{path}")
    } else {
        format!("{registry}/{path}")
    };
    proposal([(key, target.to_owned())])
}
