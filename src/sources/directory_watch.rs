//! A watch on a directory that may be removed and created again.
//!
//! The kubelet changes a volume by replacing the symbolic link `..data` in it. A watch on a file behind the link does
//! not see this, so the directory is watched, not the file. If the directory itself is removed and created again, so is
//! the watch.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tracing::debug;

/// Watches one directory for changes.
#[derive(Debug)]
pub(super) struct DirectoryWatch {
    directory: PathBuf,
    changes: Arc<Notify>,
    active: Option<Active>,
}

#[derive(Debug)]
struct Active {
    _watcher: RecommendedWatcher,
    identity: Identity,
}

/// The device and the inode of a directory.
type Identity = (u64, u64);

impl DirectoryWatch {
    /// Creates a watch that is not active until [`renew`](Self::renew).
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), changes: Arc::new(Notify::new()), active: None }
    }

    /// Makes sure that the present directory is watched. Returns false if it cannot be watched.
    pub(super) fn renew(&mut self) -> bool {
        let identity =
            fs::metadata(&self.directory).map(|metadata| (metadata.dev(), metadata.ino()));
        let identity = match identity {
            Ok(identity) => identity,
            Err(error) => {
                debug!(directory = %self.directory.display(), %error, "directory cannot be watched");
                self.active = None;
                return false;
            }
        };
        if self.active.as_ref().is_none_or(|active| active.identity != identity) {
            self.active = match self.watch() {
                Ok(watcher) => Some(Active { _watcher: watcher, identity }),
                Err(error) => {
                    debug!(directory = %self.directory.display(), %error, "directory cannot be watched");
                    None
                }
            };
        }
        self.active.is_some()
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

    fn watch(&self) -> notify::Result<RecommendedWatcher> {
        let changes = self.changes.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Reading the files causes access events. Each load would trigger the next one if they counted.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                changes.notify_one();
            }
        })?;
        watcher.watch(&self.directory, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }
}
