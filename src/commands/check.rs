//! `imageswap check`: errors, warnings and notes about map files, in the form of a compiler's diagnostics.

use std::{
    borrow::Cow,
    io::{self, Read, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use super::{Exit, Field, Output, config_map, counted};
use crate::{
    rules::{
        Code, Diagnostic, LoadedMap, MAX_MAP_BYTES, MapScope, RuleSet, Severity,
        line::{rule_span, without_byte_order_mark},
        lint::lint_pair,
    },
    sources::{MapError, NamespaceMapFiles, decode_map, read_map},
};

/// Argument for standard input.
const STDIN: &str = "-";

/// Name of standard input in diagnostics.
const STDIN_NAME: &str = "<stdin>";

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

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArguments {
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Exit with code 1 for warnings too, and if not all rules could be compared
    #[arg(long)]
    deny_warnings: bool,

    /// With `--deny-warnings`, accept a map with too many rules to compare all of them
    #[arg(long)]
    allow_partial: bool,

    /// Read each FILE as manifests in YAML or JSON, and check the value of this key of the ConfigMap
    ///
    /// Line numbers are those of the map, and its name in the output is `FILE[KEY]`.
    #[arg(long, value_name = "KEY")]
    configmap_key: Option<String>,

    /// Also check the maps of namespaces in DIRECTORY, each also together with FILE, the map of the cluster
    #[arg(
        long,
        visible_alias = "namespace-maps",
        value_name = "DIRECTORY",
        conflicts_with = "configmap_key"
    )]
    namespace_maps_dir: Option<PathBuf>,

    /// Map files, or manifests with `--configmap-key`; `-` is standard input
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

/// Size of all maps of namespaces above which one ConfigMap soon does not hold them, in bytes: it holds 1 MiB.
const MAX_TOTAL_BYTES: usize = 900 * 1024;

/// A map file and its lines.
struct File<'a> {
    name: String,
    lines: Vec<&'a str>,
}

/// Checks the files and prints their diagnostics. If a file cannot be read, the others are still checked.
///
/// # Errors
/// If standard input is named twice, or the output cannot be written.
pub fn run(
    arguments: &CheckArguments,
    is_colored: bool,
    input: &mut impl Read,
    output: &mut impl Write,
) -> anyhow::Result<Exit> {
    if arguments.files.iter().filter(|file| is_stdin(file)).count() > 1 {
        bail!("`{STDIN}` is given more than once; standard input can be read only once");
    }
    if arguments.namespace_maps_dir.is_some() && arguments.files.len() > 1 {
        bail!("--namespace-maps-dir needs one FILE, the map of the cluster");
    }
    let renderer = if is_colored { Renderer::styled() } else { Renderer::plain() };
    let mut exit = Exit::Success;
    let mut cluster = None;
    for file in &arguments.files {
        let name = if is_stdin(file) { Path::new(STDIN_NAME) } else { file };
        let checked = match load(arguments, file, name, input) {
            Ok((text, map)) => {
                let name = match &arguments.configmap_key {
                    Some(key) => format!("{}[{key}]", name.display()),
                    None => name.display().to_string(),
                };
                print(arguments, &File::new(name, &text), &map, &renderer, output)?;
                let checked = exit_code(arguments, &map);
                cluster = Some(map.rules);
                checked
            }
            Err(error) => unusable(&error),
        };
        exit = exit.max(checked);
    }
    if let Some(directory) = &arguments.namespace_maps_dir {
        let cluster = cluster.as_ref();
        exit = exit.max(check_namespaces(arguments, directory, cluster, &renderer, output)?);
    }
    Ok(exit)
}

/// Checks the maps of namespaces in a directory, each also together with the rules of the cluster.
fn check_namespaces(
    arguments: &CheckArguments,
    directory: &Path,
    cluster: Option<&RuleSet>,
    renderer: &Renderer,
    output: &mut impl Write,
) -> anyhow::Result<Exit> {
    let files =
        NamespaceMapFiles::of(directory).with_context(|| directory.display().to_string())?;
    let mut warnings: Vec<_> = files
        .ignored
        .iter()
        .map(|name| format!("{name}: name the file as the namespace, with the ending .conf"))
        .collect();
    let (mut exit, mut total) = (Exit::Success, 0);
    for file in files.maps.values() {
        let loaded = read_map(file).and_then(|text| {
            let name = file.to_string_lossy();
            match LoadedMap::from_file(MapScope::Namespace, &name, &text) {
                Ok(map) => Ok((text, map)),
                Err(reason) => Err(MapError::Compile { file: file.clone(), reason }),
            }
        });
        exit = exit.max(match loaded {
            Ok((text, mut map)) => {
                total += text.len();
                if let Some(cluster) = cluster {
                    map.diagnostics.extend(lint_pair(&map.rules, &text, cluster));
                }
                let file = File::new(file.display().to_string(), &text);
                print(arguments, &file, &map, renderer, output)?;
                exit_code(arguments, &map)
            }
            Err(error) => unusable(&error.into()),
        });
    }
    if total > MAX_TOTAL_BYTES {
        let kib = total / 1024;
        warnings.push(format!(
            "the maps have {kib} KiB, and a ConfigMap holds 1024; use several, in a projected volume"
        ));
    }
    for warning in &warnings {
        // If this cannot be written, the exit code still reports the warning.
        let _ = writeln!(io::stderr(), "warning: {}: {warning}", directory.display());
    }
    let is_denied = arguments.deny_warnings && !warnings.is_empty();
    Ok(if is_denied { exit.max(Exit::Failure) } else { exit })
}

fn unusable(error: &anyhow::Error) -> Exit {
    // If this cannot be written, the exit code still reports the failure.
    let _ = writeln!(io::stderr(), "error: {error:#}");
    Exit::Unusable
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new(STDIN)
}

/// Reads and compiles the map of `file`, which has `name` in errors.
fn load(
    arguments: &CheckArguments,
    file: &Path,
    name: &Path,
    input: &mut impl Read,
) -> anyhow::Result<(String, LoadedMap)> {
    let text = if is_stdin(file) { read_input(name, input)? } else { read_map(file)? };
    let text = match &arguments.configmap_key {
        Some(key) => config_map::value(&text, key).with_context(|| name.display().to_string())?,
        None => text,
    };
    match LoadedMap::from_file(MapScope::Cluster, &name.to_string_lossy(), &text) {
        Ok(map) => Ok((text, map)),
        Err(reason) => Err(MapError::Compile { file: name.to_owned(), reason }.into()),
    }
}

/// Reads a map from standard input, with the same limit as for a file.
fn read_input(name: &Path, input: &mut impl Read) -> Result<String, MapError> {
    let mut content = Vec::new();
    let read = input.take(MAX_MAP_BYTES as u64 + 1).read_to_end(&mut content);
    read.map_err(|reason| MapError::Unreadable { file: name.to_owned(), reason })?;
    if content.len() > MAX_MAP_BYTES {
        let limit = MAX_MAP_BYTES as u64;
        return Err(MapError::TooLarge { file: name.to_owned(), limit });
    }
    decode_map(name, content)
}

/// Returns the exit code for a map that could be read.
fn exit_code(arguments: &CheckArguments, map: &LoadedMap) -> Exit {
    let fails = |severity| map.diagnostics.count(severity) > 0;
    let is_partial = map.diagnostics.is_partial() && !arguments.allow_partial;
    let is_suspect = fails(Severity::Warning) || is_partial;
    if fails(Severity::Error) || (arguments.deny_warnings && is_suspect) {
        Exit::Failure
    } else {
        Exit::Success
    }
}

/// Prints the diagnostics of a map. In text, a summary follows.
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
        remarks.push_str(" (too many rules to compare all of them)");
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
    let notes = match map.diagnostics.count(Severity::Note) {
        0 => String::new(),
        notes => format!(", {}", counted(notes, "note")),
    };
    let secrets = match map.rules.pull_secrets().lines().len() {
        0 => String::new(),
        lines => format!(", {}", counted(lines, "[PULLSECRET] line")),
    };
    writeln!(
        output,
        "{}: {}{secrets}, {}, {}{notes}{remarks}",
        file.name,
        counted(map.rules.rules().len(), "rule"),
        counted(map.diagnostics.count(Severity::Error), "error"),
        counted(map.diagnostics.count(Severity::Warning), "warning"),
    )
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
    fn new(name: String, text: &'a str) -> Self {
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
