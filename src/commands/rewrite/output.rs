//! The output of `rewrite`: manifests, a diff, or a list of images.

use std::{
    io::{self, Write},
    path::Path,
};

use clap::Args;
use similar::TextDiff;

use super::super::manifest_files::shown;
use crate::{
    excerpt::{MAX_VALUE_BYTES, excerpt},
    manifests::Rewritten,
};

/// Number of lines around a change that a diff shows.
const CONTEXT_LINES: usize = 3;

/// Arguments that select the output.
#[derive(Args, Debug)]
pub(super) struct FormArguments {
    /// Print the changes as a unified diff, instead of the manifests
    #[arg(long, conflicts_with = "in_place")]
    pub(super) diff: bool,

    /// Print the images that would change, instead of the manifests, and exit with code 3 if there are any
    #[arg(long, conflicts_with = "in_place")]
    pub(super) check: bool,

    /// Write the changes into the files, and print nothing
    #[arg(long)]
    pub(super) in_place: bool,
}

/// A text with the name of its file.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

/// The end of the output so far.
#[derive(Default)]
pub(super) struct Printed {
    /// True if manifests are printed.
    is_any: bool,
    /// True if the last line is not complete.
    is_open: bool,
}

impl Printed {
    /// Prints the manifests of a file. A line with `---` separates them from those of another file.
    pub(super) fn print(&mut self, text: &str, output: &mut impl Write) -> io::Result<()> {
        if self.is_open {
            writeln!(output)?;
        }
        // A byte-order mark and directives may stand only at the beginning of a text, or after the end of a document.
        let text = if self.is_any { text.trim_start_matches('\u{feff}') } else { text };
        if self.is_any && text.starts_with('%') {
            writeln!(output, "...")?;
        } else if self.is_any && !begins_document(text) {
            writeln!(output, "---")?;
        }
        output.write_all(text.as_bytes())?;
        self.is_any = true;
        self.is_open = !text.is_empty() && !text.ends_with('\n');
        Ok(())
    }
}

/// Returns true if a text begins with the line that separates documents.
fn begins_document(text: &str) -> bool {
    let rest = text.strip_prefix("---");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Prints the changed lines of a file, as `patch -p1` and `git apply` read them.
pub(super) fn print_diff(
    source: Source<'_>,
    rewritten: &Rewritten<'_>,
    output: &mut impl Write,
) -> io::Result<()> {
    let file = source.file.to_string_lossy();
    let file = file.trim_start_matches("./").trim_start_matches('/');
    // A name with a space ends at a tab.
    let end = if file.contains(char::is_whitespace) { "\t" } else { "" };
    let [old, new] =
        [source.text, &rewritten.text].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let diff = TextDiff::configure().newline_terminated(true).diff_slices(&old, &new);
    let mut diff = diff.unified_diff();
    let diff = diff
        .context_radius(CONTEXT_LINES)
        .header(&format!("a/{file}{end}"), &format!("b/{file}{end}"));
    write!(output, "{diff}")
}

/// Prints the images of a file that change, and the pull secrets that are added.
pub(super) fn print_changes(
    source: Source<'_>,
    rewritten: &Rewritten<'_>,
    output: &mut impl Write,
) -> io::Result<()> {
    let file = shown(source.file);
    for change in &rewritten.changes {
        let [from, to] = [&change.from, &change.to].map(|image| excerpt(image, MAX_VALUE_BYTES));
        writeln!(output, "{file}:{}: {from} -> {to}", change.line)?;
    }
    for added in &rewritten.added {
        writeln!(output, "{file}:{}: imagePullSecrets: {}", added.line, added.names.join(", "))?;
    }
    Ok(())
}
