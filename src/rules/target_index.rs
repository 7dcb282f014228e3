//! All targets of a map at once: is an image already under any of them?
//!
//! Every way in which an image can be under a target is a prefix of the image that ends at a `/`,
//! at a `-`, at a tag or digest, or at its end, or it is the image's host. So a handful of probes
//! of one hash table answer for any number of targets.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};

use super::rule::{Effect, Key, Rule};
use crate::image::ImageReference;

/// The targets of a map, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct TargetIndex {
    /// The bases of the targets.
    targets: HashTable<Indexed>,
    hasher: RandomState,
    /// The length of the longest one, in bytes; a longer prefix of an image need not be tried.
    longest: usize,
}

#[derive(Clone, Debug)]
struct Indexed {
    base: Box<str>,
    /// The first rule whose target takes images below it.
    container: Option<u32>,
    /// The first rule whose target ends with `-` and so takes images that merely begin with it.
    prefix: Option<u32>,
    /// The first rule with a path prefix as its key; its target may be a repository.
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
                // It swaps nothing.
                Key::NoswapWildcards => {}
                Key::Exact(_) => {
                    index.entry(rule.target.text()).exact.get_or_insert(number);
                }
                key @ (Key::Default | Key::Registry(_) | Key::Replace(_)) => {
                    let target = index.entry(rule.target.base());
                    if rule.target.is_prefix() {
                        target.prefix.get_or_insert(number);
                    } else {
                        target.container.get_or_insert(number);
                    }
                    if key.has_path_prefix() {
                        target.repository.get_or_insert(number);
                    }
                }
            }
        }
        index
    }

    /// A rule under whose target the image is.
    pub(super) fn covering(&self, image: &ImageReference<'_>) -> Option<u32> {
        self.containing(image).or_else(|| self.find(image.text()).and_then(|target| target.exact))
    }

    /// A rule other than an `[EXACT]` one under whose target the image is.
    pub(super) fn containing(&self, image: &ImageReference<'_>) -> Option<u32> {
        let text = image.text();
        let container = |base: &str| self.find(base).and_then(|target| target.container);
        let reach = text.len().min(self.longest + 1);
        for (end, byte) in text.bytes().enumerate().take(reach) {
            let found = match byte {
                b'/' => container(&text[..end]),
                b'-' => self.find(&text[..=end]).and_then(|target| target.prefix),
                b':' | b'@' => self.find(&text[..end]).and_then(|target| target.repository),
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        container(text).or_else(|| {
            let host = image.host();
            // An IPv6 address has colons, and is no bare host.
            if host.contains(':') { None } else { container(host) }
        })
    }

    fn find(&self, base: &str) -> Option<&Indexed> {
        if base.len() > self.longest {
            return None;
        }
        self.targets.find(self.hasher.hash_one(base), |target| *target.base == *base)
    }

    fn entry(&mut self, base: &str) -> &mut Indexed {
        self.longest = self.longest.max(base.len());
        let entry = self.targets.entry(
            self.hasher.hash_one(base),
            |target| *target.base == *base,
            |target| self.hasher.hash_one(&*target.base),
        );
        match entry {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry
                .insert(Indexed {
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
