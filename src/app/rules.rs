//! The rules of the running webhook: the map, the maps of namespaces, the candidate map, LEGACY mode, and sites.

use std::sync::Arc;

use anyhow::Context;
use tracing::warn;

use super::{App, Values, tasks::Task};
use crate::{
    origin::Origin,
    rules::{LegacyPrefix, LoadedMap, Policy},
    settings::RuleSource,
    sources::{
        CandidateMapSource, FollowedFile, MapFileSettings, MapSource, NamespaceMapsSource,
        SitesSource, built_in_sites, map_load, refresh,
    },
    state::{Live, Load, Summary},
};

impl App {
    /// Starts to follow the rules of the settings: maps and sites.
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
        let (built_in, load) = built_in_sites();
        values.sites.publish(built_in, load);
        let mut sites = SitesSource::new(self.settings.sites.clone());
        // Before the first review: it would leave images at the sites of the file as they are.
        refresh(&mut sites, &values.sites);
        self.follow(Task::SitesReload, sites, values.sites.clone());
        let candidate = self.settings.candidate_map.clone();
        let candidate =
            CandidateMapSource::new(candidate, self.settings.strict_maps, policy.clone());
        self.follow(Task::CandidateMapReload, candidate, values.candidate.clone());
        match self.settings.rules.clone() {
            RuleSource::DefaultMapFile(file) => {
                self.follow_map(FollowedFile::Default(file), policy);
            }
            RuleSource::MapFile(file) => self.follow_map(FollowedFile::Named(file), policy),
            RuleSource::BuiltIn(text) => {
                let map = LoadedMap::built_in(text).context(LoadedMap::BUILT_IN)?;
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

    fn follow_map(&mut self, file: FollowedFile, policy: &Arc<Live<Policy>>) {
        let source = MapSource::new(MapFileSettings {
            file,
            is_strict: self.settings.strict_maps,
            is_optional: self.settings.maps_optional,
        });
        self.follow(Task::MapReload, source, policy.clone());
    }
}
