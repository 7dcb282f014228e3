//! Follows the file with sites, which adds to the built-in ones.

use std::path::{Path, PathBuf};

use super::{
    FollowedFile, Loaded, Source, directory_of,
    last_content::LastContent,
    log_diagnostics,
    map_file::{FileError, decode_text, read_regular},
};
use crate::{
    admission::{MAX_SITES_BYTES, Sites},
    origin::Origin,
    rules::Severity,
    state::{HasStatus, Live, Load, LoadError, SitesSummary, Summary},
};

const MAX_BYTES: u64 = MAX_SITES_BYTES as u64;

/// Loads the file with sites.
///
/// A file that is gone leaves the last sites in use until a restart, as with the map.
#[derive(Debug)]
pub struct SitesSource {
    file: FollowedFile,
    directory: PathBuf,
    last_content: LastContent,
}

impl SitesSource {
    /// Creates the source of the sites in `file`.
    #[must_use]
    pub fn new(file: FollowedFile) -> Self {
        let directory = directory_of(file.path());
        Self { directory, file, last_content: LastContent::default() }
    }
}

impl Source for SitesSource {
    type Value = Sites;

    fn directory(&self) -> &Path {
        &self.directory
    }

    fn load(&mut self, live: &Live<Sites>) -> Result<Loaded<Sites>, LoadError> {
        let file = self.file.path();
        let content = match read_regular(file, MAX_BYTES) {
            Ok(content) => content,
            Err(error) => {
                self.last_content.forget();
                let status = live.status();
                let was_loaded = status.origin().is_some_and(|origin| *origin != Origin::BuiltIn);
                return if !was_loaded && self.file.may_be_missing(&error) {
                    Ok(Loaded::InUse)
                } else {
                    Err(LoadError::transient(error))
                };
            }
        };
        if !self.last_content.replace(&content) {
            return Ok(Loaded::Unchanged);
        }
        let text = decode_text(file, content).map_err(LoadError::until_changed)?;
        let mut sites = Sites::built_in();
        let diagnostics = sites.add(&text);
        log_diagnostics(file, &diagnostics);
        let load = load(&sites, Origin::File(file.to_owned()), diagnostics.count(Severity::Error));
        Ok(Loaded::New(sites, load))
    }
}

/// Returns the built-in sites, which are in use until a file is loaded.
#[must_use]
pub fn built_in_sites() -> (Sites, Load) {
    let sites = Sites::built_in();
    let load = load(&sites, Origin::BuiltIn, 0);
    (sites, load)
}

fn load(sites: &Sites, origin: Origin, invalid: usize) -> Load {
    let summary = SitesSummary { sites: sites.count(), kinds: sites.kinds(), invalid };
    Load::new(origin, Summary::Sites(summary))
}

/// Reads a file with sites as text.
///
/// # Errors
/// If the file cannot be read, is larger than [`MAX_SITES_BYTES`], or is not valid UTF-8.
pub fn read_sites(file: &Path) -> Result<String, FileError> {
    decode_text(file, read_regular(file, MAX_BYTES)?)
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use super::{super::refresh, *};
    use crate::state::{Retry, Subject};

    fn live() -> Live<Sites> {
        let live = Live::new(Subject::Sites, Arc::default());
        let (sites, load) = built_in_sites();
        live.publish(sites, load);
        live
    }

    #[test]
    fn a_file_adds_to_the_built_in_sites_and_its_mistakes_are_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sites.conf");
        let live = live();
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
    fn a_content_that_cannot_be_used_is_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sites.conf");
        fs::write(&file, [0xff]).unwrap();
        let live = live();
        let mut source = SitesSource::new(FollowedFile::Default(file));
        assert!(source.load(&live).is_err());
        assert!(matches!(source.load(&live), Ok(Loaded::Unchanged)));
    }

    #[test]
    fn a_file_that_the_settings_name_has_to_exist() {
        let file = FollowedFile::Named("/nonexistent/sites.conf".into());
        let live = live();
        assert_eq!(refresh(&mut SitesSource::new(file), &live), Retry::AfterDelay);
        let error = live.status().last_error.clone().unwrap();
        assert!(error.starts_with("/nonexistent/sites.conf: No such file"), "{error}");
    }
}
