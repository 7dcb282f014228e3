//! Searches everything that a webhook prints for secrets: its log at the level DEBUG, and its pages.
//!
//! The search runs after each step. It knows the keys and tokens that the test made, and the keys that the
//! webhooks stored in Secrets.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    mem::take,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use support::secrets::Secrets;

use crate::{Cluster, api::number, install::SECRETS, install::data};

/// The keys of a Secret of the webhook that hold private keys.
const PRIVATE_KEYS: [&str; 5] =
    ["key.pem", "tls.key", "pending-key.pem", "rootca-key.pem", "next-rootca-key.pem"];

/// What one process has said so far.
pub(crate) type Said = Arc<Mutex<Vec<u8>>>;

thread_local! {
    /// What was gathered on the thread of a test, which is the one that makes keys and starts
    /// processes.
    static GATHERED: RefCell<Gathered> = RefCell::default();
}

#[derive(Default)]
struct Gathered {
    keys: BTreeSet<String>,
    tokens: BTreeSet<String>,
    said: Vec<Said>,
}

/// Takes down a private key that the test has made, in PEM.
pub(crate) fn keep_key(key: &str) {
    GATHERED.with_borrow_mut(|gathered| gathered.keys.insert(key.to_owned()));
}

/// Takes down a token that the test has been given.
pub(crate) fn keep_token(token: &str) {
    GATHERED.with_borrow_mut(|gathered| gathered.tokens.insert(token.to_owned()));
}

/// The place for what a new process says.
pub(crate) fn listen() -> Said {
    let said = Said::default();
    GATHERED.with_borrow_mut(|gathered| gathered.said.push(said.clone()));
    said
}

impl Cluster {
    /// The version of the Secrets now, for `assert_discreet`.
    pub(crate) fn secrets_now(&self) -> u64 {
        self.api.now(SECRETS)
    }

    /// Fails when a process has said a secret that was made by the test, or stored since a version of
    /// the Secrets. Forgets what processes have said that have ended.
    pub(crate) fn assert_discreet(&self, since: u64) {
        for secret in self.secrets_since(since) {
            for name in PRIVATE_KEYS {
                let key = data(&secret, name).and_then(|key| String::from_utf8(key).ok());
                // Some tests store what is no key.
                if let Some(key) = key.filter(|key| pem::parse(key).is_ok()) {
                    keep_key(&key);
                }
            }
        }
        GATHERED.with_borrow_mut(|gathered| {
            let mut secrets = Secrets::new();
            gathered.keys.iter().for_each(|key| secrets.add_key("a key", key));
            gathered.tokens.iter().for_each(|token| secrets.add_token("a token", token));
            let mut looked_at = 0;
            for said in take(&mut gathered.said) {
                let text = said.lock().unwrap();
                let found = secrets.found_in(&text);
                assert!(found.is_empty(), "{found:?} in {}", String::from_utf8_lossy(&text));
                looked_at += text.len();
                drop(text);
                if Arc::strong_count(&said) > 1 {
                    gathered.said.push(said);
                }
            }
            let (keys, tokens) = (gathered.keys.len(), gathered.tokens.len());
            eprintln!("      none of {keys} keys and {tokens} tokens in {looked_at} bytes");
        });
    }

    /// Each state that a Secret of the webhook has had since a version, as far as the API server
    /// knows, and what it is now.
    fn secrets_since(&self, since: u64) -> Vec<Value> {
        let list = self.api.get(SECRETS).unwrap();
        assert!(number(&list) >= since);
        let mut secrets = list["items"].as_array().unwrap().clone();
        // One that has started in between does not know.
        if let Ok(history) = self.api.try_history(SECRETS, since) {
            secrets.extend(history.into_iter().map(|version| version.object));
        }
        secrets
    }
}
