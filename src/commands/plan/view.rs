//! The view of the images that `plan` prints: rows, columns, summary and notes.

use super::{
    counted,
    images::{Planned, PlannedRule},
    tally::{Consequence, Count, Counted, Row, Tally},
};
use crate::{excerpt::excerpt, registry::Presence};

/// Maximum number of namespaces that a row of a table names.
const MAX_NAMED_NAMESPACES: usize = 3;

/// Maximum size of a value in a table, in bytes. A valid reference mostly has fewer than 400, with a digest.
const MAX_SHOWN_BYTES: usize = 512;

/// The images that are printed.
pub(super) struct View<'a> {
    pub(super) tally: &'a Tally,
    /// True if two maps are compared. Only images for which they differ are printed.
    pub(super) is_comparison: bool,
    /// True if other objects than pods were read.
    pub(super) has_workloads: bool,
    /// True if registries were asked for the new images.
    pub(super) is_verified: bool,
}

/// A column of a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Column {
    Image,
    Against,
    Becomes,
    Target,
    Pods,
    Workloads,
    Namespaces,
    RuleAgainst,
    Rule,
}

impl<'a> View<'a> {
    /// Returns the rows to print.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&'a Row, &'a Count)> {
        let is_comparison = self.is_comparison;
        let is_shown = move |row: &Row| !is_comparison || row.consequence != Consequence::Stays;
        self.tally.rows().filter(move |(row, _)| is_shown(row))
    }

    /// Returns the columns to print.
    pub(super) fn columns(&self) -> Vec<Column> {
        let columns = [
            (Column::Image, true),
            (Column::Against, self.is_comparison),
            (Column::Becomes, true),
            (Column::Target, self.is_verified),
            (Column::Pods, true),
            (Column::Workloads, self.has_workloads),
            (Column::Namespaces, true),
            (Column::RuleAgainst, self.is_comparison),
            (Column::Rule, true),
        ];
        columns.into_iter().filter(|(_, is_shown)| *is_shown).map(|(column, _)| column).collect()
    }

    /// Returns the summary in one line.
    pub(super) fn summary(&self) -> String {
        let tally = self.tally;
        let [pods, workloads] = tally.objects;
        let mut objects = counted(pods, "pod");
        if self.has_workloads {
            objects = format!("{objects} and {}", counted(workloads, "workload"));
        }
        let namespaces = counted(tally.namespaces.len(), "namespace");
        let changes = tally.images(&[Consequence::Changes]);
        let verb = match (self.is_comparison, changes == 1) {
            (true, true) => "differs",
            (true, false) => "differ",
            (false, true) => "changes",
            (false, false) => "change",
        };
        let older = match tally.images(&[Consequence::OlderMap]) {
            0 => String::new(),
            older => format!(" {older} of an older map,"),
        };
        let verified = if self.is_verified {
            format!(
                "; targets: {} present, {} absent, {} unknown, {} not asked",
                tally.targets_with(Presence::Present),
                tally.targets_with(Presence::Absent),
                tally.targets_with(Presence::Unknown),
                tally.not_asked(),
            )
        } else {
            String::new()
        };
        format!(
            "{objects} in {namespaces}: {} {verb},{older} {} not selected, {} {}{verified}",
            counted(changes, "image"),
            tally.images(&[Consequence::NotSelected, Consequence::NoRule]),
            tally.images(&[Consequence::Stays]),
            if self.is_comparison { "the same" } else { "unchanged" },
        )
    }

    /// Returns notes about what the rows do not tell.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = self.tally.unknown.clone();
        let unrecorded = self.tally.unrecorded.len();
        if self.is_comparison && unrecorded > 0 {
            let (are, have) = if unrecorded == 1 { ("is", "has") } else { ("are", "have") };
            notes.push(format!(
                "{} of pods {are} already rewritten, and {have} no original recorded. The comparison \
                 does not cover them. Add --workloads to read the templates, or set \
                 IMAGESWAP_ANNOTATE=true to record originals",
                counted(unrecorded, "image"),
            ));
        }
        for (owner, pods) in &self.tally.owners {
            let have = if *pods == 1 { "belongs" } else { "belong" };
            notes.push(format!(
                "{} with changes {have} to {owner}, whose operator may compare images: rewrite \
                 them in the resource (docs/sites.md)",
                counted(*pods, "pod"),
            ));
        }
        notes
    }
}

impl Column {
    /// Returns the title.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Image => "IMAGE",
            Self::Against => "AGAINST",
            Self::Becomes => "BECOMES",
            Self::Target => "TARGET",
            Self::Pods => "PODS",
            Self::Workloads => "WORKLOADS",
            Self::Namespaces => "NAMESPACES",
            Self::RuleAgainst => "RULE AGAINST",
            Self::Rule => "RULE",
        }
    }

    /// Returns true if the column has numbers.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Pods | Self::Workloads)
    }

    /// Returns the text of a row. It has no control characters.
    pub(super) fn text(self, tally: &Tally, row: &Row, count: &Count) -> String {
        let against = row.against.as_ref();
        match self {
            Self::Image => shown(&row.planned.image),
            Self::Against => against.map(result).unwrap_or_default(),
            Self::Becomes => becomes(row),
            Self::Target => tally.target(row).map_or("", Presence::as_str).to_owned(),
            Self::Pods => count.objects[Counted::Pod as usize].to_string(),
            Self::Workloads => count.objects[Counted::Workload as usize].to_string(),
            Self::Namespaces => namespaces(count),
            Self::RuleAgainst => {
                against.and_then(|planned| planned.rule.as_ref()).map(rule).unwrap_or_default()
            }
            Self::Rule => row.planned.rule.as_ref().map(rule).unwrap_or_default(),
        }
    }
}

/// Returns a value of the cluster for people.
fn shown(value: &str) -> String {
    excerpt(value, MAX_SHOWN_BYTES).into_owned()
}

/// Returns the image after a decision, or the reason why it stays.
fn result(planned: &Planned) -> String {
    if planned.result == planned.image {
        format!("stays ({})", planned.reason)
    } else {
        shown(&planned.result)
    }
}

fn becomes(row: &Row) -> String {
    let not_selected = match row.consequence {
        Consequence::Changes | Consequence::Stays => return result(&row.planned),
        Consequence::OlderMap => return format!("{} (older map)", shown(&row.planned.result)),
        Consequence::NotSelected => "not selected",
        Consequence::NoRule => "no rule of the webhook",
    };
    match row.against {
        Some(_) => format!("{} ({not_selected})", shown(&row.planned.result)),
        None => format!("stays ({not_selected})"),
    }
}

fn rule(rule: &PlannedRule) -> String {
    format!("{}:{} {}", rule.file, rule.line, shown(&rule.key))
}

fn namespaces(count: &Count) -> String {
    let named = count.namespaces.iter().take(MAX_NAMED_NAMESPACES).map(|name| shown(name));
    let named = named.collect::<Vec<_>>().join(", ");
    match count.namespaces.len().saturating_sub(MAX_NAMED_NAMESPACES) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
