//! `imageswap rewrite`: rewrites the images in manifests, in place.

mod output;

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::Args;

use self::output::{FormArguments, Printed, Source};
use super::{
    Exit,
    input::{
        DEFAULT_NAMESPACE, STDIN, STDIN_NAME, check_namespace, check_stdin, is_stdin, unusable,
    },
    manifest_files::{self, Files, shown},
    replace::replace,
    show_errors,
    world::WorldArguments,
};
use crate::{
    admission::World,
    manifests::{FunctionInput, Rewriting, function_input},
    rules::{LoadedMap, MapScope, Policy},
    sources::FileError,
};

/// Name of the map in the configuration of a KRM function, for errors.
const FUNCTION_MAP: &str = "functionConfig[maps]";

/// Arguments of `rewrite`.
#[derive(Args, Debug)]
pub struct RewriteArguments {
    #[command(flatten)]
    world: WorldArguments,

    /// Namespace of objects that name none; it selects the map of a namespace (`default` if this is not set)
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Also add the pull secrets that the map names, to pods and to the templates of workloads
    #[arg(long)]
    pull_secrets: bool,

    #[command(flatten)]
    form: FormArguments,

    /// Manifests in YAML or JSON, or directories with them; `-`, or no FILE, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Rewrites the images in manifests, and prints the manifests. Warnings and errors go to `errors`. If a file cannot be
/// used, the others are still rewritten.
///
/// # Errors
/// If the map cannot be used, or the output cannot be written.
pub fn run(
    arguments: &RewriteArguments,
    input: &mut impl Read,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<Exit> {
    check_namespace(arguments.namespace.as_deref())?;
    check_stdin(arguments.files.iter())?;
    let found = match &*arguments.files {
        [] => Files { manifests: vec![PathBuf::from(STDIN)], ..Files::default() },
        named => manifest_files::files(named),
    };
    if arguments.form.in_place && found.manifests.iter().any(|file| is_stdin(file)) {
        bail!("--in-place needs a FILE; standard input cannot be written");
    }
    if arguments.files.iter().all(|file| is_stdin(file)) {
        return rewrite_input(arguments, input, output, errors);
    }
    let world = arguments.world.load(errors)?;
    let (mut exit, mut printed) = (found.report(errors), Printed::default());
    for file in &found.manifests {
        let done = match manifest_files::read(file, input) {
            Ok(text) => rewrite(
                arguments,
                &world,
                Source { file, text: &text },
                &mut printed,
                output,
                errors,
            )?,
            Err(error) => unusable(&error, errors),
        };
        exit = exit.worse(done);
    }
    Ok(exit)
}

/// Rewrites standard input, which may be the input of a KRM function with a map of its own.
fn rewrite_input(
    arguments: &RewriteArguments,
    input: &mut impl Read,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<Exit> {
    let text = match manifest_files::read(Path::new(STDIN), input) {
        Ok(text) => text,
        Err(error) => return Ok(unusable(&error, errors)),
    };
    // A syntax error is reported when the text is rewritten.
    let function = function_input(&text).unwrap_or_default();
    let world = match function {
        Some(FunctionInput { map: Some(map) }) => {
            let policy = function_policy(&map, errors)?;
            arguments.world.load_with(policy, errors)?
        }
        Some(FunctionInput { map: None }) => {
            let hint = "the functionConfig contains no map; add it as `data.maps`, or use --maps";
            arguments.world.load(errors).context(hint)?
        }
        None => arguments.world.load(errors)?,
    };
    let source = Source { file: Path::new(STDIN_NAME), text: &text };
    rewrite(arguments, &world, source, &mut Printed::default(), output, errors)
}

/// Loads the map in the configuration of a KRM function.
fn function_policy(map: &str, errors: &mut impl Write) -> anyhow::Result<Policy> {
    let file = PathBuf::from(FUNCTION_MAP);
    let map = match LoadedMap::from_file(MapScope::Cluster, FUNCTION_MAP, map) {
        Ok(map) => map,
        Err(reason) => return Err(FileError::Compile { file, reason }.into()),
    };
    show_errors(&file, &map.diagnostics, errors);
    match map.refusal(false, None) {
        Some(reason) => Err(FileError::Refused { file, reason }.into()),
        None => Ok(Policy::Maps(Box::new(map.rules))),
    }
}

/// Rewrites the manifests of one file.
fn rewrite(
    arguments: &RewriteArguments,
    world: &World,
    source: Source<'_>,
    printed: &mut Printed,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<Exit> {
    let namespace = arguments.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
    let rewriting = Rewriting { world, namespace, adds_pull_secrets: arguments.pull_secrets };
    let file = shown(source.file);
    let rewritten = match rewriting.rewrite(source.text) {
        Ok(rewritten) => rewritten,
        Err(error) => {
            let error = manifest_files::syntax_error(&file, source.text, &error);
            return Ok(unusable(&error, errors));
        }
    };
    let is_incomplete = rewritten.notes.iter().any(|note| note.problem.is_incomplete());
    for note in &rewritten.notes {
        // The results on standard output are valid even if the warnings cannot be written.
        let _ = writeln!(errors, "warning: {file}:{}: {}", note.line, note.problem);
    }
    let has_changes = rewritten.text != source.text;
    match &arguments.form {
        form if form.in_place && has_changes => {
            if let Err(error) = replace(source.file, &rewritten.text) {
                return Ok(unusable(&format_args!("{file}: {error}"), errors));
            }
        }
        form if form.in_place => {}
        form if form.diff => output::print_diff(source, &rewritten, output)?,
        form if form.check => output::print_changes(source, &rewritten, output)?,
        _ => printed.print(&rewritten.text, output)?,
    }
    Ok(match is_incomplete {
        true => Exit::Failure,
        false if arguments.form.check && has_changes => Exit::Changes,
        false => Exit::Success,
    })
}
