//! `imageswap check`: errors, warnings and notes about map files and files with sites.

mod report;

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use annotate_snippets::Renderer;
use anyhow::{Context, bail};
use clap::Args;

pub use self::report::FIELDS;
use self::report::{File, Form};
use super::{
    Exit, Output, config_map, counted,
    input::{STDIN_NAME, check_stdin, is_stdin, read_input},
};
use crate::{
    admission::{MAX_SITES_BYTES, Sites},
    rules::{Diagnostics, LoadedMap, MAX_MAP_BYTES, MapScope, RuleSet, Severity, lint::lint_pair},
    sources::{FileError, NamespaceMapFiles, read_map, read_sites},
};

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArguments {
    /// Output format
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
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

    /// Also check a file with sites: the locations of images in custom resources; `-` is standard input
    #[arg(long, visible_alias = "sites", value_name = "FILE", conflicts_with = "configmap_key")]
    sites_file: Option<PathBuf>,

    /// Map file to check, before each FILE
    #[arg(long, visible_alias = "maps", value_name = "FILE")]
    maps_file: Option<PathBuf>,

    /// Map files, or manifests with `--configmap-key`; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["maps_file", "sites_file"])]
    files: Vec<PathBuf>,
}

impl CheckArguments {
    /// Returns the map files, or the manifests that contain them.
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.maps_file.iter().chain(&self.files)
    }
}

/// Size of all maps of namespaces above which one ConfigMap soon does not hold them, in bytes: it holds 1 MiB.
const MAX_TOTAL_BYTES: usize = 900 * 1024;

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
    check_stdin(arguments.files().chain(&arguments.sites_file))?;
    if arguments.namespace_maps_dir.is_some() && arguments.files().count() > 1 {
        bail!("--namespace-maps-dir needs one FILE, the map of the cluster");
    }
    let renderer = if is_colored { Renderer::styled() } else { Renderer::plain() };
    let form = Form { output: arguments.output, renderer };
    let mut exit = Exit::Success;
    let mut cluster = None;
    for file in arguments.files() {
        let name = if is_stdin(file) { Path::new(STDIN_NAME) } else { file };
        let checked = match load(arguments, file, name, input) {
            Ok((text, map)) => {
                let name = match &arguments.configmap_key {
                    Some(key) => format!("{}[{key}]", name.display()),
                    None => name.display().to_string(),
                };
                form.print(
                    &File::new(name, &text),
                    &map.diagnostics,
                    &content(&map.rules),
                    output,
                )?;
                let checked = exit_code(arguments, &map.diagnostics);
                cluster = Some(map.rules);
                checked
            }
            Err(error) => unusable(&error),
        };
        exit = exit.max(checked);
    }
    if let Some(file) = &arguments.sites_file {
        exit = exit.max(check_sites(arguments, file, &form, input, output)?);
    }
    if let Some(directory) = &arguments.namespace_maps_dir {
        let cluster = cluster.as_ref();
        exit = exit.max(check_namespaces(arguments, directory, cluster, &form, output)?);
    }
    Ok(exit)
}

/// Checks a file with sites.
fn check_sites(
    arguments: &CheckArguments,
    file: &Path,
    form: &Form,
    input: &mut impl Read,
    output: &mut impl Write,
) -> anyhow::Result<Exit> {
    let name = if is_stdin(file) { Path::new(STDIN_NAME) } else { file };
    let read = if is_stdin(file) { read_input(input, MAX_SITES_BYTES) } else { read_sites(file) };
    let text = match read {
        Ok(text) => text,
        Err(error) => return Ok(unusable(&error.into())),
    };
    let mut sites = Sites::default();
    let diagnostics = sites.add(&text);
    let content =
        format!("{} of {}", counted(sites.count(), "site"), counted(sites.kinds(), "kind"));
    form.print(&File::new(name.display().to_string(), &text), &diagnostics, &content, output)?;
    Ok(exit_code(arguments, &diagnostics))
}

/// Checks the maps of namespaces in a directory, each also together with the rules of the cluster.
fn check_namespaces(
    arguments: &CheckArguments,
    directory: &Path,
    cluster: Option<&RuleSet>,
    form: &Form,
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
                Err(reason) => Err(FileError::Compile { file: file.clone(), reason }),
            }
        });
        exit = exit.max(match loaded {
            Ok((text, mut map)) => {
                total += text.len();
                if let Some(cluster) = cluster {
                    map.diagnostics.extend(lint_pair(&map.rules, &text, cluster));
                }
                let file = File::new(file.display().to_string(), &text);
                form.print(&file, &map.diagnostics, &content(&map.rules), output)?;
                exit_code(arguments, &map.diagnostics)
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

/// Reads and compiles the map of `file`, which has `name` in errors.
fn load(
    arguments: &CheckArguments,
    file: &Path,
    name: &Path,
    input: &mut impl Read,
) -> anyhow::Result<(String, LoadedMap)> {
    let text = if is_stdin(file) { read_input(input, MAX_MAP_BYTES)? } else { read_map(file)? };
    let text = match &arguments.configmap_key {
        Some(key) => config_map::value(&text, key).with_context(|| name.display().to_string())?,
        None => text,
    };
    match LoadedMap::from_file(MapScope::Cluster, &name.to_string_lossy(), &text) {
        Ok(map) => Ok((text, map)),
        Err(reason) => Err(FileError::Compile { file: name.to_owned(), reason }.into()),
    }
}

/// Returns the exit code for a file that could be read.
fn exit_code(arguments: &CheckArguments, diagnostics: &Diagnostics) -> Exit {
    let fails = |severity| diagnostics.count(severity) > 0;
    let is_partial = diagnostics.is_partial() && !arguments.allow_partial;
    let is_suspect = fails(Severity::Warning) || is_partial;
    if fails(Severity::Error) || (arguments.deny_warnings && is_suspect) {
        Exit::Failure
    } else {
        Exit::Success
    }
}

/// Describes the content of a map.
fn content(rules: &RuleSet) -> String {
    let secrets = match rules.pull_secrets().lines().len() {
        0 => String::new(),
        lines => format!(", {}", counted(lines, "[PULLSECRET] line")),
    };
    format!("{}{secrets}", counted(rules.rules().len(), "rule"))
}
