//! The form of the page: the explanation for an image.

use std::collections::BTreeMap;

use serde::Serialize;

use super::shown::Shown;
use crate::{
    admission::{Mode, World},
    explanation::{DecidingRules, Explanation, Outcome, StepName, StepRecord},
    image::MAX_IMAGE_BYTES,
    namespace::is_namespace,
    rules::{Diagnostics, Reason},
};

/// Maximum number of pull secrets of one image on the page.
const MAX_PULL_SECRETS: usize = 20;

/// The fields of the form, as the client has sent them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Question {
    pub(super) image: String,
    pub(super) namespace: String,
}

/// The answer to the form.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) image: Shown,
    pub(super) namespace: Option<Shown>,
    /// The reason why there is no explanation; `None` if there is one.
    pub(super) error: Option<Shown>,
    #[serde(flatten)]
    pub(super) explained: Option<Explained>,
}

/// The explanation for an image, with the fields of `imageswap explain --output json`.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    pub(super) registry: Shown,
    pub(super) path: Shown,
    pub(super) rules: Shown,
    pub(super) mode: &'static str,
    pub(super) steps: Vec<StepRow>,
    #[serde(flatten)]
    pub(super) outcome: OutcomeRow,
    pub(super) placeholders: BTreeMap<&'static str, Shown>,
    pub(super) pull_secrets: Vec<Shown>,
    pub(super) remark: Option<Shown>,
    pub(super) second_pass: Option<OutcomeRow>,
}

/// A step of the decision.
#[derive(Debug, Serialize)]
pub(super) struct StepRow {
    pub(super) step: StepName,
    pub(super) finding: Shown,
    pub(super) rule: Option<Shown>,
    pub(super) line: Option<u32>,
}

/// A decision.
#[derive(Debug, Serialize)]
pub(super) struct OutcomeRow {
    pub(super) result: Shown,
    pub(super) swapped: bool,
    pub(super) reason: Reason,
    pub(super) rule: Option<Shown>,
    pub(super) file: Option<Shown>,
    pub(super) line: Option<u32>,
}

impl Question {
    /// Reads the query of a request. It has no image unless the form was sent.
    pub(super) fn parse(query: &str) -> Self {
        let mut question = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "image" => value.trim().clone_into(&mut question.image),
                "namespace" => value.trim().clone_into(&mut question.namespace),
                _ => {}
            }
        }
        question
    }
}

impl Answer {
    /// Answers the form; `None` if it was not sent. `map` is the origin of the map of the cluster in words, and
    /// `diagnostics` are the mistakes in it.
    pub(super) fn to(
        question: &Question,
        world: Option<&World>,
        map: &str,
        diagnostics: &Diagnostics,
    ) -> Option<Self> {
        if question.image.is_empty() {
            return None;
        }
        let (explained, error) = match explain(question, world, map, diagnostics) {
            Ok(explained) => (Some(explained), None),
            Err(error) => (None, Some(Shown::new(&error))),
        };
        let namespace = &question.namespace;
        Some(Self {
            image: Shown::new(&question.image),
            namespace: (!namespace.is_empty()).then(|| Shown::new(namespace)),
            error,
            explained,
        })
    }
}

fn explain(
    Question { image, namespace }: &Question,
    world: Option<&World>,
    map: &str,
    diagnostics: &Diagnostics,
) -> Result<Explained, String> {
    if image.len() > MAX_IMAGE_BYTES {
        return Err(format!("the image is longer than {MAX_IMAGE_BYTES} bytes"));
    }
    if !namespace.is_empty() && !is_namespace(namespace) {
        return Err(format!("`{namespace}` is not the name of a namespace, such as `shop`"));
    }
    let world = world.ok_or("no map is loaded yet")?;
    let own = world.namespaces.get(namespace);
    let sources = match own {
        Some(own) => format!("{}, then {map}", own.file),
        None => map.to_owned(),
    };
    let own = own.map(|map| &map.rules);
    let rules = DecidingRules { policy: &world.policy, namespace: own, diagnostics };
    let mode = world.settings.shadow.mode(namespace);
    Ok(Explained::new(&rules.explain(image, sources), mode))
}

impl Explained {
    fn new(explanation: &Explanation<'_>, mode: Mode) -> Self {
        let placeholders = explanation.placeholders.iter();
        let pull_secrets = explanation.pull_secrets.iter().take(MAX_PULL_SECRETS);
        Self {
            registry: Shown::new(explanation.registry),
            path: Shown::new(explanation.path),
            rules: Shown::new(&explanation.rules),
            mode: mode.as_str(),
            steps: explanation.steps.iter().map(StepRow::new).collect(),
            outcome: OutcomeRow::new(&explanation.outcome),
            placeholders: placeholders.map(|(name, value)| (*name, Shown::new(value))).collect(),
            pull_secrets: pull_secrets.map(|name| Shown::new(name)).collect(),
            remark: explanation.remark.as_deref().map(Shown::new),
            second_pass: explanation.second_pass.as_ref().map(OutcomeRow::new),
        }
    }
}

impl StepRow {
    fn new(StepRecord { step, finding, rule, line }: &StepRecord) -> Self {
        let rule = rule.as_deref().map(Shown::new);
        Self { step: *step, finding: Shown::new(finding), rule, line: *line }
    }
}

impl OutcomeRow {
    fn new(outcome: &Outcome) -> Self {
        Self {
            result: Shown::new(&outcome.result),
            swapped: outcome.swapped,
            reason: outcome.reason,
            rule: outcome.rule.as_deref().map(Shown::new),
            file: outcome.file.as_deref().map(Shown::new),
            line: outcome.line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admission::AdmissionSettings,
        rules::{LoadedMap, Policy},
    };

    #[test]
    fn a_query_is_read_as_a_form() {
        for (query, image, namespace) in [
            ("", "", ""),
            ("image=nginx", "nginx", ""),
            ("image=+a%2Fb%3A1+&namespace=shop", "a/b:1", "shop"),
            ("namespace=shop&other=1&image=a&image=b", "b", "shop"),
            ("image=%FF%zz", "\u{fffd}%zz", ""),
        ] {
            let expected = Question { image: image.to_owned(), namespace: namespace.to_owned() };
            assert_eq!(Question::parse(query), expected, "{query}");
        }
    }

    #[test]
    fn a_question_that_has_no_answer_has_an_error() {
        let map = LoadedMap::from_text("default::d.io").unwrap();
        let world = World::new(Policy::Maps(Box::new(map.rules)), AdmissionSettings::default());
        let long = "a".repeat(MAX_IMAGE_BYTES + 1);
        for (image, namespace, world, error) in [
            ("nginx", "shop", Some(&world), None),
            ("nginx", "", None, Some("no map is loaded yet")),
            (&*long, "", Some(&world), Some("the image is longer than 4096 bytes")),
            (
                "nginx",
                "A b",
                Some(&world),
                Some("`A b` is not the name of a namespace, such as `shop`"),
            ),
        ] {
            let question = Question { image: image.to_owned(), namespace: namespace.to_owned() };
            let answer = Answer::to(&question, world, "the map", &Diagnostics::default()).unwrap();
            assert_eq!(answer.error.as_ref().map(ToString::to_string).as_deref(), error);
            assert_eq!(answer.explained.is_some(), error.is_none());
        }
    }
}
