//! Files that the process follows at run time.
//!
//! A [`Source`] loads one value. [`keep_fresh`] decides when to load, and publishes the result in a [`Live`] value.
//! Events of the file system only trigger a load, which compares the content with the last one. After a bad change, the
//! last good value stays in use. This module writes no file, and does not decide what a value means.

mod candidate_map;
mod certificate_files;
mod client_ca;
mod directory_watch;
mod followed_file;
mod last_content;
mod map;
mod map_file;
mod namespace_maps;
mod registry_file;
mod sites;
mod webhook_template;

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use self::directory_watch::DirectoryWatch;
pub use self::{
    candidate_map::CandidateMapSource,
    certificate_files::CertificateFiles,
    client_ca::ClientCaSource,
    followed_file::FollowedFile,
    map::{BUILT_IN_MAP, MapFileSettings, MapSource, log_diagnostics, map_load},
    map_file::{FileError, decode_text, load_map, load_namespace_map, load_regular_map, read_map},
    namespace_maps::{NamespaceMapFiles, NamespaceMapsSource},
    registry_file::RegistryFileSource,
    sites::{SitesSource, built_in_sites, read_sites},
    webhook_template::TemplateSource,
};
use crate::state::{Live, Load, LoadError, Retry};

/// A value that is loaded from files of one directory.
pub trait Source: Send + 'static {
    /// Type of the value.
    type Value: Send + Sync + 'static;

    /// Returns the directory to watch.
    fn directory(&self) -> &Path;

    /// Loads the files if they have changed; `live` holds the value in use. Runs on a thread that may block.
    ///
    /// # Errors
    /// If the files cannot be read, or their content must not be used.
    fn load(&mut self, live: &Live<Self::Value>) -> Result<Loaded<Self::Value>, LoadError>;

    /// Returns the time of the next load after a successful one.
    fn next_load(&self) -> Retry {
        Retry::WhenChanged
    }
}

/// The result of a load.
#[derive(Debug)]
pub enum Loaded<T> {
    /// The files hold the value in use.
    InUse,
    /// The files hold a new value.
    New(T, Load),
    /// The files have not changed since the last load, whatever its result.
    Unchanged,
}

/// The times between loads.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Debounce: time to wait after an event for others of the same change.
    pub debounce: Duration,
    /// Time after which the files are loaded without an event.
    pub poll: Duration,
    /// Retry delay after a failure, or if the directory cannot be watched.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            // The kubelet replaces a volume by a handful of calls within milliseconds.
            debounce: Duration::from_millis(250),
            // A lost event is caught well within the minute that the kubelet itself takes.
            poll: Duration::from_secs(30),
            // Short enough to become ready quickly after a late mount.
            retry: Duration::from_secs(1),
        }
    }
}

/// Loads `source` into `live` now and whenever its directory changes, until `stop` is cancelled.
pub async fn keep_fresh<S: Source>(
    mut source: S,
    live: Arc<Live<S::Value>>,
    timing: Timing,
    stop: CancellationToken,
) {
    let mut watch = DirectoryWatch::new(source.directory());
    loop {
        // The watch starts before the load, so that no change is missed between them.
        let is_watched = watch.renew();
        let target = live.clone();
        let refreshed = tokio::task::spawn_blocking(move || {
            let retry = refresh(&mut source, &target);
            (source, retry)
        });
        // A load that hangs, as on a dead network volume, must not block the shutdown.
        let Some(refreshed) = stop.run_until_cancelled(refreshed).await else { return };
        let retry;
        // `refresh` catches panics, so the only error left is the shutdown of the runtime.
        let Ok(refreshed) = refreshed else { return };
        (source, retry) = refreshed;
        let wait =
            if is_watched && retry == Retry::WhenChanged { timing.poll } else { timing.retry };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            () = watch.changed() => {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(timing.debounce) => watch.forget_changes().await,
                }
            }
        }
    }
}

/// Loads `source` into `live` once, and returns the time of the next load. A panic of the source is a failed load.
pub fn refresh<S: Source>(source: &mut S, live: &Live<S::Value>) -> Retry {
    let loaded = catch_unwind(AssertUnwindSafe(|| source.load(live))).unwrap_or_else(|panic| {
        let reason = panic_message(&*panic);
        Err(LoadError::transient(format_args!("the loader panicked: {reason}")))
    });
    match loaded {
        Ok(Loaded::InUse) => live.confirm(),
        Ok(Loaded::New(value, load)) => live.publish(value, load),
        Ok(Loaded::Unchanged) => {}
        Err(error) => {
            live.fail(&error);
            return error.retry();
        }
    }
    source.next_load()
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Returns the directory of a file, for watching.
fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        origin::Origin,
        state::{HasStatus, Subject, Summary},
    };

    /// A source that panics on its first load.
    struct Panicking {
        loads: u32,
    }

    impl Source for Panicking {
        type Value = u32;

        fn directory(&self) -> &Path {
            Path::new(".")
        }

        fn load(&mut self, _live: &Live<u32>) -> Result<Loaded<u32>, LoadError> {
            self.loads += 1;
            assert!(self.loads > 1, "load {} went wrong", self.loads);
            Ok(Loaded::New(self.loads, Load::new(Origin::BuiltIn, Summary::WebhookTemplate)))
        }
    }

    #[tokio::test]
    async fn a_panic_of_a_loader_is_a_failed_load_and_the_next_load_succeeds() {
        let live = Arc::new(Live::new(Subject::WebhookTemplate, Arc::default()));
        let mut source = Panicking { loads: 0 };
        assert_eq!(refresh(&mut source, &live), Retry::AfterDelay);
        let error = "the loader panicked: load 1 went wrong";
        assert_eq!(live.status().last_error.as_deref(), Some(error));
        let stop = CancellationToken::new();
        let timing = Timing { retry: Duration::from_millis(1), ..Timing::default() };
        let following =
            tokio::spawn(keep_fresh(Panicking { loads: 0 }, live.clone(), timing, stop.clone()));
        let loaded = async {
            while live.load().is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), loaded).await.unwrap();
        assert_eq!(live.load_full().as_deref(), Some(&2));
        stop.cancel();
        following.await.unwrap();
    }
}
