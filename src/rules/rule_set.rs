//! The compiled rules of a map. A rule set is immutable: a changed map gives a new one.
//!
//! It finds the rule that matches an image. `evaluate` asks in the order in which the kinds of rules apply.

use std::{hash::BuildHasher, ops::Range};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{
    glob::Glob,
    glob_set::GlobSet,
    map_file::MapFile,
    pull_secrets::PullSecrets,
    registry_trie::RegistryTrie,
    rule::{Effect, Key, KeyKind, Rule},
    target_index::TargetIndex,
};
use crate::image::MAX_IMAGE_BYTES;

/// The rules of a map, compiled for decisions.
///
/// The cost of a decision does not grow with the number of rules: exact images take one probe of a hash table,
/// registries one probe for each path segment, and with `*.domain` keys one for each label of the host, globs and
/// wildcards one pass over the image. Only globs that share their literals add to it; see `glob_set`.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    hasher: RandomState,
    /// The indices of the `[EXACT]` rules, by image.
    exact: HashTable<u32>,
    pub(super) globs: GlobSet,
    pub(super) registries: RegistryTrie,
    wildcards: Option<Wildcards>,
    default: Option<u32>,
    pull_secrets: PullSecrets,
    pub(super) targets: TargetIndex,
}

#[derive(Clone, Debug)]
struct Wildcards {
    rule: u32,
    /// The substrings in lower case.
    substrings: AhoCorasick,
}

/// The reason why a map cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The `[REPLACE]` globs do not fit in one automaton.
    #[error("the [REPLACE] globs are too many for one automaton: {0}")]
    Globs(aho_corasick::BuildError),
    /// The substrings of `noswap_wildcards` do not fit in one automaton.
    #[error("line {line}: the noswap_wildcards are too many for one automaton: {reason}")]
    Wildcards {
        /// The line of the rule.
        line: u32,
        /// The error of the automaton's builder.
        reason: aho_corasick::BuildError,
    },
}

impl RuleSet {
    /// Compiles the rules of a map.
    ///
    /// # Errors
    /// If the globs or wildcards need more than the 2^31 states of an automaton. A map of at most
    /// [`MAX_MAP_BYTES`](super::MAX_MAP_BYTES) does not.
    pub fn compile(map: MapFile) -> Result<Self, CompileError> {
        let MapFile { rules, pull_secrets } = map;
        let mut set = Self {
            targets: TargetIndex::build(&rules),
            pull_secrets: PullSecrets::new(pull_secrets),
            ..Self::default()
        };
        let mut globs = Vec::new();
        for (number, rule) in (0..).zip(&rules) {
            match &rule.key {
                Key::Default => set.default = Some(number),
                Key::Exact(image) => {
                    let hasher = &set.hasher;
                    let rehash = |&other: &u32| hasher.hash_one(rules[other as usize].key.exact());
                    set.exact.insert_unique(hasher.hash_one(Some(&**image)), number, rehash);
                }
                Key::NoswapWildcards => set.wildcards = Wildcards::build(number, rule)?,
                Key::Registry(registry) => set.registries.insert(registry, number),
                Key::Replace(glob) => globs.push((number, Glob::parse(glob))),
            }
        }
        set.globs = GlobSet::build(globs.into_iter()).map_err(CompileError::Globs)?;
        set.rules = rules;
        Ok(set)
    }

    /// Returns the rules in the order of the file.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Returns the number of lines of each kind, in the order of [`KeyKind::ALL`].
    #[must_use]
    pub fn counts(&self) -> [usize; KeyKind::ALL.len()] {
        let mut counts = [0; KeyKind::ALL.len()];
        for rule in &self.rules {
            counts[rule.key.kind() as usize] += 1;
        }
        counts[KeyKind::PullSecret as usize] = self.pull_secrets.lines().len();
        counts
    }

    /// Returns true if the map has neither rules nor pull secrets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.pull_secrets.lines().is_empty()
    }

    /// Returns the pull secrets.
    #[must_use]
    pub fn pull_secrets(&self) -> &PullSecrets {
        &self.pull_secrets
    }

    /// Returns the `default` rule, if the map has one.
    #[must_use]
    pub fn default_rule(&self) -> Option<&Rule> {
        self.default.map(|rule| self.rule(rule))
    }

    /// Returns true if the map has a `default` rule, and its target is empty or valid.
    #[must_use]
    pub fn has_valid_default(&self) -> bool {
        self.default_rule().is_some_and(|rule| rule.effect() != Effect::LeaveInvalid)
    }

    pub(super) fn rule(&self, number: u32) -> &Rule {
        &self.rules[number as usize]
    }

    pub(super) fn exact_rule(&self, image: &str) -> Option<&Rule> {
        let image = Some(image);
        let is_image = |&number: &u32| self.rule(number).key.exact() == image;
        self.exact.find(self.hasher.hash_one(image), is_image).map(|&number| self.rule(number))
    }

    /// Returns the number of `[EXACT]` rules.
    pub(super) fn exact_rules(&self) -> usize {
        self.exact.len()
    }

    /// Returns the `noswap_wildcards` rule and the place of its first substring in `image`, which is in lower case.
    pub(super) fn wildcard(&self, image: &str) -> Option<(&Rule, Range<usize>)> {
        let wildcards = self.wildcards.as_ref()?;
        let found = wildcards.substrings.find(image)?;
        Some((self.rule(wildcards.rule), found.range()))
    }
}

impl Wildcards {
    /// Compiles the list of substrings. `None` if the list is empty.
    fn build(number: u32, rule: &Rule) -> Result<Option<Self>, CompileError> {
        // Longer images are left alone, so a longer substring cannot match.
        let lower_case = rule.target.text().to_ascii_lowercase();
        let substrings = lower_case.split(',');
        let mut substrings: Vec<_> =
            substrings.filter(|s| !s.is_empty() && s.len() <= MAX_IMAGE_BYTES).collect();
        substrings.sort_unstable();
        substrings.dedup();
        if substrings.is_empty() {
            return Ok(None);
        }
        // By default, few substrings become a DFA, which takes a kilobyte of memory for each byte of them.
        let substrings = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&substrings)
            .map_err(|reason| CompileError::Wildcards { line: rule.line, reason })?;
        Ok(Some(Self { rule: number, substrings }))
    }
}
