//! `imageswap export`: the map in the form of another program.
//!
//! It writes files only below `--output-dir`, and applies nothing.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::{
    Exit, counted,
    input::{STDIN_NAME, is_stdin},
    load_cluster_rules,
    replace::create_or_replace,
    rule_source,
};
use crate::{
    export::{
        Exported, Remark, containerd, copies::Copies, idms, k3s, kubernetes, registries_conf,
    },
    rules::Policy,
    settings::{RuleArguments, RuleSource, ScopeArguments},
};

/// Maximum length of a line of a plan in bytes. It names the namespaces of an image.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;

/// Arguments of `export`.
#[derive(Args, Debug)]
pub struct ExportArguments {
    /// Form of the export
    #[arg(long, value_enum, value_name = "FORM")]
    to: Form,

    #[command(flatten)]
    rules: RuleArguments,

    #[command(flatten)]
    scope: ScopeArguments,

    /// Directory for the files of the export, instead of standard output; required for containerd, which needs several
    #[arg(long, value_name = "DIRECTORY", required_if_eq("to", "containerd"))]
    output_dir: Option<PathBuf>,

    /// Export what the form can express, and exit with code 0 even if lines of the map are left out
    #[arg(long)]
    partial: bool,

    /// Output of `imageswap plan --output json` (skopeo, regsync); `-`, or no PLAN, is standard input
    #[arg(value_name = "PLAN")]
    plan: Option<PathBuf>,

    /// Version of the API of the policy (kubernetes)
    #[arg(long, value_enum, value_name = "VERSION", default_value_t = ApiVersion::V1)]
    api_version: ApiVersion,

    /// Failure policy (kubernetes): `Fail` refuses the pod, `Ignore` leaves its images unchanged
    #[arg(long, value_enum, value_name = "POLICY", default_value_t = FailurePolicy::Fail)]
    failure_policy: FailurePolicy,
}

/// Form of an export.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Form {
    /// Tree of hosts.toml files of containerd
    Containerd,
    /// ImageDigestMirrorSet and ImageTagMirrorSet of OpenShift
    Idms,
    /// registries.yaml of k3s and RKE2
    K3s,
    /// MutatingAdmissionPolicy and its binding
    Kubernetes,
    /// Configuration of regsync that copies the images of a plan to the mirror
    Regsync,
    /// Script that copies the images of a plan to the mirror
    Skopeo,
    /// registries.conf of CRI-O and Podman
    #[value(name = "registries.conf")]
    RegistriesConf,
}

/// Version of the API of the policy.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ApiVersion {
    /// Since Kubernetes 1.36
    V1,
    /// Kubernetes 1.34 and 1.35
    V1beta1,
    /// Kubernetes 1.33
    V1alpha1,
}

/// Consequence of an expression that fails.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum FailurePolicy {
    /// The request is refused
    Fail,
    /// The pod keeps its images
    Ignore,
}

/// Prints the map in a form. Lines that the form cannot express go to `errors`.
///
/// # Errors
/// If a setting or the map cannot be used, or the output cannot be written. A line that the form cannot express is
/// [`Exit::Failure`].
pub fn run(
    arguments: &ExportArguments,
    input: &mut impl BufRead,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<Exit> {
    if let Form::Regsync | Form::Skopeo = arguments.to {
        if arguments.rules.has_map_on_command_line() {
            bail!(
                "the forms skopeo and regsync export a PLAN; give --maps-file to `imageswap plan`"
            );
        }
        let (name, copies) = read_plan(arguments.plan.as_deref(), input)?;
        let exported = match arguments.to {
            Form::Regsync => copies.regsync(),
            _ => copies.skopeo(),
        };
        return finish(arguments, &name, &exported, output, errors);
    }
    if arguments.plan.is_some() {
        bail!("a PLAN is for the forms skopeo and regsync; the others export the map");
    }
    let source = rule_source(&arguments.rules, errors)?;
    let name = match &source {
        RuleSource::MapFile(file) | RuleSource::DefaultMapFile(file) => file.display().to_string(),
        RuleSource::BuiltIn(_) | RuleSource::Legacy(_) => {
            bail!("export needs a map; name its file with --maps")
        }
    };
    let rules = match load_cluster_rules(source, errors)?.policy {
        Policy::Maps(rules) => rules,
        Policy::Legacy(_) => bail!("export needs a map; name its file with --maps"),
    };
    let exported = match arguments.to {
        Form::Containerd => containerd::export(&rules, &name),
        Form::Idms => idms::export(&rules, &name),
        Form::K3s => k3s::export(&rules, &name),
        Form::RegistriesConf => registries_conf::export(&rules, &name),
        Form::Regsync | Form::Skopeo => Exported::default(),
        Form::Kubernetes => {
            let settings = kubernetes::PolicySettings {
                api_version: arguments.api_version.into(),
                failure_policy: arguments.failure_policy.into(),
                scope: arguments.scope.parse()?,
            };
            match kubernetes::export(&rules, &name, &settings) {
                Ok(exported) => exported,
                Err(error) => {
                    // If standard error is closed, the error cannot be reported.
                    let _ = writeln!(errors, "error: {name}: {error}");
                    return Ok(Exit::Failure);
                }
            }
        }
    };
    let has_targets = rules.rules().iter().any(|rule| !rule.target.is_empty());
    if !has_targets && exported.left_out.is_empty() {
        // If standard error is closed, the warning cannot be reported.
        let _ = writeln!(
            errors,
            "warning: {name}: no rule has a target, so the export redirects no image"
        );
    }
    finish(arguments, &name, &exported, output, errors)
}

/// Reads a plan from a file or from `input`, and returns its name.
fn read_plan(file: Option<&Path>, input: &mut impl BufRead) -> anyhow::Result<(String, Copies)> {
    let Some(file) = file.filter(|file| !is_stdin(file)) else {
        let name = STDIN_NAME.to_owned();
        let copies = read_lines(&name, input)?;
        return Ok((name, copies));
    };
    let name = file.display().to_string();
    let opened = File::open(file).with_context(|| name.clone())?;
    let copies = read_lines(&name, &mut BufReader::new(opened))?;
    Ok((name, copies))
}

fn read_lines(name: &str, input: &mut impl BufRead) -> anyhow::Result<Copies> {
    let (mut copies, mut line) = (Copies::default(), String::new());
    let mut is_empty = true;
    for number in 1.. {
        let place = || format!("{name}:{number}");
        line.clear();
        let read = input.by_ref().take(MAX_LINE_BYTES + 1).read_line(&mut line);
        match read.with_context(place)? {
            0 => break,
            read if read as u64 > MAX_LINE_BYTES => {
                bail!("{}: longer than {MAX_LINE_BYTES} bytes", place())
            }
            _ if line.trim().is_empty() => {}
            _ => {
                copies.add(number, &line).with_context(place)?;
                is_empty = false;
            }
        }
    }
    if is_empty {
        bail!("{name}: the plan has no images; did `imageswap plan --output json` fail?");
    }
    Ok(copies)
}

/// Prints the remarks and, unless lines are left out, the export.
fn finish(
    arguments: &ExportArguments,
    name: &str,
    exported: &Exported,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<Exit> {
    let mut remark = |severity: &str, Remark { line, key, text }: &Remark| {
        // The exit code says the same if standard error is closed.
        let _ = writeln!(errors, "{severity}: {name}:{line}: `{key}`: {text}");
    };
    exported.notes.iter().for_each(|note| remark("note", note));
    let severity = if arguments.partial { "warning" } else { "error" };
    exported.left_out.iter().for_each(|left_out| remark(severity, left_out));
    if !exported.left_out.is_empty() && !arguments.partial {
        let lines = counted(exported.left_out.len(), "line");
        // As above.
        let _ = writeln!(errors, "error: {lines} cannot be exported; `--partial` exports the rest");
        return Ok(Exit::Failure);
    }
    for file in &exported.files {
        match &arguments.output_dir {
            Some(directory) => {
                let file_name = directory.join(&file.path);
                create_or_replace(&file_name, &file.text)
                    .with_context(|| format!("--output-dir: {}", file_name.display()))?;
            }
            None => output.write_all(file.text.as_bytes())?,
        }
    }
    Ok(Exit::Success)
}

impl From<ApiVersion> for kubernetes::ApiVersion {
    fn from(version: ApiVersion) -> Self {
        match version {
            ApiVersion::V1 => Self::V1,
            ApiVersion::V1alpha1 => Self::V1Alpha1,
            ApiVersion::V1beta1 => Self::V1Beta1,
        }
    }
}

impl From<FailurePolicy> for kubernetes::FailurePolicy {
    fn from(policy: FailurePolicy) -> Self {
        match policy {
            FailurePolicy::Fail => Self::Fail,
            FailurePolicy::Ignore => Self::Ignore,
        }
    }
}
