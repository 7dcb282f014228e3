//! Watches on objects of the cluster, whose events wake up the controller.
//!
//! The content of an event does not matter, because a reconcile reads everything. So a watch needs no state. Each start
//! of a watch wakes up the controller too, and the reconcile finds what has changed in between, such as a deletion, which
//! a new watch does not report.

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

use super::call::{reason, shorten};
use crate::log_once::LogOnce;

/// Time after which a watch is started again, in seconds. It is just under five minutes, after which clients and
/// proxies often close idle connections.
const WATCH_SECONDS: u32 = 290;

/// Timeout for an event, after which the connection counts as dead.
pub const WATCH_TIMEOUT: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 10);

/// Timeout for the answer that starts a watch, as for other calls.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay before a watch is started again. It is short, because the first event shows that the API server is back.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// The error that ended a watch.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    /// The API server refused or ended the watch.
    #[error("{0}")]
    Failed(String),
    /// The API server did not answer.
    #[error("no answer")]
    NoAnswer,
    /// Neither an event nor the end of the watch came in time.
    #[error("watch timed out without an event")]
    TimedOut,
}

/// Wakes up the controller.
#[derive(Clone, Debug, Default)]
pub struct Wakeup(Arc<Notify>);

impl Wakeup {
    /// Sends a wake-up.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits for a wake-up; several in the meantime count as one.
    pub async fn woken(&self) {
        self.0.notified().await;
    }

    /// Sends a wake-up whenever the object `name` changes, until `stop` is cancelled.
    pub async fn watch<K>(&self, api: Api<K>, name: &str, stop: &CancellationToken)
    where
        K: Clone + Debug + DeserializeOwned + Resource<DynamicType = ()>,
    {
        stop.run_until_cancelled(async {
            let mut log_once = LogOnce::default();
            loop {
                match self.follow(&api, name).await {
                    Ok(()) => log_once.reset(),
                    Err(error) if log_once.is_new(&error.to_string()) => {
                        warn!(kind = %K::kind(&()), name, %error, "watch failed; retrying");
                    }
                    Err(_) => {}
                }
                sleep(RETRY_DELAY).await;
            }
        })
        .await;
    }

    /// Follows one watch until it ends. Sends a wake-up when it has started, and for each event.
    async fn follow<K>(&self, api: &Api<K>, name: &str) -> Result<(), WatchError>
    where
        K: Clone + Debug + DeserializeOwned + Resource<DynamicType = ()>,
    {
        let parameters = WatchParams::default()
            .fields(&format!("metadata.name={name}"))
            .timeout(WATCH_SECONDS)
            .disable_bookmarks();
        let events = timeout(START_TIMEOUT, api.watch_metadata(&parameters, "0")).await;
        let events = events.map_err(|_| WatchError::NoAnswer)?;
        let mut events = Box::pin(events.map_err(|error| WatchError::Failed(reason(&error)))?);
        self.wake();
        loop {
            let event = timeout(WATCH_TIMEOUT, events.try_next()).await;
            match event.map_err(|_| WatchError::TimedOut)? {
                Ok(Some(WatchEvent::Error(status))) => {
                    return Err(WatchError::Failed(shorten(&status.message)));
                }
                Ok(Some(_)) => self.wake(),
                Ok(None) => return Ok(()),
                Err(error) => return Err(WatchError::Failed(reason(&error))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use k8s_openapi::api::core::v1::Secret;
    use kube::{Client, Config};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn a_watch_that_reports_nothing_wakes_up_the_controller_when_it_starts() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let read = stream.read(&mut [0; 4096]).await.unwrap();
            assert!(read > 0);
            let answer =
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            stream
        };
        let client = Client::try_from(Config::new(url.parse().unwrap())).unwrap();
        let (api, wakeup) = (Api::<Secret>::namespaced(client, "n"), Wakeup::default());
        let (_stream, ended) = tokio::join!(server, wakeup.follow(&api, "s"));
        ended.unwrap();
        timeout(START_TIMEOUT, wakeup.woken()).await.unwrap();
    }
}
