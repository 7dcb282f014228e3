//! A watch on a directory that may be removed and created again.
//!
//! The kubelet changes a volume by replacing the symbolic link `..data` in it. A watch on a file behind the link does
//! not see this, so the directory is watched, not the file. If the directory itself is removed and created again, so is
//! the watch.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::ModifyKind};
use tokio::sync::Notify;
use tracing::debug;

use crate::log_once::LogOnce;

/// Watches one directory for changes.
#[derive(Debug)]
pub(super) struct DirectoryWatch {
    directory: PathBuf,
    changes: Arc<Notify>,
    active: Option<Active>,
    log_once: LogOnce,
}

#[derive(Debug)]
struct Active {
    _watcher: RecommendedWatcher,
    identity: Identity,
    /// True if the directory was removed or renamed. The system reuses inodes, so a directory that takes its place may
    /// have the same identity, and the watch would be on nothing.
    is_lost: Arc<AtomicBool>,
}

impl Active {
    fn is_on(&self, identity: Identity) -> bool {
        self.identity == identity && !self.is_lost.load(Ordering::Relaxed)
    }
}

/// The device and the inode of a directory.
type Identity = (u64, u64);

impl DirectoryWatch {
    /// Creates a watch that is not active until [`renew`](Self::renew).
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            changes: Arc::new(Notify::new()),
            active: None,
            log_once: LogOnce::default(),
        }
    }

    /// Makes sure that the present directory is watched. Returns false if it cannot be watched.
    pub(super) fn renew(&mut self) -> bool {
        let identity =
            fs::metadata(&self.directory).map(|metadata| (metadata.dev(), metadata.ino()));
        let identity = match identity {
            Ok(identity) => identity,
            Err(error) => {
                self.log(&error);
                self.active = None;
                return false;
            }
        };
        if self.active.as_ref().is_none_or(|active| !active.is_on(identity)) {
            self.active = match self.watch(identity) {
                Ok(active) => {
                    self.log_once.reset();
                    Some(active)
                }
                Err(error) => {
                    self.log(&error);
                    None
                }
            };
        }
        self.active.is_some()
    }

    /// Logs why the directory cannot be watched, unless it was for the same reason before. An optional directory may not
    /// exist for as long as the process runs.
    fn log(&mut self, error: &impl ToString) {
        let error = error.to_string();
        if self.log_once.is_new(&error) {
            debug!(directory = %self.directory.display(), error, "directory cannot be watched");
        }
    }

    /// Waits for a change.
    pub(super) async fn changed(&self) {
        self.changes.notified().await;
    }

    /// Discards the changes so far, because the next load reads all of them.
    pub(super) async fn forget_changes(&self) {
        // The first poll takes a stored permit, if there is one. The other branch is ready at once.
        tokio::select! {
            biased;
            () = self.changes.notified() => {}
            () = std::future::ready(()) => {}
        }
    }

    fn watch(&self, identity: Identity) -> notify::Result<Active> {
        let is_lost = Arc::new(AtomicBool::new(false));
        let (changes, directory) = (self.changes.clone(), self.directory.clone());
        let lost = is_lost.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.as_ref().is_ok_and(|event| is_end_of(event, &directory)) {
                lost.store(true, Ordering::Relaxed);
            }
            // Reading the files causes access events. Each load would trigger the next one if they counted.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                changes.notify_one();
            }
        })?;
        watcher.watch(&self.directory, RecursiveMode::NonRecursive)?;
        Ok(Active { _watcher: watcher, identity, is_lost })
    }
}

/// Returns true if the directory itself was removed or renamed.
fn is_end_of(event: &Event, directory: &Path) -> bool {
    let is_end =
        matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
    is_end && event.paths.iter().any(|path| path == directory)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_directory_that_is_recreated_is_watched_again() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("maps");
        fs::create_dir(&directory).unwrap();
        let mut watch = DirectoryWatch::new(&directory);
        // The new directory often has the inode of the old one, but not always.
        for _ in 0..10 {
            assert!(watch.renew());
            watch.forget_changes().await;
            fs::remove_dir(&directory).unwrap();
            fs::create_dir(&directory).unwrap();
            let removed = tokio::time::timeout(Duration::from_secs(10), watch.changed()).await;
            removed.expect("the removal is an event");
            assert!(watch.renew());
            watch.forget_changes().await;
            fs::write(directory.join("map"), "default::").unwrap();
            let written = tokio::time::timeout(Duration::from_secs(10), watch.changed()).await;
            written.expect("the write to the new directory is an event");
            fs::remove_file(directory.join("map")).unwrap();
        }
    }
}
