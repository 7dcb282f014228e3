//! Follows the directory with the maps of namespaces: one file `NAMESPACE.conf` for each.
//!
//! A file that cannot be used leaves its namespace on the last map that could, or on the map of the cluster, and never
//! affects other namespaces. Only files that have changed are compiled.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hash::{BuildHasher, RandomState},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing::{info, warn};

use super::{
    Loaded, Source, log_diagnostics,
    map_file::{FileError, decode_text, to_map, within_limit},
};
use crate::{
    bounded_read::read_regular_up_to,
    namespace::{MAP_EXTENSION, is_namespace},
    origin::Origin,
    rules::{LoadedMap, MapScope, NamespaceMaps, RuleChanges},
    state::{HasStatus, Live, Load, LoadError, NamespaceSummary, Retry, Summary},
};

/// Maximum size of the map of a namespace in bytes: that of a ConfigMap.
const MAX_BYTES: u64 = 1024 * 1024;

/// Maximum size of all maps together in bytes. It bounds the memory of the compiled maps.
const MAX_TOTAL_BYTES: u64 = 64 * 1024 * 1024;

/// Maximum number of files in the directory. Kubernetes is tested with ten thousand namespaces
/// (<https://github.com/kubernetes/community/blob/master/sig-scalability/configs-and-limits/thresholds.md>).
const MAX_FILES: usize = 10_000;

/// Maximum number of files of which a load logs problems one by one.
const MAX_LOGGED_FILES: usize = 20;

/// Loads the maps of namespaces.
#[derive(Debug)]
pub struct NamespaceMapsSource {
    directory: PathBuf,
    /// True if a map with any error is refused.
    is_strict: bool,
    hasher: RandomState,
    maps: BTreeMap<Box<str>, FollowedMap>,
    /// Files that are no map of a namespace, which are reported once.
    ignored: BTreeSet<String>,
}

/// The map of one namespace, as far as it could be loaded.
#[derive(Debug, Default)]
struct FollowedMap {
    /// Length and hash of the content that was read last, as in `MapSource`; `None` after an error of reading.
    content: Option<(usize, u64)>,
    /// The last map that could be used.
    in_use: Option<Arc<LoadedMap>>,
    /// The error of the last load, if it failed.
    error: Option<String>,
    /// True if another attempt may succeed although no file changes.
    is_retried: bool,
}

/// The files of a directory with maps of namespaces.
#[derive(Debug, Default)]
pub struct NamespaceMapFiles {
    /// The maps by namespace.
    pub maps: BTreeMap<Box<str>, PathBuf>,
    /// The names of other files.
    pub ignored: BTreeSet<String>,
}

/// The changes that one load has found.
#[derive(Default)]
struct Changes {
    is_any: bool,
    logged: usize,
    total_bytes: u64,
}

impl NamespaceMapsSource {
    /// Creates the source of the maps in `directory`. If `is_strict`, a map with any error is refused.
    #[must_use]
    pub fn new(directory: PathBuf, is_strict: bool) -> Self {
        Self {
            directory,
            is_strict,
            hasher: RandomState::new(),
            maps: BTreeMap::new(),
            ignored: BTreeSet::new(),
        }
    }

    /// Reads a file, and compiles it if it has changed.
    fn follow(&mut self, namespace: &str, file: &Path, root: &Path, changes: &mut Changes) {
        let map = self.maps.entry(namespace.into()).or_default();
        let result = read(file, root, &mut changes.total_bytes).and_then(|content| {
            let fingerprint = Some((content.len(), self.hasher.hash_one(&content)));
            if map.content == fingerprint {
                return Ok(None);
            }
            map.content = fingerprint;
            compile(file, content, self.is_strict, changes.logged < MAX_LOGGED_FILES).map(Some)
        });
        map.is_retried = matches!(&result, Err(error) if error.is_transient());
        match result {
            Ok(None) => {}
            Ok(Some(loaded)) => {
                let old = map.in_use.as_ref().map(|map| &map.rules);
                let RuleChanges { added, removed, changed } =
                    RuleChanges::between(old, &loaded.rules);
                info!(namespace, added, removed, changed, "namespace map loaded");
                *map = FollowedMap { in_use: Some(Arc::new(loaded)), error: None, ..*map };
                changes.is_any = true;
            }
            Err(error) => {
                if let FileError::Unreadable { .. } | FileError::TooLarge { .. } = error {
                    map.content = None;
                }
                let error = error.to_string();
                if map.error.as_ref() != Some(&error) {
                    changes.is_any = true;
                    changes.logged += 1;
                    if changes.logged <= MAX_LOGGED_FILES {
                        warn!(namespace, error, "{}", failure(map.in_use.is_some()));
                    }
                    map.error = Some(error);
                }
            }
        }
    }

    /// Forgets the maps whose files are gone.
    fn forget_all_but(&mut self, files: &NamespaceMapFiles, changes: &mut Changes) {
        self.maps.retain(|namespace, _| {
            let is_there = files.maps.contains_key(namespace);
            if !is_there {
                info!(%namespace, "namespace map removed");
                changes.is_any = true;
            }
            is_there
        });
    }

    fn report_ignored(&mut self, ignored: BTreeSet<String>) {
        for name in ignored.difference(&self.ignored).take(MAX_LOGGED_FILES) {
            let hint = "name the file as the namespace, with the ending .conf";
            let file = self.directory.join(name);
            warn!(file = %file.display(), hint, "file is no map of a namespace");
        }
        self.ignored = ignored;
    }

    fn load_of_maps(&self) -> (NamespaceMaps, Load) {
        let in_use = self
            .maps
            .iter()
            .filter_map(|(namespace, map)| Some((namespace.clone(), map.in_use.clone()?)));
        let maps: NamespaceMaps = in_use.collect();
        let failing = self
            .maps
            .iter()
            .filter_map(|(namespace, map)| Some((namespace.clone(), map.error.as_deref()?.into())));
        let mut summary =
            NamespaceSummary { failing: failing.collect(), ..NamespaceSummary::default() };
        for (_, map) in maps.iter() {
            summary.maps += 1;
            for (sum, count) in summary.rules.iter_mut().zip(map.rules.counts()) {
                *sum += count;
            }
        }
        let origin = Origin::File(self.directory.clone());
        (maps, Load::new(origin, Summary::NamespaceMaps(summary)))
    }
}

impl Source for NamespaceMapsSource {
    type Value = NamespaceMaps;

    fn directory(&self) -> &Path {
        &self.directory
    }

    fn load(&mut self, live: &Live<NamespaceMaps>) -> Result<Loaded<NamespaceMaps>, LoadError> {
        let files = match NamespaceMapFiles::of(&self.directory) {
            Ok(files) => files,
            // Most clusters have no maps of namespaces. If there are some, a directory that is gone is an error.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.maps.is_empty() => {
                return Ok(Loaded::InUse);
            }
            Err(error) => {
                let directory = self.directory.display();
                return Err(LoadError::transient(format_args!("{directory}: {error}")));
            }
        };
        let root = fs::canonicalize(&self.directory).unwrap_or_else(|_| self.directory.clone());
        let mut changes = Changes::default();
        for (namespace, file) in &files.maps {
            self.follow(namespace, file, &root, &mut changes);
        }
        self.forget_all_but(&files, &mut changes);
        let more = changes.logged.saturating_sub(MAX_LOGGED_FILES);
        if more > 0 {
            warn!(directory = %self.directory.display(), more, "more namespace maps failed");
        }
        self.report_ignored(files.ignored);
        if changes.is_any {
            let (maps, load) = self.load_of_maps();
            return Ok(Loaded::New(maps, load));
        }
        // A directory that could not be read before has the same maps.
        Ok(if live.status().last_error.is_some() { Loaded::InUse } else { Loaded::Unchanged })
    }

    fn next_load(&self) -> Retry {
        let is_retried = |map: &FollowedMap| map.is_retried;
        if self.maps.values().any(is_retried) { Retry::AfterDelay } else { Retry::WhenChanged }
    }
}

impl NamespaceMapFiles {
    /// Lists a directory.
    ///
    /// # Errors
    /// If the directory cannot be read, or has more than ten thousand files.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let mut files = Self::default();
        for (number, entry) in fs::read_dir(directory)?.enumerate() {
            if number >= MAX_FILES {
                return Err(io::Error::other(format!("more than {MAX_FILES} files")));
            }
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // In a volume of Kubernetes, names with a dot are internal.
            // The kubelet removes the link of a key a moment after its file.
            if name.starts_with('.') || !entry.path().try_exists().unwrap_or(true) {
                continue;
            }
            match name.strip_suffix(MAP_EXTENSION).filter(|namespace| is_namespace(namespace)) {
                Some(namespace) => {
                    files.maps.insert(namespace.into(), entry.path());
                }
                None => {
                    files.ignored.insert(name.into_owned());
                }
            }
        }
        Ok(files)
    }
}

/// Reads a file that is in the directory `root`, and adds its size to `total`.
fn read(file: &Path, root: &Path, total: &mut u64) -> Result<Vec<u8>, FileError> {
    let unreadable = |reason| FileError::Unreadable { file: file.to_owned(), reason };
    // In a volume of Kubernetes, each file is a link into the same volume.
    let target = fs::canonicalize(file).map_err(unreadable)?;
    if !target.starts_with(root) {
        let reason = "a link out of the directory of the maps";
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, reason)));
    }
    let length = fs::metadata(&target).map_err(unreadable)?.len();
    if length <= MAX_BYTES && length > MAX_TOTAL_BYTES.saturating_sub(*total) {
        let reason = format!("the maps of namespaces are larger than {MAX_TOTAL_BYTES} bytes");
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, reason)));
    }
    let content = within_limit(file, MAX_BYTES, read_regular_up_to(&target, MAX_BYTES))?;
    *total += content.len() as u64;
    Ok(content)
}

/// Compiles a map, and logs its diagnostics if `is_logged`.
fn compile(
    file: &Path,
    content: Vec<u8>,
    is_strict: bool,
    is_logged: bool,
) -> Result<LoadedMap, FileError> {
    let map = to_map(MapScope::Namespace, file, &decode_text(file, content)?)?;
    if is_logged {
        log_diagnostics(file, &map.diagnostics);
    }
    match map.refusal(is_strict, None) {
        Some(reason) => Err(FileError::Refused { file: file.to_owned(), reason }),
        None => Ok(map),
    }
}

/// Returns the log message of a failed load.
fn failure(is_in_use: bool) -> &'static str {
    if is_in_use {
        "namespace map failed, keeping the last good map"
    } else {
        "namespace map failed, using the map of the cluster"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sources::refresh, state::Subject};

    #[test]
    fn a_lasting_error_is_not_retried() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("shop.conf")).unwrap();
        fs::write(directory.path().join("team.conf"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
        let mut source = NamespaceMapsSource::new(directory.path().to_owned(), false);
        assert_eq!(
            refresh(&mut source, &Live::new(Subject::NamespaceMaps, Arc::default())),
            Retry::WhenChanged
        );
        let errors = source.maps.values().map(|map| map.error.clone().unwrap_or_default());
        let errors: Vec<_> = errors.collect();
        assert!(errors[0].ends_with("shop.conf: not a regular file"), "{errors:?}");
        assert!(errors[1].ends_with("team.conf: larger than 1048576 bytes"), "{errors:?}");
    }

    #[test]
    fn maps_beyond_the_limit_of_all_together_are_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let rule = "default::d.io\n#";
        let count = MAX_TOTAL_BYTES / MAX_BYTES;
        for number in 0..=count {
            let padding = "-".repeat(usize::try_from(MAX_BYTES).unwrap() - rule.len());
            let text = format!("{rule}{padding}");
            fs::write(directory.path().join(format!("n{number:02}.conf")), text).unwrap();
        }
        let mut source = NamespaceMapsSource::new(directory.path().to_owned(), false);
        assert_eq!(
            refresh(&mut source, &Live::new(Subject::NamespaceMaps, Arc::default())),
            Retry::WhenChanged
        );
        let in_use = source.maps.values().filter(|map| map.in_use.is_some()).count();
        assert_eq!(in_use as u64, count);
        let last = source.maps.values().last().and_then(|map| map.error.clone()).unwrap();
        assert!(last.ends_with("the maps of namespaces are larger than 67108864 bytes"), "{last}");
    }
}
