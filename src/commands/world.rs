//! The rules that decide about objects, from files and flags: map, maps of namespaces, sites and settings.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use clap::Args;

use super::{load_cluster_rules, load_namespace, rule_source, show_errors};
use crate::{
    admission::{AdmissionSettings, Sites, World},
    rules::{NamespaceMaps, Policy},
    settings::{NamespaceMapFile, NamespaceMapsArguments, RuleArguments, ScopeArguments},
    sources::{NamespaceMapFiles, read_sites},
};

/// Maximum number of ignored files that are named.
const MAX_NAMED_FILES: usize = 20;

/// Arguments that name the maps and the settings of admission.
#[derive(Args, Debug)]
pub(super) struct WorldArguments {
    #[command(flatten)]
    rules: RuleArguments,

    #[command(flatten)]
    namespace_maps: NamespaceMapsArguments,

    /// File with sites, in addition to the built-in ones: the locations of images in custom resources
    #[arg(long, value_name = "FILE")]
    sites_file: Option<PathBuf>,

    #[command(flatten)]
    scope: ScopeArguments,
}

impl WorldArguments {
    /// Loads the files. Their mistakes go to `errors`.
    ///
    /// # Errors
    /// If a flag is not valid, or a file cannot be used.
    pub(super) fn load(&self, errors: &mut impl Write) -> anyhow::Result<World> {
        let policy = load_cluster_rules(rule_source(&self.rules, errors)?, errors)?.policy;
        self.load_with(policy, errors)
    }

    /// Loads the files besides the map of the cluster.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub(super) fn load_with(
        &self,
        policy: Policy,
        errors: &mut impl Write,
    ) -> anyhow::Result<World> {
        let settings =
            AdmissionSettings { scope: self.scope.parse()?, ..AdmissionSettings::default() };
        let mut world = World::new(policy, settings);
        if let Some(directory) = self.namespace_maps.directory() {
            world.namespaces = Arc::new(load_namespace_maps(&directory, errors)?);
        }
        if let Some(file) = &self.sites_file {
            let text = read_sites(file).context("--sites-file")?;
            let mut sites = Sites::built_in();
            let diagnostics = sites.add(&text);
            show_errors(file, &diagnostics, errors);
            world.sites = Arc::new(sites);
        }
        Ok(world)
    }
}

fn load_namespace_maps(directory: &Path, errors: &mut impl Write) -> anyhow::Result<NamespaceMaps> {
    let files = NamespaceMapFiles::of(directory)
        .with_context(|| format!("--namespace-maps-dir: {}", directory.display()))?;
    for name in files.ignored.iter().take(MAX_NAMED_FILES) {
        let file: PathBuf = directory.join(name);
        // The result is valid even if the warning cannot be written.
        let _ = writeln!(
            errors,
            "warning: {}: not a map of a namespace; name the file as the namespace, with the ending .conf",
            file.display(),
        );
    }
    let mut maps = Vec::new();
    for (namespace, file) in files.maps {
        let map = NamespaceMapFile { namespace: namespace.to_string(), file };
        if let Some(map) = load_namespace(&map, errors)? {
            maps.push((namespace, Arc::new(map)));
        }
    }
    Ok(maps.into_iter().collect())
}
