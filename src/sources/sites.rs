//! Follows the file with sites, which adds to the built-in ones.

use std::path::{Path, PathBuf};

use super::{
    FollowedFile, Loaded, Source, directory_of, log_diagnostics,
    map_file::{MapError, decode_map, within_limit},
};
use crate::{
    admission::{MAX_SITES_BYTES, Sites},
    bounded_read::read_regular_up_to,
    origin::Origin,
    rules::Severity,
    state::{HasStatus, Live, Load, LoadError, Retry, SitesSummary, Summary},
};

const MAX_BYTES: u64 = MAX_SITES_BYTES as u64;

/// Loads the file with sites.
///
/// A file that is gone leaves the last sites in use until a restart, as with the map.
#[derive(Debug)]
pub struct SitesSource {
    file: FollowedFile,
    directory: PathBuf,
    /// The content that is in use.
    content: Option<Vec<u8>>,
}

impl SitesSource {
    /// Creates the source of the sites in `file`.
    #[must_use]
    pub fn new(file: FollowedFile) -> Self {
        Self { directory: directory_of(file.path()), file, content: None }
    }
}

impl Source for SitesSource {
    type Value = Sites;

    fn directory(&self) -> &Path {
        &self.directory
    }

    fn load(&mut self, live: &Live<Sites>) -> Result<Loaded<Sites>, LoadError> {
        let file = self.file.path();
        let content = match within_limit(file, MAX_BYTES, read_regular_up_to(file, MAX_BYTES)) {
            Ok(content) => content,
            Err(error) if error.is_missing() && self.content.is_none() => {
                return match self.file {
                    FollowedFile::Default(_) if live.status().is_loaded() => Ok(Loaded::InUse),
                    FollowedFile::Default(_) => Ok(load(Sites::built_in(), Origin::BuiltIn, 0)),
                    FollowedFile::Named(_) => Err(LoadError::transient(error)),
                };
            }
            Err(error) => return Err(LoadError::transient(error)),
        };
        if self.content.as_ref() == Some(&content) {
            return Ok(Loaded::InUse);
        }
        let text = decode_map(file, content).map_err(|error| LoadError::Failed {
            message: error.to_string(),
            retry: Retry::WhenChanged,
        })?;
        let mut sites = Sites::built_in();
        let diagnostics = sites.add(&text);
        log_diagnostics(file, &diagnostics);
        self.content = Some(text.into_bytes());
        Ok(load(sites, Origin::File(file.to_owned()), diagnostics.count(Severity::Error)))
    }
}

fn load(sites: Sites, origin: Origin, invalid: usize) -> Loaded<Sites> {
    let summary = SitesSummary { sites: sites.count(), kinds: sites.kinds(), invalid };
    Loaded::New(sites, Load::new(origin, Summary::Sites(summary)))
}

/// Reads a file with sites as text.
///
/// # Errors
/// If the file cannot be read, is larger than [`MAX_SITES_BYTES`], or is not valid UTF-8.
pub fn read_sites(file: &Path) -> Result<String, MapError> {
    decode_map(file, within_limit(file, MAX_BYTES, read_regular_up_to(file, MAX_BYTES))?)
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use super::{super::refresh, *};
    use crate::state::Subject;

    #[test]
    fn a_file_adds_to_the_built_in_sites_and_its_mistakes_are_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sites.conf");
        let live: Live<Sites> = Live::new(Subject::Sites, Arc::default());
        let count = || live.load_full().unwrap().count();
        let mut source = SitesSource::new(FollowedFile::Default(file.clone()));
        assert_eq!(refresh(&mut source, &live), Retry::WhenChanged);
        let built_in = Sites::built_in().count();
        assert_eq!(count(), built_in);
        fs::write(&file, "a.io/Kind /spec/image /spec/*/image\nmistake\n").unwrap();
        refresh(&mut source, &live);
        assert_eq!(count(), built_in + 2);
        let status = live.status();
        let Some(Load { summary: Summary::Sites(summary), .. }) = &status.load else { panic!() };
        assert_eq!((summary.sites, summary.invalid), (built_in + 2, 1));
        // A file that is gone, or that cannot be read, leaves the last sites in use.
        fs::write(&file, [0xff]).unwrap();
        refresh(&mut source, &live);
        assert_eq!(count(), built_in + 2);
        let error = live.status().last_error.clone().unwrap();
        assert!(
            error.ends_with("sites.conf:1: not valid UTF-8 at byte 0 of the file, counted from 0")
        );
        fs::remove_file(&file).unwrap();
        assert_eq!(refresh(&mut source, &live), Retry::AfterDelay);
        assert_eq!(count(), built_in + 2);
    }

    #[test]
    fn a_file_that_the_settings_name_has_to_exist() {
        let file = FollowedFile::Named("/nonexistent/sites.conf".into());
        let live: Live<Sites> = Live::new(Subject::Sites, Arc::default());
        assert_eq!(refresh(&mut SitesSource::new(file), &live), Retry::AfterDelay);
        let error = live.status().last_error.clone().unwrap();
        assert!(error.starts_with("/nonexistent/sites.conf: No such file"), "{error}");
    }
}
