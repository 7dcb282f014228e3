//! The steps of a decision, as text and as JSON.

use serde::Serialize;

use crate::{
    image::ImageReference,
    rules::{Rule, Step, diagnostic::shorten},
};

/// Result of one step of the decision.
#[derive(Debug, Serialize)]
pub(crate) struct StepRecord {
    pub(crate) step: StepName,
    pub(crate) finding: String,
    pub(crate) rule: Option<String>,
    pub(crate) line: Option<u32>,
}

/// Name of a step.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StepName {
    ClusterMap,
    Default,
    Exact,
    NamespaceMap,
    NoswapWildcard,
    Prefix,
    Registry,
    Replace,
}

impl StepRecord {
    pub(super) fn new(step: &Step<'_>) -> Self {
        let rule = matched_rule(step);
        Self {
            step: StepName::of(step),
            finding: finding(step),
            rule: rule.map(|rule| rule.key.to_string()),
            line: rule.map(|rule| rule.line),
        }
    }
}

/// Returns the rule that a step has found.
fn matched_rule<'a>(step: &Step<'a>) -> Option<&'a Rule> {
    match *step {
        Step::Exact { matched, .. }
        | Step::Globs { matched, .. }
        | Step::Registry { matched, .. } => matched,
        Step::ClusterMap { covered_by } => covered_by,
        Step::Wildcards { matched } => matched.map(|(rule, _)| rule),
        Step::Default { rule, covered_by } => Some(covered_by.unwrap_or(rule)),
        Step::NamespaceMap | Step::NoDefault => None,
    }
}

/// Returns the result of a step as a sentence.
fn finding(step: &Step<'_>) -> String {
    match *step {
        Step::Exact { rules: 0, .. } | Step::Globs { globs: 0, .. } => "the map has none".into(),
        Step::Exact { matched: Some(rule), .. } => format!("{} is this image", located(rule)),
        Step::Exact { rules, matched: None } => format!("none of {rules} is this image"),
        Step::Globs { matched: Some(rule), .. } => {
            format!("{} is the first that matches", located(rule))
        }
        Step::Globs { globs, matched: None } => format!("none of {globs} matches"),
        Step::NamespaceMap => "is asked first".into(),
        Step::ClusterMap { covered_by: Some(covering) } => {
            format!("is not asked: the image is under the target of {}", located(covering))
        }
        Step::ClusterMap { covered_by: None } => {
            "is asked, as no rule of the namespace matches".into()
        }
        Step::NoDefault => "the map has none, so registry rules do not apply".into(),
        Step::Registry { matched: Some(rule), .. } => {
            let what = if rule.key.is_wildcard() { "domain" } else { "prefix" };
            format!("{} has the longest {what}", located(rule))
        }
        Step::Registry { image, matched: None } => {
            format!("no rule for {} or a part of it", canonical(&image))
        }
        Step::Wildcards { matched: Some((_, substring)) } => {
            format!("the image contains `{substring}`")
        }
        Step::Wildcards { matched: None } => "the image contains none".into(),
        Step::Default { covered_by: Some(covering), .. } => {
            format!("the image is already under the target of {}", located(covering))
        }
        Step::Default { rule, covered_by: None } => format!("{} applies", located(rule)),
    }
}

impl StepName {
    fn of(step: &Step<'_>) -> Self {
        match step {
            Step::Exact { .. } => Self::Exact,
            Step::Globs { .. } => Self::Replace,
            Step::NamespaceMap => Self::NamespaceMap,
            Step::ClusterMap { .. } => Self::ClusterMap,
            Step::Registry { .. } => Self::Registry,
            Step::Wildcards { .. } => Self::NoswapWildcard,
            Step::Default { .. } | Step::NoDefault => Self::Default,
        }
    }

    /// Returns the name in text output. A step for one kind of key has the name of that key.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::ClusterMap => "cluster map",
            Self::Default => "default",
            Self::Exact => "[EXACT]",
            Self::NamespaceMap => "namespace map",
            Self::NoswapWildcard => "noswap_wildcards",
            Self::Prefix => "prefix",
            Self::Registry => "registry",
            Self::Replace => "[REPLACE]",
        }
    }
}

/// Returns the registry and the canonical path of an image, as registry rules match them.
fn canonical(image: &ImageReference<'_>) -> String {
    let (registry, library) = (image.registry().to_ascii_lowercase(), image.library_prefix());
    format!("{registry}/{library}{}", image.repository())
}

/// Returns a rule with its line, for a finding.
fn located(rule: &Rule) -> String {
    format!("line {} `{}`", rule.line, shorten(&rule.to_string()))
}
