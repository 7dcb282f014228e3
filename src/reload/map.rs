//! The map file.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing::{info, warn};

use super::{Freshness, Source, directory_of};
use crate::{
    admission::{Scope, World},
    file::{read_regular_up_to, read_up_to},
    health::Health,
    metrics::{MapOrigin, Metrics, ReloadResult},
    rules::{
        CompileError, Diagnostics, LoadedMap, MAX_MAP_BYTES, Policy, Refusal, RuleSet, Severity,
    },
    server::WorldSlot,
};

/// The most diagnostics of a map that are logged one by one.
const MAX_LOGGED_DIAGNOSTICS: usize = 20;

/// The map that is in use while there is no map file, where that is allowed: it leaves every image alone.
pub const BUILT_IN_MAP: &str = "default::";

/// The map file to follow, and the requirements on it.
#[derive(Clone, Debug)]
pub struct MapFileSettings {
    /// The file.
    pub file: PathBuf,
    /// Refuses a map with any error.
    pub is_strict: bool,
    /// Uses [`BUILT_IN_MAP`] until there is a file.
    pub is_optional: bool,
}

/// Loads the map file into the slot of the world.
#[derive(Debug)]
pub struct MapSource {
    settings: MapFileSettings,
    directory: PathBuf,
    /// The origin of the map in use; `None` until one is loaded.
    in_use: Option<MapOrigin>,
    world: WorldSlot,
    /// The settings that decide beside the map.
    scope: Scope,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    hasher: RandomState,
    /// Length and hash of the content that was looked at last, applied or refused. The content itself
    /// would be a large map's text in memory for good. Another content of the same length has the same
    /// hash with a probability of 2^-64, under a key that nobody knows.
    last_content: Option<(usize, u64)>,
    /// The failure that was logged last, so that a lasting one is logged and counted once.
    last_failure: Option<String>,
}

/// Why a map file cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The file cannot be read.
    #[error("{file}: {reason}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// The file is too large.
    #[error("{file}: larger than {MAX_MAP_BYTES} bytes")]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// The file is no text.
    #[error("{file}:{line}: no UTF-8 text: byte {offset} of the file, from 0, is not valid")]
    NoText {
        /// The file.
        file: PathBuf,
        /// The line with the first bad byte, from 1.
        line: usize,
        /// The place of that byte in the file, from 0.
        offset: usize,
    },
    /// The file holds a map that is never applied.
    #[error("{file}: {reason}")]
    Refused {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: Refusal,
    },
    /// The rules do not compile.
    #[error("{file}: {reason}")]
    Compile {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: CompileError,
    },
}

/// Reads a map file as text.
///
/// # Errors
/// When the file cannot be read, is larger than [`MAX_MAP_BYTES`], or is no UTF-8.
pub fn read_map(file: &Path) -> Result<String, MapError> {
    to_text(file, within_limit(file, read_up_to(file, MAX_MAP_BYTES as u64))?)
}

/// Reads a map file, compiles it, and gathers what is wrong with it.
///
/// # Errors
/// As [`read_map`], and when the rules cannot be compiled.
pub fn load_map(file: &Path) -> Result<LoadedMap, MapError> {
    to_map(file, &read_map(file)?)
}

/// Loads a map as [`load_map`], but from a regular file only, which never makes the reader wait.
///
/// # Errors
/// As [`load_map`], and when the file is not a regular one.
pub fn load_regular_map(file: &Path) -> Result<LoadedMap, MapError> {
    let read = read_regular_up_to(file, MAX_MAP_BYTES as u64);
    to_map(file, &to_text(file, within_limit(file, read)?)?)
}

fn to_map(file: &Path, text: &str) -> Result<LoadedMap, MapError> {
    LoadedMap::from_file(&file.to_string_lossy(), text)
        .map_err(|reason| MapError::Compile { file: file.to_owned(), reason })
}

fn within_limit(file: &Path, read: io::Result<Option<Vec<u8>>>) -> Result<Vec<u8>, MapError> {
    match read {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err(MapError::TooLarge { file: file.to_owned() }),
        Err(reason) => Err(MapError::Unreadable { file: file.to_owned(), reason }),
    }
}

pub(crate) fn to_text(file: &Path, content: Vec<u8>) -> Result<String, MapError> {
    String::from_utf8(content).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let line = 1 + memchr::memchr_iter(b'\n', &error.as_bytes()[..offset]).count();
        MapError::NoText { file: file.to_owned(), line, offset }
    })
}

impl MapSource {
    /// Prepares to load the file of `settings` into `world`, with `scope` beside it.
    #[must_use]
    pub fn new(
        settings: MapFileSettings,
        world: WorldSlot,
        scope: Scope,
        health: Arc<Health>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            directory: directory_of(&settings.file),
            settings,
            in_use: None,
            world,
            scope,
            health,
            metrics,
            hasher: RandomState::new(),
            last_content: None,
            last_failure: None,
        }
    }

    fn failed(&mut self, error: &MapError) {
        let failure = error.to_string();
        if self.last_failure.as_ref() == Some(&failure) {
            return;
        }
        warn!(error = %failure, "the map could not be loaded; {}", self.consequence());
        self.metrics.map_reload(ReloadResult::Failed);
        self.health.map.failed(&failure);
        self.last_failure = Some(failure);
    }

    fn refused(&mut self, refusal: Refusal, errors: usize) {
        let file = self.settings.file.display();
        let reason = refusal.to_string();
        match self.in_use {
            Some(MapOrigin::File) => {
                warn!(%file, errors, reason, "map reload refused, keeping the last good map");
            }
            Some(MapOrigin::BuiltIn) => {
                warn!(%file, errors, reason, "map refused, keeping the built-in map");
            }
            None => warn!(%file, errors, reason, "map refused, no map in use"),
        }
        self.metrics.map_reload(ReloadResult::Refused);
        self.health.map.failed(&format!("{file} is refused: {refusal}"));
    }

    fn consequence(&self) -> &'static str {
        match self.in_use {
            Some(MapOrigin::File) => "the last good one stays in use",
            Some(MapOrigin::BuiltIn) => "the built-in map stays in use",
            None => "there is none yet, so the webhook is not ready",
        }
    }

    /// Uses the map unless it is refused.
    fn consider(&mut self, map: LoadedMap) {
        log_diagnostics(&self.settings.file, &map.diagnostics);
        let errors = map.diagnostics.count(Severity::Error);
        let previous = self.world.load_full();
        let previous = match previous.as_deref().map(|world| &world.policy) {
            Some(Policy::Maps(rules)) => Some(&**rules),
            Some(Policy::Legacy(_)) | None => None,
        };
        // The built-in map gives way to the first file as no map would.
        let replaced = previous.filter(|_| self.in_use == Some(MapOrigin::File));
        if let Some(refusal) = map.refusal(self.settings.is_strict, replaced) {
            return self.refused(refusal, errors);
        }
        let changes = match previous {
            Some(previous) => Changes::between(previous, &map.rules),
            None => Changes { added: map.rules.rules().len(), ..Changes::default() },
        };
        let warnings = map.diagnostics.count(Severity::Warning);
        self.apply(map, MapOrigin::File);
        info!(
            file = %self.settings.file.display(),
            added = changes.added, removed = changes.removed, changed = changes.changed,
            errors, warnings,
            "map loaded"
        );
    }

    fn apply(&mut self, map: LoadedMap, origin: MapOrigin) {
        self.in_use = Some(origin);
        self.metrics.map_applied(&map, origin);
        let policy = Policy::Maps(Box::new(map.rules));
        self.world.store(Some(Arc::new(World::new(policy, self.scope.clone()))));
        self.health.map.ready();
    }

    /// Puts the built-in map to use if the file is missing and optional, and no map of the file is in use. Returns true
    /// if the built-in map is in use.
    fn fall_back_to_built_in(&mut self, error: &MapError) -> bool {
        let is_missing = matches!(
            error,
            MapError::Unreadable { reason, .. } if reason.kind() == io::ErrorKind::NotFound
        );
        if !self.settings.is_optional || !is_missing || self.in_use == Some(MapOrigin::File) {
            return false;
        }
        if self.in_use.is_none() {
            let Ok(map) = LoadedMap::from_text(BUILT_IN_MAP) else { return false };
            warn!(
                file = %self.settings.file.display(), map = BUILT_IN_MAP,
                "no map file, using the built-in map"
            );
            self.apply(map, MapOrigin::BuiltIn);
        }
        true
    }
}

impl Source for MapSource {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn reload(&mut self) -> Freshness {
        let file = &self.settings.file;
        let read = read_regular_up_to(file, MAX_MAP_BYTES as u64);
        let content = match within_limit(file, read) {
            Ok(content) => content,
            Err(error) => {
                // What comes back is looked at again, also if it is what was there before.
                self.last_content = None;
                if self.fall_back_to_built_in(&error) {
                    self.last_failure = None;
                } else {
                    self.failed(&error);
                }
                return Freshness::Stale;
            }
        };
        let fingerprint = (content.len(), self.hasher.hash_one(&content));
        if self.last_content == Some(fingerprint) {
            self.last_failure = None;
            return Freshness::Fresh;
        }
        self.last_content = Some(fingerprint);
        let map = to_text(file, content).and_then(|text| to_map(file, &text));
        match map {
            Ok(map) => {
                self.last_failure = None;
                self.consider(map);
            }
            Err(error) => self.failed(&error),
        }
        Freshness::Fresh
    }
}

/// Logs the first diagnostics of a map, and how many more there are.
pub fn log_diagnostics(file: &Path, diagnostics: &Diagnostics) {
    for diagnostic in diagnostics.kept().iter().take(MAX_LOGGED_DIAGNOSTICS) {
        warn!(
            file = %file.display(), line = diagnostic.line,
            severity = diagnostic.severity().as_str(), code = diagnostic.code.as_str(),
            hint = diagnostic.hint, "{}", diagnostic.message
        );
    }
    let total = diagnostics.count(Severity::Error) + diagnostics.count(Severity::Warning);
    if total > MAX_LOGGED_DIAGNOSTICS {
        let more = total - MAX_LOGGED_DIAGNOSTICS;
        warn!(file = %file.display(), more, "more diagnostics; `imageswap check` lists them");
    }
}

/// How a map differs from the one before.
#[derive(Debug, Default, Eq, PartialEq)]
struct Changes {
    added: usize,
    removed: usize,
    changed: usize,
}

impl Changes {
    fn between(old: &RuleSet, new: &RuleSet) -> Self {
        let old: HashMap<_, _> = old.rules().iter().map(|rule| (&rule.key, &rule.target)).collect();
        let mut changes = Self::default();
        for rule in new.rules() {
            match old.get(&rule.key) {
                None => changes.added += 1,
                Some(target) if **target != rule.target => changes.changed += 1,
                Some(_) => {}
            }
        }
        changes.removed = old.len() + changes.added - new.rules().len();
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted_by_key() {
        let rules = |text: &str| LoadedMap::from_text(text).unwrap().rules;
        let old = rules("default::a.io\nx.io::1.io\ny.io::2.io");
        let new = rules("default::a.io\nx.io::3.io\nz.io::4.io\nw.io::");
        let expected = Changes { added: 2, removed: 1, changed: 1 };
        assert_eq!(Changes::between(&old, &new), expected);
    }
}
