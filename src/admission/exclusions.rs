//! The containers that annotations exclude.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::{
    annotations::{Annotations, MAX_ANNOTATION_BYTES, VOLUMES},
    pod::Pod,
};

/// The name of a container, or of an image volume if the flag is set.
type Name<'r> = (bool, &'r str);

/// The containers and image volumes that annotations exclude.
#[derive(Debug, Default)]
pub(super) struct Exclusions<'r>(HashSet<Name<'r>, RandomState>);

impl<'r> Exclusions<'r> {
    /// Gathers the names of several objects: a workload and its templates.
    pub(super) fn of<'a: 'r>(annotations: impl Iterator<Item = &'r Annotations<'a>>) -> Self {
        let mut names = HashSet::default();
        let lists = annotations.filter_map(|annotations| annotations.skip.get());
        // The API server refuses an object with more.
        for list in lists.filter(|list| list.len() <= MAX_ANNOTATION_BYTES) {
            let listed = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.extend(listed.map(|name| match name.strip_prefix(VOLUMES) {
                Some(volume) => (true, volume),
                None => (false, name),
            }));
        }
        Self(names)
    }

    /// Returns true if a container, or an image volume, is excluded.
    pub(super) fn contains(&self, is_volume: bool, name: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&(is_volume, name))
    }

    /// Returns the names that no container or image volume of the pod has, in order.
    pub(super) fn without_container(&self, pod: Pod<'r, '_>) -> Vec<String> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut missing = self.0.clone();
        for image in pod.images() {
            missing.remove(&(image.location.is_volume(), image.name));
        }
        let written = |(is_volume, name)| format!("{}{name}", if is_volume { VOLUMES } else { "" });
        let mut missing: Vec<_> = missing.into_iter().map(written).collect();
        missing.sort_unstable();
        missing
    }
}
