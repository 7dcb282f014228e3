//! The table of `plan` for people.

use std::io::{self, Write};

use clap::builder::styling::{AnsiColor, Effects, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{
    Terminal,
    tally::{Consequence, Count, Row},
    view::{Column, View},
};
use crate::registry::Presence;

/// Prints the images as a table, and a summary with notes.
///
/// No value is cut or broken, so that each can be copied and searched for. If a line of the table is wider than the
/// terminal, each image has a paragraph instead.
pub(super) fn print(
    view: &View<'_>,
    terminal: Terminal,
    output: &mut impl Write,
) -> io::Result<()> {
    let columns = view.columns();
    let lines = lines(view, &columns);
    let fits = |columns| lines.iter().all(|line| width(line) <= columns);
    if terminal.columns.is_none_or(fits) {
        let mut lines = lines.iter();
        if let Some(title) = lines.next().filter(|_| view.rows().next().is_some()) {
            writeln!(output, "{title}")?;
        }
        for (line, (row, _)) in lines.zip(view.rows()) {
            write_styled(line, style(view, row, terminal), output)?;
        }
    } else {
        for (row, count) in view.rows() {
            paragraph(view, &columns, (row, count), terminal, output)?;
        }
    }
    writeln!(output, "{}", view.summary())?;
    for note in view.notes() {
        writeln!(output, "note: {note}")?;
    }
    Ok(())
}

/// Returns the lines of the table: the titles, and one for each image.
fn lines(view: &View<'_>, columns: &[Column]) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.title()));
    for (row, count) in view.rows() {
        table.add_row(columns.iter().map(|column| column.text(view.tally, row, count)));
    }
    for (column, layout) in columns.iter().zip(table.column_iter_mut()) {
        layout.set_padding((0, 2));
        if column.is_number() {
            layout.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Returns the number of columns that a line takes.
fn width(line: &str) -> usize {
    // Images are ASCII; other text of the cluster is escaped or rare.
    line.chars().count()
}

/// Prints an image with a line for each other column.
fn paragraph(
    view: &View<'_>,
    columns: &[Column],
    (row, count): (&Row, &Count),
    terminal: Terminal,
    output: &mut impl Write,
) -> io::Result<()> {
    let titles = columns.iter().map(|column| column.title().len());
    let indent = titles.max().unwrap_or_default();
    let style = style(view, row, terminal);
    for column in columns {
        let text = column.text(view.tally, row, count);
        if *column == Column::Image {
            write_styled(&text, style, output)?;
        } else if !text.is_empty() {
            let title = column.title().to_lowercase();
            write_styled(&format!("  {title:indent$}  {text}"), style, output)?;
        }
    }
    writeln!(output)
}

/// Returns the style of a row.
fn style(view: &View<'_>, row: &Row, terminal: Terminal) -> Style {
    match row.consequence {
        _ if !terminal.is_colored => Style::new(),
        _ if view.tally.target(row) == Some(Presence::Absent) => AnsiColor::Red.on_default(),
        Consequence::Changes => AnsiColor::Green.on_default(),
        Consequence::OlderMap => AnsiColor::Yellow.on_default(),
        Consequence::NotSelected | Consequence::NoRule => Style::new().effects(Effects::DIMMED),
        Consequence::Stays => Style::new(),
    }
}

fn write_styled(line: &str, style: Style, output: &mut impl Write) -> io::Result<()> {
    writeln!(output, "{style}{line}{style:#}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{
        super::{
            images::{Planned, PlannedRule},
            tally::{Counted, Tally},
        },
        *,
    };
    use crate::kubernetes::Selected;

    fn printed(image: &str, terminal: Terminal) -> String {
        let rule = PlannedRule { file: "map".to_owned(), line: 3, key: "default".to_owned() };
        let planned = Planned {
            image: image.to_owned(),
            result: format!("d.io/{image}"),
            reason: "default",
            rule: Some(rule),
            is_verifiable: true,
        };
        let mut tally = Tally::default();
        let row = Row::new(planned, None, Selected::Yes);
        tally.add(Counted::Pod, "shop", BTreeSet::from([row]));
        let view =
            View { tally: &tally, is_comparison: false, has_workloads: false, is_verified: false };
        let mut printed = Vec::new();
        print(&view, terminal, &mut printed).unwrap();
        String::from_utf8(printed).unwrap()
    }

    #[test]
    fn text_of_the_cluster_cannot_control_the_terminal() {
        let printed = printed("a\u{1b}[31m\nb\u{202e}c", Terminal::default());
        assert_eq!(printed.lines().count(), 3, "{printed}");
        assert!(!printed.contains(['\u{1b}', '\u{202e}']), "{printed}");
        assert!(printed.contains(r"a\u{1b}[31m\u{a}b\u{202e}c"), "{printed}");
    }

    #[test]
    fn a_table_that_is_too_wide_has_a_paragraph_for_each_image() {
        let table = "\
IMAGE    BECOMES       PODS  NAMESPACES  RULE
nginx:1  d.io/nginx:1     1  shop        map:3 default
";
        let paragraph = "\
nginx:1
  becomes     d.io/nginx:1
  pods        1
  namespaces  shop
  rule        map:3 default

";
        for (columns, expected) in [(None, table), (Some(54), table), (Some(53), paragraph)] {
            let printed = printed("nginx:1", Terminal { columns, is_colored: false });
            let summary = "1 pod in 1 namespace: 1 image changes, 0 not selected, 0 unchanged\n";
            assert_eq!(printed, format!("{expected}{summary}"), "{columns:?}");
        }
    }

    #[test]
    fn an_image_that_changes_is_green() {
        let terminal = Terminal { is_colored: true, columns: None };
        let printed = printed("nginx:1", terminal);
        let line = printed.lines().nth(1).unwrap();
        assert!(line.starts_with("\u{1b}[32mnginx:1") && line.ends_with("\u{1b}[0m"), "{line:?}");
    }
}
