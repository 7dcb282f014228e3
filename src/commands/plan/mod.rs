//! `imageswap plan`: a preview of a map on the objects of a cluster or of manifests.

mod cluster;
mod images;
mod manifests;
mod markdown;
mod output;
mod record;
mod submitted;
mod table;
mod tally;
mod terminal;
mod verify;
mod view;
mod worlds;

use std::{
    io::{Read, Write},
    path::PathBuf,
};

use anyhow::Context;
use clap::{Args, ValueEnum};

use self::verify::VerifyArguments;
pub use self::{record::FIELDS, terminal::Terminal};
use super::{
    Exit, counted,
    input::{check_namespace, check_stdin},
    world::WorldArguments,
};
use crate::{kubernetes::ClusterError, registry::Presence};

/// Arguments of `plan`.
#[derive(Args, Debug)]
pub struct PlanArguments {
    #[command(flatten)]
    world: WorldArguments,

    /// Map to compare with: print the images for which the two maps differ
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,

    /// Read manifests instead of a cluster: files, directories, or `-` for standard input
    #[arg(
        long,
        short = 'f',
        value_name = "FILE",
        conflicts_with_all = ["workloads", "all_namespaces", "selector", "kubeconfig", "context", "sites"]
    )]
    filename: Vec<PathBuf>,

    /// Also read the pod templates of workloads, such as Deployments
    #[arg(long)]
    workloads: bool,

    /// Also read custom resources with known locations of images, called sites
    #[arg(long)]
    sites: bool,

    /// Only objects of this namespace; with `--filename`, the namespace of objects that name none
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Read all namespaces (the default; accepted for compatibility with kubectl)
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    all_namespaces: bool,

    /// Only objects with these labels, as for `kubectl get --selector`
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    selector: Option<String>,

    /// Kubeconfig file, instead of that of KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    #[command(flatten)]
    verify: VerifyArguments,

    /// Output format
    #[arg(long, short, value_enum, default_value_t = PlanOutput::Text)]
    output: PlanOutput,
}

/// Output format of `plan`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum PlanOutput {
    /// Table for people
    Text,
    /// One JSON object per line
    Json,
    /// A list in YAML
    Yaml,
    /// Markdown, for the summary of a job or for a comment
    Github,
}

/// Prints how the map would rewrite the images of a cluster, or of manifests. Warnings go to `errors`.
///
/// # Errors
/// If the map cannot be used, the cluster cannot be found, or the output cannot be written. A call to the API server
/// that fails is [`Exit::Failure`].
pub fn run(
    arguments: &PlanArguments,
    terminal: Terminal,
    input: &mut impl Read,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<Exit> {
    check_namespace(arguments.namespace.as_deref())?;
    check_stdin(arguments.filename.iter())?;
    let worlds = worlds::load(arguments, errors)?;
    let verifier = arguments.verify.verifier(errors)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    if !arguments.filename.is_empty() {
        let (mut tally, exit) = manifests::read(arguments, &worlds, input, errors);
        if let Some(verifier) = &verifier {
            runtime.block_on(verifier.verify(&mut tally, errors));
        }
        let printed = print(arguments, &tally, true, terminal, output, errors)?;
        return Ok(exit.worse(printed));
    }
    let mut tally = match runtime.block_on(cluster::read(arguments, &worlds, errors)) {
        Ok(tally) => tally,
        Err(error @ (ClusterError::Unreachable(_) | ClusterError::Kubeconfig(_))) => Err(error)?,
        Err(error) => {
            let hint = match error {
                ClusterError::Call { status: Some(403), .. } => {
                    "; deploy/plan-role.yaml has the rights that plan needs"
                }
                _ => "",
            };
            // If standard error is closed, the error cannot be reported.
            let _ = writeln!(errors, "error: {error}{hint}");
            return Ok(Exit::Failure);
        }
    };
    if let Some(verifier) = &verifier {
        runtime.block_on(verifier.verify(&mut tally, errors));
    }
    let has_workloads = arguments.workloads || arguments.sites;
    print(arguments, &tally, has_workloads, terminal, output, errors)
}

/// Prints the images.
fn print(
    arguments: &PlanArguments,
    tally: &tally::Tally,
    has_workloads: bool,
    terminal: Terminal,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<Exit> {
    let is_comparison = arguments.against.is_some();
    let view =
        view::View { tally, is_comparison, has_workloads, is_verified: arguments.verify.verify };
    output::print(&view, arguments.output, terminal, output, errors)?;
    Ok(match () {
        () if tally.targets_with(Presence::Absent) > 0 => Exit::TargetAbsent,
        () if tally.has_changes() => Exit::Changes,
        () => Exit::Success,
    })
}
