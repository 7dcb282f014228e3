//! Follows the candidate map, which is compared with the map in use.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    FollowedFile, Loaded, Source, directory_of,
    last_content::LastContent,
    log_diagnostics,
    map_file::{MAX_BYTES, decode_text, read_regular, to_map},
};
use crate::{
    origin::Origin,
    rules::{MapScope, Policy, RuleSet},
    state::{Live, Load, LoadError, Summary},
};

/// Loads the candidate map.
///
/// Most clusters have none, and one that is removed is no longer compared.
#[derive(Debug)]
pub struct CandidateMapSource {
    file: FollowedFile,
    directory: PathBuf,
    /// True if a map with any error is refused.
    is_strict: bool,
    /// The map in use, which the candidate map may replace later.
    policy: Arc<Live<Policy>>,
    last_content: LastContent,
}

impl CandidateMapSource {
    /// Creates the source of the candidate map in `file`, which is compared with the map in `policy`. If `is_strict`, a
    /// map with any error is refused.
    #[must_use]
    pub fn new(file: FollowedFile, is_strict: bool, policy: Arc<Live<Policy>>) -> Self {
        let directory = directory_of(file.path());
        Self { directory, file, is_strict, policy, last_content: LastContent::default() }
    }

    /// Returns the result of a load without a file.
    fn without_file(&self, live: &Live<Option<RuleSet>>) -> Loaded<Option<RuleSet>> {
        if matches!(live.load().as_deref(), Some(Some(_))) {
            let origin = Origin::File(self.file.path().to_owned());
            return Loaded::New(None, Load::new(origin, Summary::CandidateMap { rules: None }));
        }
        Loaded::InUse
    }
}

impl Source for CandidateMapSource {
    type Value = Option<RuleSet>;

    fn directory(&self) -> &Path {
        &self.directory
    }

    fn load(&mut self, live: &Live<Option<RuleSet>>) -> Result<Loaded<Option<RuleSet>>, LoadError> {
        let file = self.file.path();
        let content = match read_regular(file, MAX_BYTES) {
            Ok(content) => content,
            Err(error) => {
                self.last_content.forget();
                return if self.file.may_be_missing(&error) {
                    Ok(self.without_file(live))
                } else {
                    Err(LoadError::transient(error))
                };
            }
        };
        if !self.last_content.replace(&content) {
            return Ok(Loaded::Unchanged);
        }
        let map =
            decode_text(file, content).and_then(|text| to_map(MapScope::Cluster, file, &text));
        let map = map.map_err(LoadError::until_changed)?;
        log_diagnostics(file, &map.diagnostics);
        let origin = Origin::File(file.to_owned());
        let policy = self.policy.load_full();
        let in_use = match policy.as_deref() {
            Some(Policy::Maps(rules)) => Some(&**rules),
            Some(Policy::Legacy(_)) | None => None,
        };
        // The map in use could not be replaced by it either.
        if let Some(refusal) = map.refusal(self.is_strict, in_use) {
            let (reason, diagnostics) = (refusal.to_string(), map.diagnostics.into());
            return Err(LoadError::Refused { origin, reason, diagnostics });
        }
        let rules = Some(map.rules.rules().len());
        let load = Load {
            origin,
            summary: Summary::CandidateMap { rules },
            diagnostics: map.diagnostics.into(),
        };
        Ok(Loaded::New(Some(map.rules), load))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{
        super::{map_load, refresh},
        *,
    };
    use crate::{
        rules::LoadedMap,
        state::{HasStatus, Subject},
    };

    #[test]
    fn a_map_is_compared_until_its_file_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("maps.conf");
        let live: Live<Option<RuleSet>> = Live::new(Subject::CandidateMap, Arc::default());
        let rules =
            || live.load_full().and_then(|map| map.as_ref().as_ref().map(|map| map.rules().len()));
        let policy = Arc::new(Live::new(Subject::Map, Arc::default()));
        let mut source =
            CandidateMapSource::new(FollowedFile::Default(file.clone()), false, policy);
        refresh(&mut source, &live);
        assert_eq!((rules(), live.status().last_error.clone()), (None, None));
        fs::write(&file, "default::d.io\nquay.io::\n").unwrap();
        refresh(&mut source, &live);
        assert_eq!(rules(), Some(2));
        fs::write(&file, "nothing").unwrap();
        refresh(&mut source, &live);
        assert_eq!(rules(), Some(2), "the last good map");
        assert!(live.status().last_error.as_deref().unwrap().contains("is refused"));
        fs::remove_file(&file).unwrap();
        refresh(&mut source, &live);
        assert_eq!((rules(), live.status().last_error.clone()), (None, None));
        fs::write(&file, "default::d.io\nquay.io::\n").unwrap();
        refresh(&mut source, &live);
        assert_eq!(rules(), Some(2));
    }
    #[test]
    fn a_map_that_could_not_replace_the_map_in_use_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("maps.conf");
        fs::write(&file, "quay.io::d.io\n").unwrap();
        let policy = Arc::new(Live::new(Subject::Map, Arc::default()));
        let in_use = LoadedMap::from_text("default::d.io").unwrap();
        let (in_use, load) = map_load(in_use, Origin::BuiltIn, None);
        policy.publish(in_use, load);
        let live: Live<Option<RuleSet>> = Live::new(Subject::CandidateMap, Arc::default());
        let mut source = CandidateMapSource::new(FollowedFile::Default(file), false, policy);
        refresh(&mut source, &live);
        assert!(live.status().last_error.as_deref().unwrap().contains("default"));
    }
}
