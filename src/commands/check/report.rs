//! Prints diagnostics about a file, in the form of a compiler's diagnostics or as JSON.

use std::{
    borrow::Cow,
    io::{self, Write},
    ops::Range,
};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::super::{Field, Output, counted};
use crate::rules::{
    Code, Diagnostic, Diagnostics, Severity,
    line::{rule_span, without_byte_order_mark},
};

/// Fields of a line of `check --output json`.
pub const FIELDS: [Field; 9] = [
    Field {
        name: "file",
        meaning: "File as given; `<stdin>` for standard input; `FILE[KEY]` with `--configmap-key`",
    },
    Field {
        name: "line",
        meaning: "Line, from 1; `null` if the diagnostic is about the whole file",
    },
    Field { name: "column", meaning: "Column in characters, from 1, or `null`" },
    Field { name: "severity", meaning: "`error`, `warning` or `note`" },
    Field { name: "code", meaning: "Kind of mistake, such as `invalid-rule` or `never-matches`" },
    Field { name: "message", meaning: "Sentence that describes the mistake" },
    Field { name: "hint", meaning: "Sentence that says how to fix it" },
    Field { name: "text", meaning: "Text of the line, cut after 400 characters, or `null`" },
    Field { name: "related_line", meaning: "Other line that the diagnostic refers to, or `null`" },
];

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

/// A file and its lines.
pub(super) struct File<'a> {
    name: String,
    lines: Vec<&'a str>,
}

/// The form of the output.
pub(super) struct Form {
    pub(super) output: Output,
    pub(super) renderer: Renderer,
}

impl Form {
    /// Prints diagnostics. In text, a summary follows: the `content` of the file, and the number of the diagnostics.
    pub(super) fn print(
        &self,
        file: &File<'_>,
        diagnostics: &Diagnostics,
        content: &str,
        output: &mut impl Write,
    ) -> io::Result<()> {
        let mut remarks = match diagnostics.dropped() {
            0 => String::new(),
            dropped => format!(" ({dropped} more not shown)"),
        };
        if diagnostics.is_partial() {
            remarks.push_str(" (too many rules to compare all of them)");
        }
        if self.output == Output::Json {
            for diagnostic in diagnostics.kept() {
                serde_json::to_writer(&mut *output, &file.record(diagnostic))?;
                writeln!(output)?;
            }
            if !remarks.is_empty() {
                let _ = writeln!(io::stderr(), "warning: {}:{remarks}", file.name);
            }
            return Ok(());
        }
        for diagnostic in diagnostics.kept() {
            writeln!(output, "{}\n", file.render(diagnostic, &self.renderer))?;
        }
        let notes = match diagnostics.count(Severity::Note) {
            0 => String::new(),
            notes => format!(", {}", counted(notes, "note")),
        };
        writeln!(
            output,
            "{}: {content}, {}, {}{notes}{remarks}",
            file.name,
            counted(diagnostics.count(Severity::Error), "error"),
            counted(diagnostics.count(Severity::Warning), "warning"),
        )
    }
}

/// Cuts a line of a map to the length that is shown.
///
/// It does not replace control characters, because that would move the columns. The renderer replaces them.
fn cut(line: &str) -> Cow<'_, str> {
    /// Maximum length in characters: longer than any valid image with a digest, short enough for a terminal.
    const MAX_SHOWN_CHARACTERS: usize = 400;
    match line.char_indices().nth(MAX_SHOWN_CHARACTERS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &line[..end])),
        None => Cow::Borrowed(line),
    }
}

impl<'a> File<'a> {
    pub(super) fn new(name: String, text: &'a str) -> Self {
        Self { name, lines: without_byte_order_mark(text).lines().collect() }
    }

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
            Severity::Note => Level::NOTE,
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

    /// Limits a range of a line to the part that is shown.
    fn clipped(&self, line: u32, span: &Range<usize>) -> Range<usize> {
        let shown = cut(self.text(line));
        // A position after the cut, or within the ellipsis, moves to the end.
        let clip = |at| if shown.is_char_boundary(at) { at.min(shown.len()) } else { shown.len() };
        clip(span.start)..clip(span.end)
    }

    /// Returns the text of a line, without its line ending.
    fn text(&self, line: u32) -> &'a str {
        self.lines.get(line as usize - 1).copied().unwrap_or_default()
    }
}
