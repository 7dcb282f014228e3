//! Follows the candidate map, which is compared with the map in use.

use std::path::{Path, PathBuf};

use super::{
    FollowedFile, Loaded, Source, directory_of, log_diagnostics,
    map_file::{MAX_BYTES, decode_map, to_map, within_limit},
};
use crate::{
    bounded_read::read_regular_up_to,
    origin::Origin,
    rules::{MapScope, RuleSet},
    state::{Live, Load, LoadError, Retry, Summary},
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
    /// The content that was read last, whether it could be used or not.
    content: Option<Vec<u8>>,
}

impl CandidateMapSource {
    /// Creates the source of the candidate map in `file`. If `is_strict`, a map with any error is refused.
    #[must_use]
    pub fn new(file: FollowedFile, is_strict: bool) -> Self {
        Self { directory: directory_of(file.path()), file, is_strict, content: None }
    }

    /// Returns the result of a load without a file.
    fn without_file(&mut self, live: &Live<Option<RuleSet>>) -> Loaded<Option<RuleSet>> {
        self.content = None;
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
        let content = match within_limit(file, MAX_BYTES, read_regular_up_to(file, MAX_BYTES)) {
            Ok(content) => content,
            Err(error) if error.is_missing() && matches!(self.file, FollowedFile::Default(_)) => {
                return Ok(self.without_file(live));
            }
            Err(error) => {
                self.content = None;
                return Err(LoadError::transient(error));
            }
        };
        if self.content.as_ref() == Some(&content) {
            return Ok(Loaded::Unchanged);
        }
        self.content = Some(content.clone());
        let map = decode_map(file, content).and_then(|text| to_map(MapScope::Cluster, file, &text));
        // The same content fails again, so wait for a change.
        let map = map.map_err(|error| LoadError::Failed {
            message: error.to_string(),
            retry: Retry::WhenChanged,
        })?;
        log_diagnostics(file, &map.diagnostics);
        let origin = Origin::File(file.to_owned());
        if let Some(refusal) = map.refusal(self.is_strict, None) {
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
    use std::{fs, sync::Arc};

    use super::{super::refresh, *};
    use crate::state::{HasStatus, Subject};

    #[test]
    fn a_map_is_compared_until_its_file_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("maps.conf");
        let live: Live<Option<RuleSet>> = Live::new(Subject::CandidateMap, Arc::default());
        let rules =
            || live.load_full().and_then(|map| map.as_ref().as_ref().map(|map| map.rules().len()));
        let mut source = CandidateMapSource::new(FollowedFile::Default(file.clone()), false);
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
}
