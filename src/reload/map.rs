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
    file::{read_regular_up_to, read_up_to},
    health::Health,
    metrics::{Metrics, ReloadResult},
    rules::{CompileError, Diagnostics, LoadedMap, MAX_MAP_BYTES, Policy, RuleSet, Severity},
    server::PolicySlot,
};

/// The most diagnostics of a map that are logged one by one.
const MAX_LOGGED_DIAGNOSTICS: usize = 20;

/// Loads the map file into the policy slot.
#[derive(Debug)]
pub struct MapSource {
    file: PathBuf,
    directory: PathBuf,
    strict: bool,
    policy: PolicySlot,
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

fn within_limit(file: &Path, read: io::Result<Option<Vec<u8>>>) -> Result<Vec<u8>, MapError> {
    match read {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err(MapError::TooLarge { file: file.to_owned() }),
        Err(reason) => Err(MapError::Unreadable { file: file.to_owned(), reason }),
    }
}

fn to_text(file: &Path, content: Vec<u8>) -> Result<String, MapError> {
    String::from_utf8(content).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let line = 1 + memchr::memchr_iter(b'\n', &error.as_bytes()[..offset]).count();
        MapError::NoText { file: file.to_owned(), line, offset }
    })
}

impl MapSource {
    /// Will load `file` into `policy`; with `strict` a map with any error is refused.
    #[must_use]
    pub fn new(
        file: PathBuf,
        strict: bool,
        policy: PolicySlot,
        health: Arc<Health>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            directory: directory_of(&file),
            file,
            strict,
            policy,
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

    fn consequence(&self) -> &'static str {
        if self.policy.load().is_some() {
            "the last good one stays in use"
        } else {
            "there is none yet, so the webhook is not ready"
        }
    }

    fn apply(&mut self, map: LoadedMap) {
        let LoadedMap { rules, diagnostics } = map;
        log_diagnostics(&self.file, &diagnostics);
        let errors = diagnostics.count(Severity::Error);
        let refusal = if self.strict && errors > 0 {
            Some("it has errors, and IMAGESWAP_STRICT_MAPS is set")
        } else if rules.rules().is_empty() && errors > 0 {
            // Such a file is no map at all; to apply it would swap nothing from now on.
            Some("not one of its lines is a rule")
        } else {
            None
        };
        if let Some(refusal) = refusal {
            warn!(
                file = %self.file.display(), errors,
                "the map is refused: {refusal}; {}", self.consequence()
            );
            self.metrics.map_reload(ReloadResult::Refused);
            self.health.map.failed(&format!("{} is refused: {refusal}", self.file.display()));
            return;
        }
        let previous = self.policy.load_full();
        let changes = match previous.as_deref() {
            Some(Policy::Maps(previous)) => Changes::between(previous, &rules),
            _ => Changes { added: rules.rules().len(), ..Changes::default() },
        };
        self.metrics.map_applied(&rules, &diagnostics);
        self.policy.store(Some(Arc::new(Policy::Maps(Box::new(rules)))));
        self.metrics.map_reload(ReloadResult::Applied);
        self.health.map.ready();
        info!(
            file = %self.file.display(),
            added = changes.added, removed = changes.removed, changed = changes.changed,
            errors, warnings = diagnostics.count(Severity::Warning),
            "map loaded"
        );
    }
}

impl Source for MapSource {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn reload(&mut self) -> Freshness {
        let read = read_regular_up_to(&self.file, MAX_MAP_BYTES as u64);
        let content = match within_limit(&self.file, read) {
            Ok(content) => content,
            Err(error) => {
                self.failed(&error);
                return Freshness::Stale;
            }
        };
        let fingerprint = (content.len(), self.hasher.hash_one(&content));
        if self.last_content == Some(fingerprint) {
            self.last_failure = None;
            return Freshness::Fresh;
        }
        self.last_content = Some(fingerprint);
        let map = to_text(&self.file, content).and_then(|text| {
            LoadedMap::from_text(&text)
                .map_err(|reason| MapError::Compile { file: self.file.clone(), reason })
        });
        match map {
            Ok(map) => {
                self.last_failure = None;
                self.apply(map);
            }
            Err(error) => self.failed(&error),
        }
        Freshness::Fresh
    }
}

fn log_diagnostics(file: &Path, diagnostics: &Diagnostics) {
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
