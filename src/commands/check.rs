//! `imageswap check`: errors and warnings in map files, in the form of a compiler's diagnostics.

use std::{
    borrow::Cow,
    io::{self, Write},
    path::{Path, PathBuf},
};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use clap::Args;
use serde::Serialize;

use super::{Exit, counted, swap::Output};
use crate::{
    reload::{MapError, read_map},
    rules::{
        Code, Diagnostic, LoadedMap, Severity,
        map::{rule_span, without_mark},
    },
};

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArguments {
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Exit with code 1 for warnings too
    #[arg(long)]
    deny_warnings: bool,

    /// Map files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Line of `check --output json`.
#[derive(Serialize)]
struct Record<'a> {
    file: String,
    /// `None` if the diagnostic is about the whole file.
    line: Option<u32>,
    /// Column in characters, from 1.
    column: Option<usize>,
    severity: Severity,
    code: Code,
    message: &'a str,
    hint: &'a str,
    /// Text of the line.
    text: Option<String>,
    /// Other line that the diagnostic refers to.
    related_line: Option<u32>,
}

/// Checks the files and prints what is wrong with them. A file that cannot be read does not keep the others from being
/// checked.
///
/// # Errors
/// When the output cannot be written.
pub fn run(
    arguments: &CheckArguments,
    is_colored: bool,
    output: &mut impl Write,
) -> anyhow::Result<Exit> {
    let renderer = if is_colored { Renderer::styled() } else { Renderer::plain() };
    let mut exit = Exit::Success;
    for file in &arguments.files {
        let checked = match load(file) {
            Ok((text, map)) => {
                let lines = without_mark(&text).lines().collect();
                let file = File { name: file.display().to_string(), lines };
                print(arguments, &file, &map, &renderer, output)?;
                verdict(arguments, &map)
            }
            Err(error) => {
                // The exit code reports the failure too, if nobody reads this.
                let _ = writeln!(io::stderr(), "error: {error}");
                Exit::Unusable
            }
        };
        exit = exit.max(checked);
    }
    Ok(exit)
}

/// Reads and compiles a map.
fn load(file: &Path) -> Result<(String, LoadedMap), MapError> {
    let text = read_map(file)?;
    match LoadedMap::from_text(&text) {
        Ok(map) => Ok((text, map)),
        Err(reason) => Err(MapError::Compile { file: file.to_owned(), reason }),
    }
}

/// Returns the exit code for a map that could be read.
fn verdict(arguments: &CheckArguments, map: &LoadedMap) -> Exit {
    let fails = |severity| map.diagnostics.count(severity) > 0;
    if fails(Severity::Error) || (arguments.deny_warnings && fails(Severity::Warning)) {
        Exit::Failure
    } else {
        Exit::Success
    }
}

/// Prints the diagnostics of a map, and in text their number.
fn print(
    arguments: &CheckArguments,
    file: &File<'_>,
    map: &LoadedMap,
    renderer: &Renderer,
    output: &mut impl Write,
) -> io::Result<()> {
    let mut remarks = match map.diagnostics.dropped() {
        0 => String::new(),
        dropped => format!(" ({dropped} more not shown)"),
    };
    if map.diagnostics.is_partial() {
        remarks.push_str(" (too many globs to compare all of them)");
    }
    if arguments.output == Output::Json {
        for diagnostic in map.diagnostics.kept() {
            serde_json::to_writer(&mut *output, &file.record(diagnostic))?;
            writeln!(output)?;
        }
        if !remarks.is_empty() {
            let _ = writeln!(io::stderr(), "warning: {}:{remarks}", file.name);
        }
        return Ok(());
    }
    for diagnostic in map.diagnostics.kept() {
        writeln!(output, "{}\n", file.render(diagnostic, renderer))?;
    }
    writeln!(
        output,
        "{}: {}, {}, {}{remarks}",
        file.name,
        counted(map.rules.rules().len(), "rule"),
        counted(map.diagnostics.count(Severity::Error), "error"),
        counted(map.diagnostics.count(Severity::Warning), "warning"),
    )
}

/// Cuts a line of a map to the length that is shown. Control characters are replaced when the line is printed, so that
/// columns stay the same.
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

    /// Limits a range to the part of the line that is shown.
    fn clipped(&self, line: u32, span: &std::ops::Range<usize>) -> std::ops::Range<usize> {
        let shown = cut(self.text(line));
        // A place after the cut, or within the ellipsis, moves to the end.
        let clip = |at| if shown.is_char_boundary(at) { at.min(shown.len()) } else { shown.len() };
        clip(span.start)..clip(span.end)
    }

    /// The text of a line, without its end.
    fn text(&self, line: u32) -> &'a str {
        self.lines.get(line as usize - 1).copied().unwrap_or_default()
    }
}
