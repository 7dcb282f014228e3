//! The steps of a decision, for people who ask why.
//!
//! The rule set reports each step to a [`Trace`] while it decides, so that what is explained is
//! what happens. On the hot path the trace is [`NoTrace`], and the steps are never made.

use super::rule::Rule;
use crate::image::ImageReference;

/// One step of a decision, in the order of section 3 of the swap rules.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The `[EXACT]` rules were looked up.
    Exact {
        /// How many there are.
        rules: usize,
        /// The one for this image.
        matched: Option<&'a Rule>,
    },
    /// The `[REPLACE]` globs were tried.
    Globs {
        /// How many there are.
        globs: usize,
        /// The first that matches.
        matched: Option<&'a Rule>,
    },
    /// The map has no `default`, so nothing else is tried.
    NoDefault,
    /// The registry rules were looked up.
    Registry {
        /// The image, split at its registry.
        image: ImageReference<'a>,
        /// The rule with the longest prefix.
        matched: Option<&'a Rule>,
    },
    /// The `noswap_wildcards` were searched.
    Wildcards {
        /// The rule, and its substring that the image contains.
        matched: Option<(&'a Rule, &'a str)>,
    },
    /// The `default` rule was reached.
    Default {
        /// The rule.
        rule: &'a Rule,
        /// A rule under whose target the image is already.
        covered_by: Option<&'a Rule>,
    },
}

/// Who is told of the steps.
pub(super) trait Trace<'a> {
    /// Takes a step; it is made only if wanted.
    fn step(&mut self, step: impl FnOnce() -> Step<'a>);
}

/// Wants no steps.
pub(super) struct NoTrace;

impl<'a> Trace<'a> for NoTrace {
    fn step(&mut self, _step: impl FnOnce() -> Step<'a>) {}
}

impl<'a> Trace<'a> for Vec<Step<'a>> {
    fn step(&mut self, step: impl FnOnce() -> Step<'a>) {
        self.push(step());
    }
}
