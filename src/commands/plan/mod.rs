//! `imageswap plan`: a preview of a map on the pods of a cluster.

mod images;
mod output;
mod tally;

use std::{io::Write, path::PathBuf, sync::Arc};

use anyhow::Context;
use clap::Args;

pub use self::output::FIELDS;
use self::tally::{Consequence, Tally};
use super::{Exit, Output, load_cluster_rules, load_namespace, rule_source};
use crate::{
    admission::{AdmissionSettings, World},
    controller::CONFIGURATION_NAME,
    kubernetes::{self, ClusterError, Labels, Listed, PodFilter, PodSelection},
    namespace::is_namespace,
    rules::NamespaceMaps,
    settings::{NamespaceMapFile, RuleArguments, ScopeArguments, SettingsError},
    sources::NamespaceMapFiles,
};

/// Arguments of `plan`.
#[derive(Args, Debug)]
pub struct PlanArguments {
    #[command(flatten)]
    rules: RuleArguments,

    /// Directory with the maps of namespaces: a file `NAMESPACE.conf` for each
    #[arg(long, visible_alias = "namespace-maps", value_name = "DIRECTORY")]
    namespace_maps_dir: Option<PathBuf>,

    #[command(flatten)]
    scope: ScopeArguments,

    /// Only pods of this namespace, instead of all namespaces
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Only pods with these labels, as for `kubectl get --selector`
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    selector: Option<String>,

    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Output format
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Prints how the map would rewrite the images of the pods in a cluster. Warnings go to `errors`.
///
/// # Errors
/// If the map cannot be used, the cluster cannot be found, or the output cannot be written. A call to the API server
/// that fails is [`Exit::Failure`].
pub fn run(
    arguments: &PlanArguments,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<Exit> {
    if let Some(name) = arguments.namespace.as_ref().filter(|name| !is_namespace(name)) {
        return Err(SettingsError::Namespace(name.clone()).into());
    }
    let world = load(arguments, errors)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let tally = match runtime.block_on(read(arguments, &world, errors)) {
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
    output::print(&tally, arguments.output, output)?;
    let has_changes = tally.images(Consequence::Changes) > 0;
    Ok(if has_changes { Exit::Changes } else { Exit::Success })
}

/// Reads the pods of the cluster, and counts their images.
async fn read(
    arguments: &PlanArguments,
    world: &World,
    errors: &mut impl Write,
) -> Result<Tally, ClusterError> {
    let client = kubernetes::connect(arguments.context.as_deref()).await?;
    let namespace = arguments.namespace.as_deref();
    let labels = kubernetes::namespace_labels(&client, namespace).await?;
    let selection = PodSelection::read(&client, CONFIGURATION_NAME).await?;
    let warning = match &selection {
        None => Some("does not exist, so all pods count as selected"),
        Some(selection) if selection.has_conditions => {
            Some("has matchConditions, which plan does not evaluate")
        }
        Some(_) => None,
    };
    if let Some(warning) = warning {
        // The result is valid even if the warning cannot be written.
        let _ =
            writeln!(errors, "warning: the webhook configuration {CONFIGURATION_NAME} {warning}");
    }
    let filter = PodFilter { namespace, selector: arguments.selector.as_deref() };
    let (mut tally, mut unreadable, none) = (Tally::default(), None, Labels::new());
    kubernetes::for_each_pod(&client, &filter, |listed| match listed {
        Listed::Restarted => tally = Tally::default(),
        Listed::Object(pod) => {
            let of_namespace = labels.get(&pod.metadata.namespace).unwrap_or(&none);
            let is_selected = selection
                .as_ref()
                .is_none_or(|selection| selection.contains(of_namespace, &pod.metadata.labels));
            match images::of(&pod, world) {
                Ok(planned) => tally.add(&pod.metadata.namespace, planned, is_selected),
                Err(error) => {
                    let pod = format!("Pod {}/{}", pod.metadata.namespace, pod.metadata.name);
                    unreadable.get_or_insert(ClusterError::content(pod, error));
                }
            }
        }
    })
    .await?;
    unreadable.map_or(Ok(tally), Err)
}

/// Loads the map, and the maps of namespaces.
fn load(arguments: &PlanArguments, errors: &mut impl Write) -> anyhow::Result<World> {
    let settings =
        AdmissionSettings { scope: arguments.scope.parse()?, ..AdmissionSettings::default() };
    let policy = load_cluster_rules(rule_source(&arguments.rules, errors)?, errors)?.policy;
    let mut world = World::new(policy, settings);
    if let Some(directory) = &arguments.namespace_maps_dir {
        let files = NamespaceMapFiles::of(directory)
            .with_context(|| format!("--namespace-maps-dir: {}", directory.display()))?;
        let mut maps = Vec::new();
        for (namespace, file) in files.maps {
            let map = NamespaceMapFile { namespace: namespace.to_string(), file };
            if let Some(map) = load_namespace(&map, errors)? {
                maps.push((namespace, Arc::new(map)));
            }
        }
        world.namespaces = Arc::new(maps.into_iter().collect::<NamespaceMaps>());
    }
    Ok(world)
}
