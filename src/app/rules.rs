//! The rules of the running webhook: the map, the maps of namespaces, the candidate map, LEGACY mode, and sites.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use tracing::warn;

use super::{App, Values, tasks::Task};
use crate::{
    origin::Origin,
    rules::{LegacyPrefix, LoadedMap, Policy},
    settings::RuleSource,
    sources::{
        CandidateMapSource, MapFileSettings, MapPath, MapSource, NamespaceMapsSource, SitesSource,
        map_load, refresh,
    },
    state::{Live, Load, Summary},
};

impl App {
    pub(super) fn load_rules(&mut self, values: &Values) -> anyhow::Result<()> {
        let policy = &values.policy;
        if !matches!(self.settings.rules, RuleSource::Legacy(_)) {
            let (directory, is_strict) =
                (self.settings.namespace_maps.clone(), self.settings.strict_maps);
            let mut source = NamespaceMapsSource::new(directory, is_strict);
            // Before the first review: the map of the cluster would decide about its images.
            refresh(&mut source, &values.namespaces);
            self.follow(Task::NamespaceMapReload, source, values.namespaces.clone());
        }
        let mut sites = SitesSource::new(self.settings.sites.clone());
        // Before the first review, for the same reason.
        refresh(&mut sites, &values.sites);
        self.follow(Task::SitesReload, sites, values.sites.clone());
        let candidate = self.settings.candidate_map.clone();
        let candidate = CandidateMapSource::new(candidate, self.settings.strict_maps);
        self.follow(Task::CandidateMapReload, candidate, values.candidate.clone());
        match self.settings.rules.clone() {
            RuleSource::DefaultMapFile(file) => self.follow_map(file, MapPath::Default, policy),
            RuleSource::MapFile(file) => self.follow_map(file, MapPath::Configured, policy),
            RuleSource::BuiltIn(text) => {
                let map = LoadedMap::from_text(text).context("the built-in map")?;
                let (built_in, load) = map_load(map, Origin::BuiltIn, None);
                policy.publish(built_in, load);
            }
            RuleSource::Legacy(prefix) => {
                if prefix == LegacyPrefix::new("") {
                    warn!("IMAGE_PREFIX is empty, so LEGACY mode swaps nothing");
                }
                warn!("LEGACY mode is deprecated; use a map with a `default` rule instead");
                let load = Load::new(Origin::BuiltIn, Summary::LegacyPrefix);
                policy.publish(Policy::Legacy(prefix), load);
            }
        }
        Ok(())
    }

    fn follow_map(&mut self, file: PathBuf, path: MapPath, policy: &Arc<Live<Policy>>) {
        let source = MapSource::new(MapFileSettings {
            file,
            path,
            is_strict: self.settings.strict_maps,
            is_optional: self.settings.maps_optional,
        });
        self.follow(Task::MapReload, source, policy.clone());
    }
}
