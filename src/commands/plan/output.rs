//! The output of `plan`: a table, or a JSON object for each image.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use super::{
    super::{Field, Output, counted},
    images::PlannedRule,
    tally::{Consequence, Count, Row, Tally},
};
use crate::excerpt::excerpt;

/// Fields of a line of `plan --output json`.
pub const FIELDS: [Field; 10] = [
    Field { name: "image", meaning: "Image in the pods" },
    Field { name: "result", meaning: "Image by the map" },
    Field {
        name: "changes",
        meaning: "`true` if the image would be rewritten: `result` differs, and the webhook configuration selects the pods",
    },
    Field {
        name: "selected",
        meaning: "`false` if the map rewrites the image, but the webhook configuration does not select the pods",
    },
    Field {
        name: "reason",
        meaning: "Reason of the decision, or `disabled` or `mirror-pod` for a pod that is left alone as a whole",
    },
    Field { name: "rule", meaning: "Key of the rule that decided, or `null`" },
    Field { name: "file", meaning: "Map file of that rule, or `null`" },
    Field { name: "line", meaning: "Line of that rule in the map, or `null`" },
    Field { name: "pods", meaning: "Number of pods with the image" },
    Field { name: "namespaces", meaning: "Their namespaces" },
];

/// Maximum number of namespaces that a row of the table names.
const MAX_NAMED_NAMESPACES: usize = 3;

/// Maximum size of a value in the table, in bytes: a reference with a digest mostly fits.
const MAX_SHOWN_BYTES: usize = 512;

/// Number of the column with the number of pods.
const PODS_COLUMN: usize = 2;

/// Line of `plan --output json`.
#[derive(Serialize)]
struct Record<'a> {
    image: &'a str,
    result: &'a str,
    changes: bool,
    selected: bool,
    reason: &'a str,
    rule: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    pods: usize,
    namespaces: Vec<&'a str>,
}

/// Prints the images, and in text a summary.
pub(super) fn print(tally: &Tally, format: Output, output: &mut impl Write) -> io::Result<()> {
    if format == Output::Json {
        for (row, count) in tally.rows() {
            serde_json::to_writer(&mut *output, &record(row, count))?;
            writeln!(output)?;
        }
        return Ok(());
    }
    let mut table = Table::new();
    // As kubectl: no lines are broken, so that each image can be copied and searched for.
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["IMAGE", "BECOMES", "PODS", "NAMESPACES", "RULE"]);
    for (row, count) in tally.rows() {
        let rule = row.planned.rule.as_ref().map(shown_rule).unwrap_or_default();
        let pods = count.pods.to_string();
        table.add_row([shown(&row.planned.image), becomes(row), pods, namespaces(count), rule]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    if let Some(pods) = table.column_mut(PODS_COLUMN) {
        pods.set_cell_alignment(CellAlignment::Right);
    }
    for line in table.lines() {
        writeln!(output, "{}", line.trim_end())?;
    }
    summary(tally, output)
}

fn record<'a>(row: &'a Row, count: &'a Count) -> Record<'a> {
    let rule = row.planned.rule.as_ref();
    Record {
        image: &row.planned.image,
        result: &row.planned.result,
        changes: row.consequence == Consequence::Changes,
        selected: row.consequence != Consequence::NotSelected,
        reason: row.planned.reason,
        rule: rule.map(|rule| &*rule.key),
        file: rule.map(|rule| &*rule.file),
        line: rule.map(|rule| rule.line),
        pods: count.pods,
        namespaces: count.namespaces.iter().map(String::as_str).collect(),
    }
}

/// Returns a value of the cluster for a terminal.
fn shown(value: &str) -> String {
    excerpt(value, MAX_SHOWN_BYTES).into_owned()
}

fn becomes(row: &Row) -> String {
    match row.consequence {
        Consequence::Changes => shown(&row.planned.result),
        Consequence::NotSelected => "stays (not selected)".to_owned(),
        Consequence::Stays => format!("stays ({})", row.planned.reason),
    }
}

fn shown_rule(rule: &PlannedRule) -> String {
    format!("{}:{} {}", rule.file, rule.line, shown(&rule.key))
}

fn namespaces(count: &Count) -> String {
    let named = count.namespaces.iter().take(MAX_NAMED_NAMESPACES).cloned();
    let named = named.collect::<Vec<_>>().join(", ");
    match count.namespaces.len().saturating_sub(MAX_NAMED_NAMESPACES) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn summary(tally: &Tally, output: &mut impl Write) -> io::Result<()> {
    let changes = tally.images(Consequence::Changes);
    writeln!(
        output,
        "{} in {}: {} {}, {} not selected, {} unchanged",
        counted(tally.pods, "pod"),
        counted(tally.namespaces.len(), "namespace"),
        counted(changes, "image"),
        if changes == 1 { "changes" } else { "change" },
        tally.images(Consequence::NotSelected),
        tally.images(Consequence::Stays),
    )
}

#[cfg(test)]
mod tests {
    use super::{super::images::Planned, *};

    #[test]
    fn text_of_the_cluster_cannot_control_the_terminal() {
        let mut tally = Tally::default();
        let image = "a\u{1b}[31m\nb\u{202e}c".to_owned();
        let planned =
            Planned { result: format!("d.io/{image}"), image, reason: "default", rule: None };
        tally.add("shop", vec![planned], true);
        let mut printed = Vec::new();
        print(&tally, Output::Text, &mut printed).unwrap();
        let printed = String::from_utf8(printed).unwrap();
        assert_eq!(printed.lines().count(), 3, "{printed}");
        assert!(!printed.contains(['\u{1b}', '\u{202e}']), "{printed}");
        assert!(printed.contains(r"a\u{1b}[31m\u{a}b\u{202e}c"), "{printed}");
    }
}
