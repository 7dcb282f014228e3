//! Sites: the locations of images in custom resources.
//!
//! Some operators compare the image of a pod with the image in their own resource, and recreate the pod forever if
//! the two differ. So the image is rewritten where the operator reads it. A site is a group, a kind and a JSON Pointer
//! to an image, in which `*` stands for every element.
//!
//! For a kind with sites, only these are images, and a pod template in the object is not read.

mod file;
mod images;
mod pointer;
mod trie;

use std::collections::HashMap;

use foldhash::fast::RandomState;

pub use self::file::MAX_SITES_BYTES;
pub(super) use self::images::{SiteImage, TooManyImages, introduced};
use self::trie::Trie;
use crate::rules::Diagnostics;

/// The built-in sites.
pub const BUILT_IN_SITES: &str = include_str!("../../../config/sites.conf");

/// The sites of all kinds, compiled.
#[derive(Clone, Debug, Default)]
pub struct Sites {
    /// The pointers by group and kind.
    groups: HashMap<Box<str>, HashMap<Box<str>, Trie, RandomState>, RandomState>,
    /// Number of different sites.
    count: usize,
}

impl Sites {
    /// Creates the built-in sites.
    #[must_use]
    pub fn built_in() -> Self {
        let mut sites = Self::default();
        // A test shows that it has no mistakes.
        let _ = sites.add(BUILT_IN_SITES);
        sites
    }

    /// Adds the sites in the text of a file, and returns the mistakes in its lines, which are skipped.
    #[must_use = "lines with mistakes are skipped"]
    pub fn add(&mut self, text: &str) -> Diagnostics {
        let (lines, diagnostics) = file::parse(text);
        for line in lines {
            let group = self.groups.entry(line.group.into()).or_default();
            let trie = group.entry(line.kind.into()).or_default();
            self.count += line.pointers.iter().filter(|pointer| trie.insert(pointer)).count();
        }
        diagnostics
    }

    /// Returns the number of different sites.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the number of kinds with sites.
    #[must_use]
    pub fn kinds(&self) -> usize {
        self.groups.values().map(HashMap::len).sum()
    }

    /// Returns true if a kind of an API group has sites.
    #[must_use]
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Returns true if a kind has sites.
    #[must_use]
    pub fn contains(&self, group: &str, kind: &str) -> bool {
        self.groups.get(group).is_some_and(|kinds| kinds.contains_key(kind))
    }

    /// Returns the images of an object; `None` if its kind has no sites.
    ///
    /// # Errors
    /// If there are too many images.
    pub(super) fn images<'a>(
        &self,
        group: &str,
        kind: &str,
        object: &'a str,
    ) -> Option<Result<Vec<SiteImage<'a>>, TooManyImages>> {
        let trie = self.groups.get(group)?.get(kind)?;
        Some(images::read(object, trie))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_sites_have_no_mistakes() {
        let mut sites = Sites::default();
        let diagnostics = sites.add(BUILT_IN_SITES);
        assert_eq!(diagnostics.kept(), []);
        assert!(sites.images("postgresql.cnpg.io", "Cluster", "{}").is_some());
        assert!(sites.images("", "Pod", "{}").is_none());
    }
}
