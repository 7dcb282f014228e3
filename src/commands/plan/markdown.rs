//! The output of `plan` in Markdown, as GitHub shows it in the summary of a job or in a comment.

use std::io::{self, Write};

use super::{tally::Consequence, view::View};

/// Maximum size of the rows in bytes. A comment on GitHub has at most 65,536 characters; title, summary and notes need
/// the rest.
const MAX_ROWS_BYTES: usize = 60_000;

/// Characters that may begin markup.
const MARKUP: &str = r"&<>`|\*_~[]@#:";

/// Prints the images that change, or that are not selected, and a summary with notes.
pub(super) fn print(view: &View<'_>, output: &mut impl Write) -> io::Result<()> {
    let columns = view.columns();
    let is_shown = |consequence| consequence != Consequence::Stays;
    let rows: Vec<String> = view
        .rows()
        .filter(|(row, _)| is_shown(row.consequence))
        .map(|(row, count)| {
            let cells = columns.iter().map(|column| match column.text(view.tally, row, count) {
                text if column.is_number() => text,
                text => code(&text),
            });
            format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
        })
        .collect();
    writeln!(output, "### ImageSwap plan\n\n{}\n", view.summary())?;
    if !rows.is_empty() {
        let titles: Vec<_> = columns.iter().map(|column| column.title().to_lowercase()).collect();
        writeln!(output, "| {} |", titles.join(" | "))?;
        let line = columns.iter().map(|column| if column.is_number() { "--:" } else { "---" });
        writeln!(output, "| {} |", line.collect::<Vec<_>>().join(" | "))?;
    }
    let (mut bytes, mut printed) = (0, 0);
    for row in &rows {
        bytes += row.len() + 1;
        if bytes > MAX_ROWS_BYTES {
            break;
        }
        writeln!(output, "{row}")?;
        printed += 1;
    }
    if !rows.is_empty() {
        writeln!(output)?;
    }
    let more = rows.len() - printed;
    if more > 0 {
        writeln!(output, "{more} more rows are left out: `--output json` prints all.\n")?;
    }
    for note in view.notes() {
        writeln!(output, "> {note}\n")?;
    }
    Ok(())
}

/// Returns text as code in a cell of a table. Nothing in it is markup.
fn code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    if !text.contains(['`', '\\']) {
        return format!("`{}`", text.replace('|', r"\|"));
    }
    // A backquote ends code in backquotes, and a backslash before a bar would escape the bar's own.
    let escape = |character: char| {
        if MARKUP.contains(character) {
            format!("&#{};", u32::from(character))
        } else {
            character.to_string()
        }
    };
    let escaped: String = text.chars().map(escape).collect();
    format!("<code>{escaped}</code>")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{
        super::{
            images::Planned,
            tally::{Counted, Row, Tally},
        },
        *,
    };
    use crate::kubernetes::Selected;

    fn printed(images: &[&str]) -> String {
        let mut tally = Tally::default();
        for image in images {
            let planned = Planned {
                image: (*image).to_owned(),
                result: format!("d.io/{image}"),
                reason: "default",
                rule: None,
                is_verifiable: true,
            };
            let stays = Planned { result: (*image).to_owned(), ..planned.clone() };
            let rows = [planned, stays].map(|planned| Row::new(planned, None, Selected::Yes));
            tally.add(Counted::Pod, "shop", BTreeSet::from(rows));
        }
        let view =
            View { tally: &tally, is_comparison: false, has_workloads: false, is_verified: false };
        let mut printed = Vec::new();
        print(&view, &mut printed).unwrap();
        String::from_utf8(printed).unwrap()
    }

    #[test]
    fn only_images_that_change_are_rows() {
        let expected = "\
### ImageSwap plan

1 pod in 1 namespace: 1 image changes, 0 not selected, 1 unchanged

| image | becomes | pods | namespaces | rule |
| --- | --- | --: | --- | --- |
| `nginx:1` | `d.io/nginx:1` | 1 | `shop` |  |

";
        assert_eq!(printed(&["nginx:1"]), expected);
    }

    #[test]
    fn text_of_the_cluster_is_no_markup() {
        for (text, expected) in [
            ("a|b", r"`a\|b`"),
            ("<b>@a", "`<b>@a`"),
            ("a`b|<c>", "<code>a&#96;b&#124;&#60;c&#62;</code>"),
            ("a\\|b", "<code>a&#92;&#124;b</code>"),
            ("", ""),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn a_comment_has_room_for_all_rows_that_are_printed() {
        let images: Vec<_> = (0..3000).map(|number| format!("nginx:{number}")).collect();
        let printed = printed(&images.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(printed.len() < 65_536, "{}", printed.len());
        assert!(printed.contains(" more rows are left out: "), "{printed}");
    }
}
