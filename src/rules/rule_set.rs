//! The compiled rules of a map, and the order in which they apply.
//!
//! It implements sections 3 and 5 of the swap rules. A rule set is immutable: a changed map gives a new one.

use std::{hash::BuildHasher, ops::Range};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{
    decision::{Decision, PLACEHOLDER, Reason, reason_to_skip},
    explain::{NoTrace, Step, Trace},
    glob::Glob,
    glob_set::GlobSet,
    map_file::MapFile,
    registry_trie::{RegistryMatch, RegistryTrie},
    rule::{Effect, Key, Rule},
    swapped_image::SwappedImage,
    target_index::TargetIndex,
};
use crate::image::{ImageReference, MAX_IMAGE_BYTES, has_upper_case, lower_case};

/// The rules of a map, compiled for decisions.
///
/// The cost of a decision does not grow with the number of rules: exact images take one probe of a hash table,
/// registries one probe for each path segment, and with `*.domain` keys one for each label of the host, globs and wildcards one pass over the image. Only globs that cannot be
/// told apart by a literal add to it; see `glob_set`.
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
    pub(super) targets: TargetIndex,
}

#[derive(Clone, Debug)]
struct Wildcards {
    rule: u32,
    /// The substrings in lower case.
    substrings: AhoCorasick,
}

/// An image as rules compare it, because registries and wildcards have no case.
struct Compared<'b> {
    /// The image with its registry in lower case.
    image: ImageReference<'b>,
    /// The text of the image in lower case.
    text: &'b str,
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
        let rules = map.rules;
        let mut set = Self { targets: TargetIndex::build(&rules), ..Self::default() };
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

    /// Decides how an image is rewritten. It never fails and never panics, whatever the text.
    #[must_use]
    pub fn decide<'a>(&'a self, image: &'a str) -> Decision<'a> {
        self.evaluate(image, &mut NoTrace)
    }

    /// Decides how an image is rewritten, and returns the steps that led to the decision.
    #[must_use]
    pub fn explain<'a>(&'a self, image: &'a str) -> (Vec<Step<'a>>, Decision<'a>) {
        let mut steps = Vec::new();
        let decision = self.evaluate(image, &mut steps);
        (steps, decision)
    }

    /// Returns the rules in the order of the file.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
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

    fn evaluate<'a>(&'a self, text: &'a str, trace: &mut impl Trace<'a>) -> Decision<'a> {
        if let Some(reason) = reason_to_skip(text) {
            return Decision::leave(reason, None);
        }
        let exact = self.exact_rule(text);
        trace.step(|| Step::Exact { rules: self.exact.len(), matched: exact });
        if let Some(rule) = exact {
            return decision_to_leave(rule, Reason::Exact).unwrap_or_else(|| {
                let swapped = SwappedImage::joined([rule.target.text()]);
                Decision::swap(Reason::Exact, rule, text, swapped)
            });
        }
        if text == PLACEHOLDER {
            return Decision::leave(Reason::Placeholder, None);
        }
        let image = ImageReference::parse(text);
        if has_upper_case(text) {
            self.evaluate_with_upper_case(&image, trace)
        } else {
            self.evaluate_from_globs_on(&image, &Compared { image, text }, trace)
        }
    }

    #[cold]
    fn evaluate_with_upper_case<'a>(
        &'a self,
        image: &ImageReference<'a>,
        trace: &mut impl Trace<'a>,
    ) -> Decision<'a> {
        /// Length of almost all images in bytes. Clearing longer buffers would take most of the time.
        const SHORT: usize = 256;
        if image.text().len() <= SHORT {
            self.evaluate_in_lower_case(image, [&mut [0; SHORT], &mut [0; SHORT]], trace)
        } else {
            let buffers = [&mut [0; MAX_IMAGE_BYTES][..], &mut [0; MAX_IMAGE_BYTES]];
            self.evaluate_in_lower_case(image, buffers, trace)
        }
    }

    fn evaluate_in_lower_case<'a>(
        &'a self,
        image: &ImageReference<'a>,
        [of_image, of_text]: [&mut [u8]; 2],
        trace: &mut impl Trace<'a>,
    ) -> Decision<'a> {
        let compared = Compared {
            image: image.in_lower_case(of_image),
            text: lower_case(image.text(), of_text),
        };
        self.evaluate_from_globs_on(image, &compared, trace)
    }

    /// Decides on an image that no `[EXACT]` rule matches.
    fn evaluate_from_globs_on<'a>(
        &'a self,
        image: &ImageReference<'a>,
        compared: &Compared<'_>,
        trace: &mut impl Trace<'a>,
    ) -> Decision<'a> {
        let lower = &compared.image;
        let text = image.text();
        let glob = self.globs.first_match(text).map(|number| self.rule(number));
        trace.step(|| Step::Globs { globs: self.globs.len(), matched: glob });
        if let Some(rule) = glob {
            return by_glob(rule, image, lower);
        }
        let Some(default) = self.default_rule() else {
            trace.step(|| Step::NoDefault);
            return Decision::leave(Reason::NoDefault, None);
        };
        let registry = self.registries.longest_prefix(lower);
        trace.step(|| Step::Registry {
            image: *image,
            matched: registry.map(|found| self.rule(found.rule)),
        });
        if let Some(found) = registry {
            return self.by_registry(found, image, lower);
        }
        let wildcard = self.wildcard(compared.text);
        trace.step(|| Step::Wildcards {
            matched: wildcard.clone().map(|(rule, range)| (rule, &text[range])),
        });
        if let Some((rule, _)) = wildcard {
            return Decision::leave(Reason::NoswapWildcard, Some(rule));
        }
        let left = decision_to_leave(default, Reason::Default);
        let covering = match left {
            Some(_) => None,
            None => self.targets.covering(lower, text).map(|number| self.rule(number)),
        };
        trace.step(|| Step::Default { rule: default, covered_by: covering });
        if let Some(left) = left {
            left
        } else if covering.is_some() {
            Decision::leave(Reason::AlreadySwapped, Some(default))
        } else {
            Decision::relocate(Reason::Default, default, image, relocated(default, image))
        }
    }

    /// Returns the `noswap_wildcards` rule and the place of its first substring in `image`, which is in lower case.
    fn wildcard(&self, image: &str) -> Option<(&Rule, Range<usize>)> {
        let wildcards = self.wildcards.as_ref()?;
        let found = wildcards.substrings.find(image)?;
        Some((self.rule(wildcards.rule), found.range()))
    }

    fn by_registry<'a>(
        &'a self,
        found: RegistryMatch,
        image: &ImageReference<'a>,
        lower: &ImageReference<'_>,
    ) -> Decision<'a> {
        let rule = self.rule(found.rule);
        let target = &rule.target;
        if let Some(left) = decision_to_leave(rule, Reason::Registry) {
            return left;
        }
        if target.covers_result(lower, found.has_path) {
            return Decision::leave(Reason::AlreadySwapped, Some(rule));
        }
        let is_plain = target.template().is_none() && !target.is_prefix();
        let swapped = if is_plain && found.has_path && found.consumed > 0 {
            let rest = &image.path()[found.consumed..];
            // Without a path, the target would be the name of a repository, and the tag its port.
            let is_possible = rest.starts_with('/') || !target.is_registry();
            is_possible.then(|| SwappedImage::joined([target.base(), rest]))
        } else if is_plain && !found.has_path && found.ignores_port && target.is_bare_host() {
            let pieces = [target.base(), image.port_suffix(), "/", image.path()];
            (!target.cannot_be_host()).then(|| SwappedImage::joined(pieces))
        } else {
            relocated(rule, image)
        };
        Decision::relocate(Reason::Registry, rule, image, swapped)
    }
}

/// Returns the decision of a rule that swaps nothing, because its target is empty or invalid. `None` if the rule swaps.
fn decision_to_leave(rule: &Rule, reason: Reason) -> Option<Decision<'_>> {
    match rule.effect() {
        Effect::Leave => Some(Decision::leave(reason, Some(rule))),
        Effect::LeaveInvalid => Some(Decision::leave(Reason::InvalidTarget, Some(rule))),
        Effect::Swap => None,
    }
}

fn by_glob<'a>(
    rule: &'a Rule,
    image: &ImageReference<'a>,
    lower: &ImageReference<'_>,
) -> Decision<'a> {
    if let Some(left) = decision_to_leave(rule, Reason::Replace) {
        return left;
    }
    let target = &rule.target;
    if target.covers(lower) {
        return Decision::leave(Reason::AlreadySwapped, Some(rule));
    }
    let swapped = match target.template() {
        Some(template) => SwappedImage::filled(template, image),
        None => {
            let separator = if target.is_prefix() { "" } else { "/" };
            Some(SwappedImage::joined([target.base(), separator, image.last_segment()]))
        }
    };
    Decision::relocate(Reason::Replace, rule, image, swapped)
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

/// Replaces the registry of an image with the target of the rule. `None` if there is no such image.
fn relocated<'a>(rule: &'a Rule, image: &ImageReference<'a>) -> Option<SwappedImage<'a>> {
    let target = &rule.target;
    if let Some(template) = target.template() {
        SwappedImage::filled(template, image)
    } else if target.is_prefix() {
        SwappedImage::prefixed(target.text(), image)
    } else {
        Some(SwappedImage::joined([target.base(), "/", image.path()]))
    }
}
