//! Hints that something may have changed: watches on the objects that matter.
//!
//! What changed does not matter: whoever is given a hint looks at everything. So a watch needs no
//! state, and what it misses while it is broken is caught when it is made again.

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use kube::{
    Api, Resource,
    api::{WatchEvent, WatchParams},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::call::reason;

/// How long a watch lasts before it is made again, in seconds: just under the five minutes after
/// which clients and proxies in between tend to end it.
const WATCH_SECONDS: u32 = 290;

/// How long to wait for an event before the connection counts as dead.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 10);

/// How long to wait before a watch is made again; it is short, because a watch that is there is what
/// tells that the API server is back.
const PAUSE: Duration = Duration::from_secs(2);

/// Wakes whoever keeps the objects right.
#[derive(Clone, Debug, Default)]
pub struct Hints(Arc<Notify>);

impl Hints {
    /// Says that something may have changed.
    pub fn give(&self) {
        self.0.notify_one();
    }

    /// Waits for a hint; those that were given meanwhile count as one.
    pub async fn taken(&self) {
        self.0.notified().await;
    }

    /// Gives a hint whenever the object `name` changes, until `stop` is cancelled.
    pub(super) async fn watch<K>(&self, api: Api<K>, name: &str, stop: &CancellationToken)
    where
        K: Clone + Debug + DeserializeOwned + Resource<DynamicType = ()>,
    {
        stop.run_until_cancelled(async {
            let mut last_failure = None;
            loop {
                let failure = self.follow(&api, name).await.err();
                if failure.is_some() && failure != last_failure {
                    let error = failure.as_deref();
                    warn!(kind = %K::kind(&()), name, error, "cannot watch");
                }
                last_failure = failure;
                sleep(PAUSE).await;
            }
        })
        .await;
    }

    /// One watch, until it ends. It begins with the object as it is, which is a hint too.
    async fn follow<K>(&self, api: &Api<K>, name: &str) -> Result<(), String>
    where
        K: Clone + Debug + DeserializeOwned + Resource<DynamicType = ()>,
    {
        let parameters = WatchParams::default()
            .fields(&format!("metadata.name={name}"))
            .timeout(WATCH_SECONDS)
            .disable_bookmarks();
        let events = timeout(PAUSE * 5, api.watch_metadata(&parameters, "0")).await;
        let events = events.map_err(|_| "no answer".to_owned())?;
        let mut events = Box::pin(events.map_err(|error| reason(&error))?);
        loop {
            let event = timeout(SILENCE, events.try_next()).await;
            match event.map_err(|_| "no event, nor an end".to_owned())? {
                Ok(Some(WatchEvent::Error(status))) => return Err(status.message),
                Ok(Some(_)) => self.give(),
                Ok(None) => return Ok(()),
                Err(error) => return Err(reason(&error)),
            }
        }
    }
}
