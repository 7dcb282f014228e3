//! Hot reload: files that change under the running process.
//!
//! A [`Source`] knows how to load one thing; [`keep_fresh`] says when. Events of the file system are
//! only hints: what counts is the content, compared with what was loaded last. A bad change keeps
//! the last good state, is logged once, and counted.

mod clients;
mod map;
mod tls;
mod watch;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use tracing::error;

pub(crate) use self::map::to_text as decode_map;
use self::watch::DirectoryWatch;
pub use self::{
    clients::ClientAuthoritySource,
    map::{
        BUILT_IN_MAP, MapError, MapFileSettings, MapSource, load_map, load_regular_map,
        log_diagnostics, read_map,
    },
    tls::CertificateSource,
};

/// Something that is loaded from files of one directory.
pub trait Source: Send + 'static {
    /// The directory to watch.
    fn directory(&self) -> &Path;

    /// Loads the files if they have changed. Runs on a thread that may block.
    fn reload(&mut self) -> Freshness;
}

/// Whether what is loaded is what the files hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Freshness {
    /// The files could be read, and what they hold is in use or was refused for good.
    Fresh,
    /// The files could not be read; trying again soon may help.
    Stale,
}

/// When to look at the files.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long to wait after an event, for others of the same change.
    pub debounce: Duration,
    /// How long to wait without an event.
    pub poll: Duration,
    /// How long to wait after a failure, or when the directory cannot be watched.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            // The kubelet exchanges a volume by a handful of calls within milliseconds.
            debounce: Duration::from_millis(250),
            // A lost event is caught well within the minute that the kubelet itself takes.
            poll: Duration::from_secs(30),
            // Often enough to be ready soon after a late mount.
            retry: Duration::from_secs(1),
        }
    }
}

/// Loads `source` now and whenever its directory changes, until `stop` is cancelled.
pub async fn keep_fresh(mut source: impl Source, timing: Timing, stop: CancellationToken) {
    let mut watch = DirectoryWatch::new(source.directory());
    loop {
        // The watch comes before the look, so that no change falls between them.
        let is_watched = watch.renew();
        let loaded = tokio::task::spawn_blocking(move || {
            let freshness = source.reload();
            (source, freshness)
        });
        // A load that hangs, as on a dead network volume, does not keep the process from ending.
        let Some(loaded) = stop.run_until_cancelled(loaded).await else { return };
        let freshness;
        (source, freshness) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                // A panic takes the source with it; the task ends, and with it the process.
                error!(%error, "a reload failed");
                return;
            }
        };
        let patience =
            if is_watched && freshness == Freshness::Fresh { timing.poll } else { timing.retry };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(patience) => {}
            () = watch.changed() => {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(timing.debounce) => watch.forget_changes().await,
                }
            }
        }
    }
}

/// The directory of a file, for watching.
fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.to_owned(),
        _ => PathBuf::from("."),
    }
}
