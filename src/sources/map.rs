//! Follows the map file: decides which of its contents are put into use.
//!
//! `map_file` reads the file, and `rules` compiles it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing::{info, warn};

use super::{
    FollowedFile, Loaded, Source, directory_of,
    last_content::LastContent,
    map_file::{FileError, MAX_BYTES, decode_text, read_regular, to_map},
};
use crate::{
    origin::Origin,
    rules::{Diagnostics, LoadedMap, MapScope, Policy, RuleChanges, RuleSet, Severity},
    state::{HasStatus, Live, Load, LoadError, MapSummary, Retry, Summary},
};

/// Maximum number of diagnostics of a map that are logged one by one.
const MAX_LOGGED_DIAGNOSTICS: usize = 20;

/// The map in use while an optional map file does not exist. It keeps every image unchanged.
pub const BUILT_IN_MAP: &str = "default::";

/// The map file to follow, and the requirements on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MapFileSettings {
    /// The file.
    pub file: FollowedFile,
    /// True if a map with any error is refused.
    pub is_strict: bool,
    /// True if [`BUILT_IN_MAP`] is used until there is a file.
    pub is_optional: bool,
}

/// Loads the map file.
#[derive(Debug)]
pub struct MapSource {
    settings: MapFileSettings,
    directory: PathBuf,
    last_content: LastContent,
}

impl MapSource {
    /// Creates the source of the map file in `settings`.
    #[must_use]
    pub fn new(settings: MapFileSettings) -> Self {
        Self {
            directory: directory_of(settings.file.path()),
            settings,
            last_content: LastContent::default(),
        }
    }

    /// Returns the result of a load while the file cannot be read.
    fn without_file(
        &self,
        error: FileError,
        in_use: Option<&Origin>,
    ) -> Result<Loaded<Policy>, LoadError> {
        let error = match self.settings.file {
            FollowedFile::Default(_) => error.at_default_path(),
            FollowedFile::Named(_) => error,
        };
        let is_missing = error.is_missing();
        match in_use {
            None if self.settings.is_optional && is_missing => {
                let file = self.settings.file.path().display();
                let hint = "no image is swapped until the file exists; in a cluster it is the key \
                            `maps` of the ConfigMap imageswap-maps";
                warn!(%file, map = BUILT_IN_MAP, hint, "no map file, using the built-in map");
                let map = LoadedMap::built_in(BUILT_IN_MAP).map_err(LoadError::transient)?;
                let (policy, load) = map_load(map, Origin::BuiltIn, None);
                Ok(Loaded::New(policy, load))
            }
            Some(Origin::BuiltIn) if is_missing => Ok(Loaded::InUse),
            _ => Err(LoadError::transient(error)),
        }
    }

    /// Returns the map if it may replace the one in use.
    fn consider(&self, map: LoadedMap, live: &Live<Policy>) -> Result<Loaded<Policy>, LoadError> {
        let file = self.settings.file.path();
        log_diagnostics(file, &map.diagnostics);
        let in_use = live.load_full();
        let in_use = match in_use.as_deref() {
            Some(Policy::Maps(rules)) => Some(&**rules),
            Some(Policy::Legacy(_)) | None => None,
        };
        // The check for a lost `default` rule does not apply to the first file, which replaces the built-in map.
        let is_built_in = live.status().origin() == Some(&Origin::BuiltIn);
        let replaced = in_use.filter(|_| !is_built_in);
        if let Some(refusal) = map.refusal(self.settings.is_strict, replaced) {
            let (reason, diagnostics) = (refusal.to_string(), Arc::new(map.diagnostics));
            let origin = Origin::File(file.to_owned());
            return Err(LoadError::Refused { origin, reason, diagnostics });
        }
        let (policy, load) = map_load(map, Origin::File(file.to_owned()), in_use);
        Ok(Loaded::New(policy, load))
    }
}

impl Source for MapSource {
    type Value = Policy;

    fn directory(&self) -> &Path {
        &self.directory
    }

    fn load(&mut self, live: &Live<Policy>) -> Result<Loaded<Policy>, LoadError> {
        let file = self.settings.file.path();
        let content = match read_regular(file, MAX_BYTES) {
            Ok(content) => content,
            Err(error) => {
                // After an error, the content counts as new even if it is the same as before.
                self.last_content.forget();
                return self.without_file(error, live.status().origin());
            }
        };
        if !self.last_content.replace(&content) {
            return Ok(Loaded::Unchanged);
        }
        let map =
            decode_text(file, content).and_then(|text| to_map(MapScope::Cluster, file, &text));
        self.consider(map.map_err(LoadError::until_changed)?, live)
    }

    fn next_load(&self) -> Retry {
        // A missing file may appear without an event in its directory, for example behind a symbolic link.
        if self.last_content.is_unknown() { Retry::AfterDelay } else { Retry::WhenChanged }
    }
}

/// Converts a map to a policy, and describes its changes to the map `old` that it replaces.
#[must_use]
pub fn map_load(map: LoadedMap, origin: Origin, old: Option<&RuleSet>) -> (Policy, Load) {
    let LoadedMap { rules, diagnostics, hash, .. } = map;
    let changes = RuleChanges::between(old, &rules);
    let summary = Summary::Map(MapSummary { rules: rules.counts(), changes, hash });
    let load = Load { origin, summary, diagnostics: Arc::new(diagnostics) };
    (Policy::Maps(Box::new(rules)), load)
}

/// Logs the first diagnostics of a map, and the number of the others.
pub fn log_diagnostics(file: &Path, diagnostics: &Diagnostics) {
    for diagnostic in diagnostics.kept().iter().take(MAX_LOGGED_DIAGNOSTICS) {
        let (file, line) = (file.display(), diagnostic.line);
        let (code, hint) = (diagnostic.code.as_str(), &*diagnostic.hint);
        let severity = diagnostic.severity().as_str();
        if diagnostic.severity() == Severity::Note {
            info!(%file, line, severity, code, hint, "{}", diagnostic.message);
        } else {
            warn!(%file, line, severity, code, hint, "{}", diagnostic.message);
        }
    }
    let total: usize = Severity::ALL.map(|severity| diagnostics.count(severity)).iter().sum();
    if total > MAX_LOGGED_DIAGNOSTICS {
        let more = total - MAX_LOGGED_DIAGNOSTICS;
        warn!(file = %file.display(), more, "more diagnostics; `imageswap check` lists them");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::refresh, *};
    use crate::{
        metrics::Registry,
        state::{LoadObserver, Subject},
    };

    /// Returns the settings of a file that the settings name.
    fn named(file: &Path) -> MapFileSettings {
        let file = FollowedFile::Named(file.to_owned());
        MapFileSettings { file, is_strict: false, is_optional: false }
    }

    #[test]
    fn the_error_of_a_missing_map_says_if_nobody_has_set_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("map");
        for (followed, expected) in [
            (
                FollowedFile::Named(file.clone()),
                format!("{}: No such file or directory (os error 2)", file.display()),
            ),
            (
                FollowedFile::Default(file.clone()),
                format!(
                    "no map file at the default path {}; set IMAGESWAP_MAPS_FILE (--maps-file) to \
                     your map",
                    file.display()
                ),
            ),
        ] {
            let mut source = MapSource::new(MapFileSettings { file: followed, ..named(&file) });
            let live = Live::new(Subject::Map, Arc::default());
            let error = source.load(&live).err().unwrap();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_missing_optional_map_is_looked_for_after_a_delay() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("map");
        let settings = MapFileSettings { is_optional: true, ..named(&file) };
        let mut source = MapSource::new(settings);
        let live = Live::new(Subject::Map, Arc::default());
        for _ in 0..2 {
            assert_eq!(refresh(&mut source, &live), Retry::AfterDelay);
            assert_eq!(live.status().origin(), Some(&Origin::BuiltIn));
        }
        fs::write(&file, "default::d.io").unwrap();
        for _ in 0..2 {
            assert_eq!(refresh(&mut source, &live), Retry::WhenChanged);
            assert_eq!(live.status().origin(), Some(&Origin::File(file.clone())));
        }
    }

    #[test]
    fn each_invalid_content_is_counted_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("map");
        let mut source = MapSource::new(named(&file));
        let registry = Registry::default();
        let live = Live::new(Subject::Map, Arc::new(LoadObserver::new(&registry)));
        for (count, content) in (1..).zip([b"\xff", b"\xfe", b"\xfd"]) {
            fs::write(&file, content).unwrap();
            for _ in 0..2 {
                assert_eq!(refresh(&mut source, &live), Retry::WhenChanged);
                let series = format!("imageswap_map_reloads_total{{result=\"failed\"}} {count}\n");
                assert!(registry.render().contains(&series), "{}", registry.render());
            }
        }
    }
}
