//! The steps of a decision, for `imageswap explain`.
//!
//! The rule set reports each step to a [`Trace`] while it decides, so an explanation cannot differ from the decision.
//! On the hot path the trace is [`NoTrace`], which creates no steps.

use super::rule::Rule;
use crate::image::ImageReference;

/// One step of a decision, in the order of section 3 of the swap rules.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The `[EXACT]` rules were looked up.
    Exact {
        /// Number of `[EXACT]` rules.
        rules: usize,
        /// The rule for this image, if any.
        matched: Option<&'a Rule>,
    },
    /// The `[REPLACE]` globs were tried.
    Globs {
        /// Number of globs.
        globs: usize,
        /// The rule of the first glob that matches, if any.
        matched: Option<&'a Rule>,
    },
    /// The map of the namespace is asked, before that of the cluster.
    NamespaceMap,
    /// No rule of the map of the namespace matches, so the map of the cluster is asked, unless the image is under a
    /// target of the namespace.
    ClusterMap {
        /// The rule of the namespace whose target the image is already under, if any.
        covered_by: Option<&'a Rule>,
    },
    /// The map has no `default`, so no other rule is tried.
    NoDefault,
    /// The registry rules were looked up.
    Registry {
        /// The image, split into registry and path.
        image: ImageReference<'a>,
        /// The rule with the longest prefix, if any.
        matched: Option<&'a Rule>,
    },
    /// The `noswap_wildcards` were searched.
    Wildcards {
        /// The rule and its substring that the image contains, if any.
        matched: Option<(&'a Rule, &'a str)>,
    },
    /// The `default` rule was reached.
    Default {
        /// The rule.
        rule: &'a Rule,
        /// The rule whose target the image is already under, if any.
        covered_by: Option<&'a Rule>,
    },
}

/// A receiver of the steps of a decision.
pub(super) trait Trace<'a> {
    /// Receives a step. It calls the function only if it uses the step.
    fn step(&mut self, step: impl FnOnce() -> Step<'a>);
}

/// A trace that ignores all steps.
pub(super) struct NoTrace;

impl<'a> Trace<'a> for NoTrace {
    fn step(&mut self, _step: impl FnOnce() -> Step<'a>) {}
}

impl<'a> Trace<'a> for Vec<Step<'a>> {
    fn step(&mut self, step: impl FnOnce() -> Step<'a>) {
        self.push(step());
    }
}
