//! An index of all targets of a map. It finds the target that an image is already under.
//!
//! If an image is under a target, the target is a prefix of the image that ends at a `/`, at a tag or digest, at the end,
//! or with the last character of a prefix such as `mirror-`, or it is the host of the image. So a few probes of one hash
//! table are enough for any number of targets.
//!
//! All images that are looked up have their registry in lower case, and so have the targets in the index.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};

use super::{
    rule::{Effect, Key, Rule},
    target::Scope,
};
use crate::image::ImageReference;

/// The targets of a map. Each occurs once.
#[derive(Clone, Debug, Default)]
pub(super) struct TargetIndex {
    /// The targets by their base.
    targets: HashTable<IndexedTarget>,
    hasher: RandomState,
    /// Length of the longest base in bytes. Longer prefixes of an image need no lookup.
    longest: usize,
    /// The characters at which a target can end.
    ends: Ends,
}

/// The kinds of targets that can end at each byte, as a sum of the constants below.
#[derive(Clone, Debug)]
struct Ends([u8; 256]);

/// Before the byte, a target can end that covers the images below it.
const CONTAINER: u8 = 1;

/// After the byte, a prefix can end.
const PREFIX: u8 = 2;

/// Before the byte, a target can end that is a whole repository.
const REPOSITORY: u8 = 4;

#[derive(Clone, Debug)]
struct IndexedTarget {
    base: Box<str>,
    /// The first rule whose target covers the images below it.
    container: Option<u32>,
    /// The first rule whose target covers all images that start with it.
    prefix: Option<u32>,
    /// The first rule whose key has a path prefix. Its target may be a whole repository.
    repository: Option<u32>,
    /// The first `[EXACT]` rule with this target.
    exact: Option<u32>,
}

impl TargetIndex {
    /// Indexes the targets of the rules that swap.
    pub(super) fn build(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (number, rule) in (0..).zip(rules) {
            if rule.effect() != Effect::Swap {
                continue;
            }
            match &rule.key {
                // This rule swaps nothing.
                Key::NoswapWildcards => {}
                Key::Exact(_) => {
                    index.entry(rule.target.text()).exact.get_or_insert(number);
                }
                Key::Default | Key::Registry(_) | Key::Replace(_) => index.insert(rule, number),
            }
        }
        index
    }

    fn insert(&mut self, rule: &Rule, number: u32) {
        let Scope { base, is_prefix } = rule.target.scope();
        let target = self.entry(base);
        if is_prefix {
            target.prefix.get_or_insert(number);
        } else {
            target.container.get_or_insert(number);
        }
        if rule.key.has_path_prefix() && rule.target.template().is_none() {
            target.repository.get_or_insert(number);
        }
        if is_prefix && let Some(&last) = base.as_bytes().last() {
            self.ends.0[usize::from(last)] |= PREFIX;
        }
    }

    /// Returns a rule other than an `[EXACT]` rule whose target the image is under, or an `[EXACT]` rule whose target
    /// is `written`, the image as it is written.
    pub(super) fn covering(&self, image: &ImageReference<'_>, written: &str) -> Option<u32> {
        self.containing(image).or_else(|| self.find(written).and_then(|target| target.exact))
    }

    /// Returns a rule other than an `[EXACT]` rule whose target the image is under, if any.
    pub(super) fn containing(&self, image: &ImageReference<'_>) -> Option<u32> {
        let text = image.text();
        let container = |base: &str| self.find(base).and_then(|target| target.container);
        let reach = text.len().min(self.longest + 1);
        for (at, byte) in text.bytes().enumerate().take(reach) {
            let ends = self.ends.0[usize::from(byte)];
            if ends == 0 {
                continue;
            }
            let mut found = None;
            if ends & PREFIX != 0 {
                found = self.find(&text[..=at]).and_then(|target| target.prefix);
            }
            if ends & CONTAINER != 0 {
                found = found.or_else(|| container(&text[..at]));
            }
            if ends & REPOSITORY != 0 {
                found = found.or_else(|| self.find(&text[..at]).and_then(|it| it.repository));
            }
            if found.is_some() {
                return found;
            }
        }
        container(text).or_else(|| {
            let host = image.host();
            // An IPv6 address contains colons, so it never counts as a bare host.
            if host.contains(':') { None } else { container(host) }
        })
    }

    fn find(&self, base: &str) -> Option<&IndexedTarget> {
        if base.len() > self.longest {
            return None;
        }
        self.targets.find(self.hasher.hash_one(base), |target| *target.base == *base)
    }

    fn entry(&mut self, base: &str) -> &mut IndexedTarget {
        self.longest = self.longest.max(base.len());
        let entry = self.targets.entry(
            self.hasher.hash_one(base),
            |target| *target.base == *base,
            |target| self.hasher.hash_one(&*target.base),
        );
        match entry {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry
                .insert(IndexedTarget {
                    base: base.into(),
                    container: None,
                    prefix: None,
                    repository: None,
                    exact: None,
                })
                .into_mut(),
        }
    }
}

impl Default for Ends {
    fn default() -> Self {
        let mut ends = [0; 256];
        ends[usize::from(b'/')] = CONTAINER;
        ends[usize::from(b':')] = REPOSITORY;
        ends[usize::from(b'@')] = REPOSITORY;
        Self(ends)
    }
}
