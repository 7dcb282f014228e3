//! Commands other than `serve`. `init` prepares a cluster, and `uninstall` cleans it up. `review` asks a running webhook,
//! and `plan` the API server unless it reads manifests. The others need no network. Only `rewrite --in-place` and
//! `export --output-dir` write files.

pub mod check;
pub mod completions;
mod config_map;
mod exit;
pub mod explain;
pub mod export;
pub mod init;
mod input;
mod manifest_files;
pub mod plan;
mod replace;
pub mod review;
pub mod rewrite;
pub mod swap;
pub mod uninstall;
mod world;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::ValueEnum;

pub use self::exit::Exit;
pub use crate::field::Field;
use crate::{
    rules::{Decision, Diagnostics, LoadedMap, Policy, Severity},
    settings::{NamespaceArguments, NamespaceMapFile, RuleArguments, RuleSource, SettingsError},
    sources::{FileError, load_map, load_namespace_map},
};

/// Maximum number of map errors that commands other than `check` show.
const MAX_SHOWN_ERRORS: usize = 5;

/// Fields that the lines of `swap` and `explain` with `--output json` have in common.
pub const OUTCOME_FIELDS: [Field; 6] = [
    Field { name: "result", meaning: "Image as it is after the decision" },
    Field {
        name: "swapped",
        meaning: "`true` if the image is rewritten, `false` if it is unchanged",
    },
    Field {
        name: "reason",
        meaning: "Reason of the decision, such as `registry` or `already-swapped`",
    },
    Field { name: "rule", meaning: "Key of the rule that decided, or `null`" },
    Field { name: "file", meaning: "Map file of that rule, or `null`" },
    Field { name: "line", meaning: "Line of that rule in the map, or `null`" },
];

/// Output format.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// Text for people
    Text,
    /// One JSON object per line
    Json,
}

/// The rules of a source, with the mistakes in them.
struct LoadedRules {
    policy: Policy,
    diagnostics: Diagnostics,
    /// The map of the namespace, if one is given and has a map.
    namespace: Option<LoadedMap>,
}

impl LoadedRules {
    fn new(policy: Policy, diagnostics: Diagnostics) -> Self {
        Self { policy, diagnostics, namespace: None }
    }

    fn decide<'a>(&'a self, image: &'a str) -> Decision<'a> {
        self.policy.decide_with(self.namespace.as_ref().map(|map| &map.rules), image)
    }
}

/// Returns the source of the rules, and writes warnings about flags to `errors`.
///
/// # Errors
/// If a setting is not valid.
fn rule_source(
    arguments: &RuleArguments,
    errors: &mut impl Write,
) -> Result<RuleSource, SettingsError> {
    let source = arguments.parse()?;
    for warning in arguments.warnings() {
        // The results on standard output are valid even if the warnings cannot be written.
        let _ = writeln!(errors, "warning: {warning}");
    }
    Ok(source)
}

/// Loads the rules of `source`, with the map of the given namespace. Writes the errors of the maps to `errors`, because
/// they may explain an unexpected result.
///
/// # Errors
/// If a map file cannot be read or compiled, or the webhook would refuse it.
fn load_rules(
    source: RuleSource,
    namespace: &NamespaceArguments,
    errors: &mut impl Write,
) -> anyhow::Result<LoadedRules> {
    let namespace = namespace.parse()?;
    let mut rules = load_cluster_rules(source, errors)?;
    if let Some(map) = namespace {
        rules.namespace = load_namespace(&map, errors)?;
    }
    Ok(rules)
}

/// Loads the rules of `source`, and writes the errors of the map to `errors`.
fn load_cluster_rules(source: RuleSource, errors: &mut impl Write) -> anyhow::Result<LoadedRules> {
    const CONTEXT: &str = "the map, which --maps or IMAGESWAP_MAPS_FILE names, cannot be used";
    let (file, map) = match source {
        RuleSource::Legacy(prefix) => {
            let policy = Policy::Legacy(prefix);
            return Ok(LoadedRules::new(policy, Diagnostics::default()));
        }
        RuleSource::BuiltIn(text) => {
            let file = PathBuf::from(LoadedMap::BUILT_IN);
            match LoadedMap::built_in(text) {
                Ok(map) => (file, map),
                Err(reason) => return Err(FileError::Compile { file, reason }.into()),
            }
        }
        RuleSource::DefaultMapFile(file) => {
            let map = load_map(&file).map_err(FileError::at_default_path)?;
            (file, map)
        }
        RuleSource::MapFile(file) => {
            let map = load_map(&file).context(CONTEXT)?;
            (file, map)
        }
    };
    usable_rules(file, map, errors).context(CONTEXT)
}

/// Loads a map that a flag names, and writes the errors of the map to `errors`.
///
/// # Errors
/// If the map cannot be read or compiled, or the webhook would refuse it.
fn load_map_of_flag(
    flag: &'static str,
    file: &Path,
    errors: &mut impl Write,
) -> anyhow::Result<LoadedRules> {
    let map = load_map(file).context(flag)?;
    usable_rules(file.to_owned(), map, errors).context(flag)
}

/// Returns the rules of a map unless the webhook would refuse it, and writes the errors of the map to `errors`.
fn usable_rules(
    file: PathBuf,
    map: LoadedMap,
    errors: &mut impl Write,
) -> Result<LoadedRules, FileError> {
    show_errors(&file, &map.diagnostics, errors);
    match map.refusal(false, None) {
        Some(reason) => Err(FileError::Refused { file, reason }),
        None => {
            let policy = Policy::Maps(Box::new(map.rules));
            Ok(LoadedRules::new(policy, map.diagnostics))
        }
    }
}

/// Loads the map of a namespace, and writes its errors to `errors`. A namespace without a map is only a warning.
///
/// # Errors
/// If the file cannot be read or compiled, or the webhook would refuse it.
fn load_namespace(
    map: &NamespaceMapFile,
    errors: &mut impl Write,
) -> anyhow::Result<Option<LoadedMap>> {
    let NamespaceMapFile { namespace, file } = map;
    let context = || format!("the map of the namespace {namespace} cannot be used");
    let map = match load_namespace_map(file) {
        Err(error) if error.is_missing() => {
            let file = file.display();
            // The results on standard output are valid even if the warning cannot be written.
            let _ =
                writeln!(errors, "warning: {file}: no such file; the map of the cluster decides");
            return Ok(None);
        }
        map => map.with_context(context)?,
    };
    show_errors(file, &map.diagnostics, errors);
    match map.refusal(false, None) {
        Some(reason) => {
            Err(FileError::Refused { file: file.clone(), reason }).with_context(context)
        }
        None => Ok(Some(map)),
    }
}

fn show_errors(file: &Path, diagnostics: &Diagnostics, output: &mut impl Write) {
    let file = file.display();
    let errors = diagnostics.kept().iter().filter(|found| found.severity() == Severity::Error);
    let mut shown = 0;
    for error in errors.take(MAX_SHOWN_ERRORS) {
        let line = error.line.map_or_else(String::new, |line| format!(":{line}"));
        // The results on standard output are valid even if the errors cannot be written.
        let _ = writeln!(output, "warning: {file}{line}: {}; {}", error.message, error.hint);
        shown += 1;
    }
    let more = diagnostics.count(Severity::Error) - shown;
    if more > 0 {
        let more = counted(more, "more error");
        let _ = writeln!(output, "warning: {file}: {more}; `imageswap check` lists them all");
    }
}

/// Returns a number with its noun in the singular or plural.
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
