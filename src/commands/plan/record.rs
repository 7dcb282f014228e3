//! The output of `plan` for programs: a record for each image.

use serde::Serialize;

use super::{
    super::Field,
    images::Planned,
    tally::{Consequence, Count, Counted, Row, Tally},
};
use crate::registry::Presence;

/// Fields of a line of `plan --output json`, and of an element of `plan --output yaml`.
pub const FIELDS: [Field; 20] = [
    Field {
        name: "image",
        meaning: "Image in the objects; with `--against`, the original image if it is recorded",
    },
    Field { name: "result", meaning: "Image after rewriting with the map" },
    Field {
        name: "changes",
        meaning: "`true` if the image would be rewritten: `result` differs from `image`, or from `against.result` with `--against`, and the webhook configuration selects the objects",
    },
    Field {
        name: "selected",
        meaning: "`false` if the image would change, but the webhook configuration does not select the objects",
    },
    Field {
        name: "not_selected_by",
        meaning: "`labels` if the selectors of the webhook configuration do not match, `rules` if no rule is for the resource, `null` if `selected` is `true`",
    },
    Field {
        name: "original",
        meaning: "Recorded image from which the webhook has made `image`, or `null`",
    },
    Field {
        name: "reason",
        meaning: "Reason of the decision, or `disabled`, `mirror-pod` or `owned` for an object that is left alone as a whole",
    },
    Field { name: "rule", meaning: "Key of the rule that decided, or `null`" },
    Field { name: "file", meaning: "Map file of that rule, or `null`" },
    Field { name: "line", meaning: "Line of that rule in the map, or `null`" },
    Field { name: "against", meaning: "Decision of the map of `--against`, or `null`" },
    Field { name: "against.result", meaning: "Image by that map" },
    Field { name: "against.reason", meaning: "Reason of its decision" },
    Field { name: "against.rule", meaning: "Key of its rule that decided, or `null`" },
    Field { name: "against.file", meaning: "Map file of that rule, or `null`" },
    Field { name: "against.line", meaning: "Line of that rule in the map, or `null`" },
    Field {
        name: "target",
        meaning: "With `--verify`: `present`, `absent` or `unknown`, what the registry says about `result`; `null` if it was not asked",
    },
    Field { name: "pods", meaning: "Number of pods with the image" },
    Field {
        name: "workloads",
        meaning: "Number of workloads and custom resources with the image; 0 unless `--workloads`, `--sites` or `--filename` reads them",
    },
    Field { name: "namespaces", meaning: "Namespaces of these objects" },
];

/// An image with the decision on it, for programs.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    image: &'a str,
    result: &'a str,
    changes: bool,
    selected: bool,
    not_selected_by: Option<&'static str>,
    original: Option<&'a str>,
    reason: &'a str,
    rule: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    against: Option<Against<'a>>,
    target: Option<Presence>,
    pods: usize,
    workloads: usize,
    namespaces: Vec<&'a str>,
}

/// The decision of the map that is compared with.
#[derive(Serialize)]
struct Against<'a> {
    result: &'a str,
    reason: &'a str,
    rule: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
}

impl<'a> Record<'a> {
    pub(super) fn new(tally: &Tally, row: &'a Row, count: &'a Count) -> Self {
        let Row { consequence, planned, against, original } = row;
        let not_selected_by = match consequence {
            Consequence::NotSelected => Some("labels"),
            Consequence::NoRule => Some("rules"),
            Consequence::Changes | Consequence::OlderMap | Consequence::Stays => None,
        };
        let rule = planned.rule.as_ref();
        Self {
            image: &planned.image,
            result: &planned.result,
            changes: row.is_change(),
            selected: not_selected_by.is_none(),
            not_selected_by,
            original: original.as_deref(),
            reason: planned.reason,
            rule: rule.map(|rule| &*rule.key),
            file: rule.map(|rule| &*rule.file),
            line: rule.map(|rule| rule.line),
            against: against.as_ref().map(Against::new),
            target: tally.target(row),
            pods: count.objects[Counted::Pod as usize],
            workloads: count.objects[Counted::Workload as usize],
            namespaces: count.namespaces.iter().map(String::as_str).collect(),
        }
    }
}

impl<'a> Against<'a> {
    fn new(planned: &'a Planned) -> Self {
        let rule = planned.rule.as_ref();
        Self {
            result: &planned.result,
            reason: planned.reason,
            rule: rule.map(|rule| &*rule.key),
            file: rule.map(|rule| &*rule.file),
            line: rule.map(|rule| rule.line),
        }
    }
}
