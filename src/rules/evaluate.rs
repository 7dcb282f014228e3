//! The order in which the rules of a map apply, and two maps: that of a namespace before that of the cluster.
//!
//! It implements sections 3, 5 and 8 of the swap rules.

use super::{
    decision::{Decision, PLACEHOLDER, Reason, reason_to_skip},
    explain::{NoTrace, Step, Trace},
    pull_secrets::PullSecret,
    registry_trie::RegistryMatch,
    rule::{Effect, Rule},
    rule_set::RuleSet,
    swapped_image::SwappedImage,
};
use crate::image::{ImageReference, MAX_IMAGE_BYTES, has_upper_case, lower_case};

/// The maps that decide about the images of an object.
#[derive(Clone, Copy, Debug)]
pub struct Maps<'a> {
    /// The map of the object's namespace, which is asked first.
    namespace: Option<&'a RuleSet>,
    cluster: &'a RuleSet,
}

/// An image as rules compare it, because registries and wildcards have no case.
struct Compared<'b> {
    /// The image with its registry in lower case.
    image: ImageReference<'b>,
    /// The text of the image in lower case.
    text: &'b str,
}

impl RuleSet {
    /// Decides how an image is rewritten. It never fails and never panics, whatever the text.
    #[must_use]
    pub fn decide<'a>(&'a self, image: &'a str) -> Decision<'a> {
        Maps::new(None, self).decide(image)
    }

    /// Decides how an image is rewritten, and returns the steps that led to the decision.
    #[must_use]
    pub fn explain<'a>(&'a self, image: &'a str) -> (Vec<Step<'a>>, Decision<'a>) {
        Maps::new(None, self).explain(image)
    }

    /// Returns the decision of the `[EXACT]` rule for an image, if there is one.
    fn by_exact<'a>(&'a self, text: &'a str, trace: &mut impl Trace<'a>) -> Option<Decision<'a>> {
        let exact = self.exact_rule(text);
        trace.step(|| Step::Exact { rules: self.exact_rules(), matched: exact });
        let rule = exact?;
        Some(decision_to_leave(rule, Reason::Exact).unwrap_or_else(|| {
            let swapped = SwappedImage::joined([rule.target.text()]);
            Decision::swap(Reason::Exact, rule, text, swapped)
        }))
    }

    /// Returns the decision of the other rules, if one matches. `cluster` is the map that is asked after this one; the
    /// rules of the last map but `[EXACT]` and `[REPLACE]` rules need a `default`.
    fn by_others<'a>(
        &'a self,
        image: &ImageReference<'a>,
        compared: &Compared<'_>,
        cluster: Option<&'a Self>,
        trace: &mut impl Trace<'a>,
    ) -> Option<Decision<'a>> {
        let lower = &compared.image;
        let text = image.text();
        let glob = self.globs.first_match(text).map(|number| self.rule(number));
        trace.step(|| Step::Globs { globs: self.globs.len(), matched: glob });
        if let Some(rule) = glob {
            return Some(by_glob(rule, image, lower));
        }
        let default = self.default_rule();
        if default.is_none() && cluster.is_none() {
            trace.step(|| Step::NoDefault);
            return None;
        }
        let registry = self.registries.longest_prefix(lower);
        trace.step(|| Step::Registry {
            image: *image,
            matched: registry.map(|found| self.rule(found.rule)),
        });
        if let Some(found) = registry {
            return Some(self.by_registry(found, image, lower));
        }
        let wildcard = self.wildcard(compared.text);
        trace.step(|| Step::Wildcards {
            matched: wildcard.clone().map(|(rule, range)| (rule, &text[range])),
        });
        if let Some((rule, _)) = wildcard {
            return Some(Decision::leave(Reason::NoswapWildcard, Some(rule)));
        }
        let default = default?;
        let left = decision_to_leave(default, Reason::Default);
        let covering = match left {
            Some(_) => None,
            None => self.covering(compared, text).or_else(|| cluster?.covering(compared, text)),
        };
        trace.step(|| Step::Default { rule: default, covered_by: covering });
        Some(if let Some(left) = left {
            left
        } else if covering.is_some() {
            Decision::leave(Reason::AlreadySwapped, Some(default))
        } else {
            Decision::relocate(Reason::Default, default, image, relocated(default, image))
        })
    }

    /// Returns a rule whose target the image is already under, if any.
    fn covering(&self, compared: &Compared<'_>, text: &str) -> Option<&Rule> {
        self.targets.covering(&compared.image, text).map(|number| self.rule(number))
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

impl<'a> Maps<'a> {
    /// Creates the maps for a namespace, which may have a map of its own.
    #[must_use]
    pub fn new(namespace: Option<&'a RuleSet>, cluster: &'a RuleSet) -> Self {
        Self { namespace, cluster }
    }

    /// Decides how an image is rewritten. It never fails and never panics, whatever the text.
    #[must_use]
    pub fn decide(self, image: &'a str) -> Decision<'a> {
        self.evaluate(image, &mut NoTrace)
    }

    /// Decides how an image is rewritten, and returns the steps that led to the decision.
    #[must_use]
    pub fn explain(self, image: &'a str) -> (Vec<Step<'a>>, Decision<'a>) {
        let mut steps = Vec::new();
        let decision = self.evaluate(image, &mut steps);
        (steps, decision)
    }

    /// Returns true if a map has pull secrets.
    #[must_use]
    pub fn have_pull_secrets(self) -> bool {
        self.all().any(|map| !map.pull_secrets().lines().is_empty())
    }

    /// Returns the pull secrets for an image as it is after the decision: those of the namespace, then those of the
    /// cluster.
    #[must_use]
    pub fn pull_secrets(self, image: &str) -> Vec<&'a PullSecret> {
        if reason_to_skip(image).is_some() {
            return Vec::new();
        }
        with_compared(&ImageReference::parse(image), |compared| {
            self.all().flat_map(|map| map.pull_secrets().of(&compared.image)).collect()
        })
    }

    /// Returns the maps in the order in which they are asked.
    fn all(self) -> impl Iterator<Item = &'a RuleSet> {
        self.namespace.into_iter().chain([self.cluster])
    }

    fn evaluate(self, text: &'a str, trace: &mut impl Trace<'a>) -> Decision<'a> {
        if let Some(reason) = reason_to_skip(text) {
            return Decision::leave(reason, None);
        }
        if let Some(own) = self.namespace {
            return self.evaluate_with(own, text, trace);
        }
        if let Some(decision) = self.cluster.by_exact(text, trace) {
            return decision;
        }
        if text == PLACEHOLDER {
            return Decision::leave(Reason::Placeholder, None);
        }
        let image = ImageReference::parse(text);
        let decide = |compared: &Compared<'_>| {
            self.cluster.by_others(&image, compared, None, trace).unwrap_or(NO_DEFAULT)
        };
        with_compared(&image, decide)
    }

    /// Decides as `own`, the map of the namespace, says. The map of the cluster decides about images that no rule of `own`
    /// matches, and that are not under one of its targets.
    fn evaluate_with(
        self,
        own: &'a RuleSet,
        text: &'a str,
        trace: &mut impl Trace<'a>,
    ) -> Decision<'a> {
        trace.step(|| Step::NamespaceMap);
        if let Some(decision) = own.by_exact(text, trace) {
            return decision;
        }
        let cluster = self.cluster;
        if text == PLACEHOLDER {
            trace.step(|| Step::ClusterMap { covered_by: None });
            let placeholder = Decision::leave(Reason::Placeholder, None);
            return cluster.by_exact(text, trace).unwrap_or(placeholder);
        }
        let image = ImageReference::parse(text);
        with_compared(&image, |compared| {
            if let Some(decision) = own.by_others(&image, compared, Some(cluster), trace) {
                return decision;
            }
            let covering = own.covering(compared, text);
            trace.step(|| Step::ClusterMap { covered_by: covering });
            if covering.is_some() {
                return Decision::leave(Reason::AlreadySwapped, covering);
            }
            let exact = cluster.by_exact(text, trace);
            exact.or_else(|| cluster.by_others(&image, compared, None, trace)).unwrap_or(NO_DEFAULT)
        })
    }
}

const NO_DEFAULT: Decision<'static> =
    Decision { reason: Reason::NoDefault, rule: None, swapped: None };

/// Calls `decide` with an image as rules compare it.
fn with_compared<T>(image: &ImageReference<'_>, decide: impl FnOnce(&Compared<'_>) -> T) -> T {
    if has_upper_case(image.text()) {
        with_lower_case(image, decide)
    } else {
        decide(&Compared { image: *image, text: image.text() })
    }
}

#[cold]
fn with_lower_case<T>(image: &ImageReference<'_>, decide: impl FnOnce(&Compared<'_>) -> T) -> T {
    /// Length of almost all images in bytes. Clearing longer buffers would take most of the time.
    const SHORT: usize = 256;
    let text = image.text();
    let run = |of_image: &mut [u8], of_text: &mut [u8]| {
        decide(&Compared { image: image.in_lower_case(of_image), text: lower_case(text, of_text) })
    };
    if text.len() <= SHORT {
        run(&mut [0; SHORT], &mut [0; SHORT])
    } else {
        run(&mut [0; MAX_IMAGE_BYTES], &mut [0; MAX_IMAGE_BYTES])
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
