//! Markdown for the pages.

/// Returns the beginning of a page: its title, and a note that it is generated.
pub(crate) fn page(title: &str) -> String {
    format!("# {title}\n\n<!-- Generated from the code by `just reference`. Do not edit. -->\n\n")
}

/// Returns a table.
pub(crate) fn table<const N: usize>(
    columns: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let line = |cells: [String; N]| format!("| {} |\n", cells.join(" | "));
    let mut table = line(columns.map(str::to_owned)) + &"|---".repeat(N) + "|\n";
    for row in rows {
        table += &line(row.map(|cell| cell.replace('|', "\\|").replace('\n', " ")));
    }
    table
}

/// Returns a block of code in a language.
pub(crate) fn code(language: &str, text: &str) -> String {
    format!("```{language}\n{}\n```\n", text.trim_end())
}

/// Returns text as code within a line.
pub(crate) fn literal(text: &str) -> String {
    format!("`{text}`")
}
