//! The images that annotations exclude.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::{
    ImageName,
    annotations::{Annotations, MAX_ANNOTATION_BYTES},
};

/// The names of images that annotations exclude.
#[derive(Debug, Default)]
pub(super) struct Exclusions<'r>(HashSet<ImageName<'r>, RandomState>);

impl<'r> Exclusions<'r> {
    /// Gathers the names of several objects: a workload and its templates.
    pub(super) fn of<'a: 'r>(annotations: impl Iterator<Item = &'r Annotations<'a>>) -> Self {
        let mut names = HashSet::default();
        let lists = annotations.filter_map(|annotations| annotations.skip.get());
        // The API server refuses an object with more.
        for list in lists.filter(|list| list.len() <= MAX_ANNOTATION_BYTES) {
            let listed = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.extend(listed.map(ImageName::parse));
        }
        Self(names)
    }

    /// Returns true if the image with this name is excluded.
    pub(super) fn contains(&self, name: &ImageName<'_>) -> bool {
        !self.0.is_empty() && self.0.contains(name)
    }

    /// Returns the names that none of the images has, in order.
    pub(super) fn without_image<'i>(
        &self,
        images: impl Iterator<Item = ImageName<'i>>,
    ) -> Vec<String>
    where
        'r: 'i,
    {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut missing: HashSet<ImageName<'i>, RandomState> = self.0.iter().copied().collect();
        for name in images {
            missing.remove(&name);
        }
        let mut missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
        missing.sort_unstable();
        missing
    }
}
