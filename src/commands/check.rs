//! `imageswap check`: the mistakes in map files, shown as a compiler shows them.

use std::{borrow::Cow, io::Write, path::PathBuf, process::ExitCode};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use clap::Args;
use serde::Serialize;

use super::{counted, swap::Output};
use crate::{
    rules::{
        Code, Diagnostic, LoadedMap, Severity,
        map::{rule_span, without_mark},
    },
    sources::{MapError, read_map},
};

/// The arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArguments {
    /// How to print: for people, or a JSON object a line
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Exit with 1 for warnings too
    #[arg(long)]
    deny_warnings: bool,

    /// The map files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// A line of `check --output json`.
#[derive(Serialize)]
struct Record<'a> {
    file: String,
    /// None when the diagnostic is about the whole file.
    line: Option<u32>,
    /// In characters, from 1.
    column: Option<usize>,
    severity: Severity,
    code: Code,
    message: &'a str,
    hint: &'a str,
    /// The text of the line.
    text: Option<String>,
    /// Another line that takes part.
    related_line: Option<u32>,
}

/// Checks the files. The exit code is 0 when there are no errors (and, with `--deny-warnings`, no
/// warnings), else 1; 2 when a file cannot be read, after all others are checked.
///
/// # Errors
/// When the output cannot be written.
pub fn run(
    arguments: &CheckArguments,
    is_terminal: bool,
    output: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let renderer = if is_terminal { Renderer::styled() } else { Renderer::plain() };
    let mut code = 0;
    for file in &arguments.files {
        let map = read_map(file).and_then(|text| match LoadedMap::from_text(&text) {
            Ok(map) => Ok((text, map)),
            Err(reason) => Err(MapError::Compile { file: file.clone(), reason }),
        });
        let (text, map) = match map {
            Ok(map) => map,
            Err(error) => {
                // The exit code tells of it too, if nobody reads this.
                let _ = writeln!(std::io::stderr(), "error: {error}");
                code = 2;
                continue;
            }
        };
        let checked =
            File { name: file.display().to_string(), lines: without_mark(&text).lines().collect() };
        for diagnostic in map.diagnostics.kept() {
            match arguments.output {
                Output::Text => writeln!(output, "{}\n", checked.render(diagnostic, &renderer))?,
                Output::Json => {
                    serde_json::to_writer(&mut *output, &checked.record(diagnostic))
                        .map_err(std::io::Error::from)?;
                    writeln!(output)?;
                }
            }
        }
        let errors = map.diagnostics.count(Severity::Error);
        let warnings = map.diagnostics.count(Severity::Warning);
        let mut remarks = match map.diagnostics.dropped() {
            0 => String::new(),
            dropped => format!(" ({dropped} more not shown)"),
        };
        if map.diagnostics.is_partial() {
            remarks.push_str(" (too many globs to compare all of them)");
        }
        if arguments.output == Output::Json && !remarks.is_empty() {
            let _ = writeln!(std::io::stderr(), "warning: {}:{remarks}", checked.name);
        }
        if arguments.output == Output::Text {
            writeln!(
                output,
                "{}: {}, {}, {}{remarks}",
                checked.name,
                counted(map.rules.rules().len(), "rule"),
                counted(errors, "error"),
                counted(warnings, "warning"),
            )?;
        }
        if errors > 0 || (arguments.deny_warnings && warnings > 0) {
            code = code.max(1);
        }
    }
    Ok(ExitCode::from(code))
}

/// Cuts a line of a map to what is shown of it. What a terminal obeys is shown as symbols where it is printed, so that
/// places in the line stay as they are.
fn cut(line: &str) -> Cow<'_, str> {
    /// Longer than any valid image with a digest, short enough for a terminal.
    const MAX_SHOWN_CHARACTERS: usize = 400;
    match line.char_indices().nth(MAX_SHOWN_CHARACTERS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &line[..end])),
        None => Cow::Borrowed(line),
    }
}

/// A map file and its lines.
struct File<'a> {
    name: String,
    lines: Vec<&'a str>,
}

impl<'a> File<'a> {
    fn record(&self, diagnostic: &'a Diagnostic) -> Record<'a> {
        let text = diagnostic.line.map(|line| self.text(line));
        let start = diagnostic.span.start;
        let column =
            text.and_then(|text| text.get(..start)).map(|before| before.chars().count() + 1);
        Record {
            file: self.name.clone(),
            line: diagnostic.line,
            column,
            severity: diagnostic.severity(),
            code: diagnostic.code,
            message: &diagnostic.message,
            hint: &diagnostic.hint,
            text: text.map(|text| cut(text).into_owned()),
            related_line: diagnostic.related.as_ref().map(|related| related.line),
        }
    }

    fn render(&self, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
        let level = match diagnostic.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(&*diagnostic.message).id(diagnostic.code.as_str());
        let mut group = match diagnostic.line {
            Some(line) => {
                let primary = AnnotationKind::Primary.span(self.clipped(line, &diagnostic.span));
                title.element(self.snippet(line).annotation(primary))
            }
            None => Group::with_title(title).element(annotate_snippets::Origin::path(&*self.name)),
        };
        if let Some(related) = &diagnostic.related {
            let text = self.text(related.line);
            let span = self.clipped(related.line, &rule_span(text));
            let context = AnnotationKind::Context.span(span).label(&*related.label);
            group = group.element(self.snippet(related.line).annotation(context));
        }
        let group = group.element(Level::HELP.message(&*diagnostic.hint));
        renderer.render(&[group])
    }

    fn snippet<T: Clone>(&self, line: u32) -> Snippet<'_, T> {
        Snippet::source(cut(self.text(line)))
            .line_start(line as usize)
            .path(&*self.name)
            .fold(false)
    }

    /// A range of a line, within what is shown of it.
    fn clipped(&self, line: u32, span: &std::ops::Range<usize>) -> std::ops::Range<usize> {
        let shown = cut(self.text(line));
        // What lies behind the cut, or within the sign that marks it, moves to the end.
        let clip = |at| if shown.is_char_boundary(at) { at.min(shown.len()) } else { shown.len() };
        clip(span.start)..clip(span.end)
    }

    /// The text of a line, without its end.
    fn text(&self, line: u32) -> &'a str {
        self.lines.get(line as usize - 1).copied().unwrap_or_default()
    }
}
