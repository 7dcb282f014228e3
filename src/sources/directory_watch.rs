//! A watch on a directory that survives the directory.
//!
//! The kubelet changes a volume by exchanging the symbolic link `..data` in it, which a watch on a
//! file behind the link does not see. So the directory is watched, not the file. When the directory
//! itself is removed and made again, the watch is made again too.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tracing::debug;

/// Tells of changes in one directory.
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
    /// Watches nothing until [`renew`](Self::renew).
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), changes: Arc::new(Notify::new()), active: None }
    }

    /// Makes sure that the directory that is there now is watched; false when it cannot be.
    pub(super) fn renew(&mut self) -> bool {
        let identity =
            fs::metadata(&self.directory).map(|metadata| (metadata.dev(), metadata.ino()));
        let identity = match identity {
            Ok(identity) => identity,
            Err(error) => {
                debug!(directory = %self.directory.display(), %error, "cannot watch");
                self.active = None;
                return false;
            }
        };
        if self.active.as_ref().is_none_or(|active| active.identity != identity) {
            self.active = match self.watch() {
                Ok(watcher) => Some(Active { _watcher: watcher, identity }),
                Err(error) => {
                    debug!(directory = %self.directory.display(), %error, "cannot watch");
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

    /// Forgets the changes so far, because the next look sees them all.
    pub(super) async fn forget_changes(&self) {
        // A stored permit is taken by the first poll; without one there is nothing to wait for.
        tokio::select! {
            biased;
            () = self.changes.notified() => {}
            () = std::future::ready(()) => {}
        }
    }

    fn watch(&self) -> notify::Result<RecommendedWatcher> {
        let changes = self.changes.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Looking at the files makes access events; to follow them would never end.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                changes.notify_one();
            }
        })?;
        watcher.watch(&self.directory, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }
}
