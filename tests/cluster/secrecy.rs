//! Searches all output of the webhooks for secrets: the log at the level DEBUG, and the pages.
//!
//! The search runs after each step. It knows the keys and tokens of the test, and the keys that the webhooks stored in
//! Secrets.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    mem::take,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use support::{api::number, secrets::Secrets};

use crate::{Cluster, install::SECRETS, install::data};

/// The entries of the webhook's Secrets that hold private keys.
const PRIVATE_KEYS: [&str; 8] = [
    "key.pem",
    "tls.key",
    "pending-key.pem",
    "replaced-key.pem",
    "replaced-tls.key",
    "replaced-rootca-key.pem",
    "rootca-key.pem",
    "next-rootca-key.pem",
];

/// The output of one process so far.
pub(crate) type Output = Arc<Mutex<Vec<u8>>>;

thread_local! {
    /// The records of the thread of a test, which creates keys and starts processes.
    static RECORDED: RefCell<Recorded> = RefCell::default();
}

#[derive(Default)]
struct Recorded {
    keys: BTreeSet<String>,
    tokens: BTreeSet<String>,
    output: Vec<Output>,
}

/// Records a private key of the test, in PEM.
pub(crate) fn record_key(key: &str) {
    RECORDED.with_borrow_mut(|recorded| recorded.keys.insert(key.to_owned()));
}

/// Records a token of the test.
pub(crate) fn record_token(token: &str) {
    RECORDED.with_borrow_mut(|recorded| recorded.tokens.insert(token.to_owned()));
}

/// Creates the record for the output of a new process.
pub(crate) fn record_output() -> Output {
    let output = Output::default();
    RECORDED.with_borrow_mut(|recorded| recorded.output.push(output.clone()));
    output
}

impl Cluster {
    /// Returns the current version of the Secrets, for `assert_no_secrets_printed`.
    pub(crate) fn secrets_now(&self) -> u64 {
        self.api.now(SECRETS)
    }

    /// Fails if the output of a process contains a secret of the test, or one that was stored since a version of the
    /// Secrets. Removes the records of processes that have exited.
    pub(crate) fn assert_no_secrets_printed(&self, since: u64) {
        for secret in self.secrets_since(since) {
            for name in PRIVATE_KEYS {
                let key = data(&secret, name).and_then(|key| String::from_utf8(key).ok());
                // Some tests store invalid keys.
                if let Some(key) = key.filter(|key| pem::parse(key).is_ok()) {
                    record_key(&key);
                }
            }
        }
        RECORDED.with_borrow_mut(|recorded| {
            let mut secrets = Secrets::new();
            recorded.keys.iter().for_each(|key| secrets.add_key("a key", key));
            recorded.tokens.iter().for_each(|token| secrets.add_token("a token", token));
            let mut searched = 0;
            for output in take(&mut recorded.output) {
                let text = output.lock().unwrap();
                let found = secrets.found_in(&text);
                assert!(found.is_empty(), "{found:?} in {}", String::from_utf8_lossy(&text));
                searched += text.len();
                drop(text);
                if Arc::strong_count(&output) > 1 {
                    recorded.output.push(output);
                }
            }
            let (keys, tokens) = (recorded.keys.len(), recorded.tokens.len());
            eprintln!("      none of {keys} keys and {tokens} tokens in {searched} bytes");
        });
    }

    /// Returns the current Secrets of the webhook, and their states since a version, as far as the API server knows
    /// them.
    fn secrets_since(&self, since: u64) -> Vec<Value> {
        let list = self.api.get(SECRETS).unwrap();
        assert!(number(&list) >= since);
        let mut secrets = list["items"].as_array().unwrap().clone();
        // An API server that has restarted since then does not know the version.
        if let Ok(history) = self.api.try_history(SECRETS, since) {
            secrets.extend(history.into_iter().map(|version| version.object));
        }
        secrets
    }
}
