//! Explanations: why an image is rewritten or left unchanged.
//!
//! `imageswap explain` and the status page show the same explanation, as text, HTML or JSON. The module is pure.

mod remark;
mod steps;

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use self::remark::remark;
pub(crate) use self::steps::{StepName, StepRecord};
use crate::{
    image::ImageReference,
    rules::{Decision, Diagnostics, Maps, Policy, PullSecret, Reason, RuleSet},
};

/// The rules that decide about an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DecidingRules<'a> {
    /// The map of the cluster, or LEGACY mode.
    pub(crate) policy: &'a Policy,
    /// The map of the namespace, if it has one.
    pub(crate) namespace: Option<&'a RuleSet>,
    /// The mistakes in the map of the cluster.
    pub(crate) diagnostics: &'a Diagnostics,
}

/// Explanation of the decision for one image, and line of `explain --output json`.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation<'a> {
    pub(crate) image: &'a str,
    pub(crate) registry: &'a str,
    pub(crate) path: &'a str,
    /// The sources of the rules, in words.
    pub(crate) rules: String,
    pub(crate) steps: Vec<StepRecord>,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    pub(crate) placeholders: BTreeMap<&'static str, String>,
    pub(crate) pull_secrets: Vec<&'a str>,
    /// The lines of the map with these pull secrets.
    #[serde(skip)]
    pub(crate) pull_secret_lines: Vec<&'a PullSecret>,
    pub(crate) remark: Option<String>,
    /// The result for the new image; `None` if the image is left alone.
    pub(crate) second_pass: Option<Outcome>,
}

/// Decision for one image, as `swap`, `explain` and the status page show it.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) result: String,
    pub(crate) swapped: bool,
    pub(crate) reason: Reason,
    pub(crate) rule: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
}

impl<'a> DecidingRules<'a> {
    /// Explains the decision for an image. `sources` names the sources of the rules.
    pub(crate) fn explain(self, image: &'a str, sources: String) -> Explanation<'a> {
        let Self { policy, namespace, .. } = self;
        let reference = ImageReference::parse(image);
        let decision = self.decide(image);
        let outcome = Outcome::new(&decision, image);
        let second_pass = outcome.swapped.then(|| {
            let result = &*outcome.result;
            Outcome::new(&policy.decide_with(namespace, result), result)
        });
        let maps = policy.maps(namespace);
        let pull_secret_lines =
            maps.map(|maps| maps.pull_secrets(&outcome.result)).unwrap_or_default();
        Explanation {
            image,
            registry: reference.registry(),
            path: reference.path(),
            rules: sources,
            steps: match policy {
                Policy::Maps(cluster) => Maps::new(namespace, cluster)
                    .explain(image)
                    .0
                    .iter()
                    .map(StepRecord::new)
                    .collect(),
                Policy::Legacy(prefix) => {
                    let finding = format!("`{}`", prefix.text());
                    vec![StepRecord { step: StepName::Prefix, finding, rule: None, line: None }]
                }
            },
            placeholders: match (decision.swapped, decision.rule) {
                (Some(_), Some(rule)) => rule.target.placeholders(&reference).into_iter().collect(),
                _ => BTreeMap::new(),
            },
            pull_secrets: names(&pull_secret_lines),
            pull_secret_lines,
            remark: remark(&self, &decision, image, &outcome.result),
            outcome,
            second_pass,
        }
    }

    fn decide(self, image: &'a str) -> Decision<'a> {
        self.policy.decide_with(self.namespace, image)
    }
}

impl Outcome {
    /// Returns the outcome of a decision on `image`.
    pub(crate) fn new(decision: &Decision<'_>, image: &str) -> Self {
        Self {
            result: decision.result(image),
            swapped: decision.swapped.is_some(),
            reason: decision.reason,
            rule: decision.rule.map(|rule| rule.key.to_string()),
            file: decision.rule.map(|rule| rule.file.to_string()),
            line: decision.rule.map(|rule| rule.line),
        }
    }
}

/// Returns the names in these lines, each once.
fn names<'a>(lines: &[&'a PullSecret]) -> Vec<&'a str> {
    let mut known = HashSet::new();
    let names = lines.iter().flat_map(|line| line.names.iter()).map(|name| &**name);
    names.filter(|name| known.insert(*name)).collect()
}
