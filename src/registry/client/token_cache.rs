//! The authorizations that registries have accepted.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::authorization::Authorization;
use crate::registry::target::Target;

/// Maximum number of authorizations. With tokens of the maximum length, they take 8 MB; most have 1 or 2 KB.
const MAX_ENTRIES: usize = 512;

/// Authorizations by registry and repository, until shortly before their expiry.
#[derive(Default)]
pub(super) struct TokenCache(Mutex<HashMap<Key, Authorization>>);

/// A registry and a repository.
type Key = (Box<str>, Box<str>);

impl TokenCache {
    /// Returns the authorization for the repository of an image.
    pub(super) fn find(&self, target: &Target) -> Option<Authorization> {
        let entries = self.entries();
        entries.get(&key(target)).filter(|found| found.expires() > Instant::now()).cloned()
    }

    /// Adds the authorization for the repository of an image. If there are too many, the first to expire goes.
    pub(super) fn insert(&self, target: &Target, authorization: Authorization) {
        let mut entries = self.entries();
        let now = Instant::now();
        if entries.len() >= MAX_ENTRIES {
            entries.retain(|_, authorization| authorization.expires() > now);
        }
        if entries.len() >= MAX_ENTRIES {
            let first = entries.iter().min_by_key(|(_, authorization)| authorization.expires());
            if let Some(first) = first.map(|(key, _)| key.clone()) {
                entries.remove(&first);
            }
        }
        entries.insert(key(target), authorization);
    }

    /// Removes the authorization for the repository of an image.
    pub(super) fn remove(&self, target: &Target) {
        self.entries().remove(&key(target));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Authorization>> {
        // Each change is complete, so the map is right even after a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(target: &Target) -> Key {
    (target.registry().into(), target.repository().into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_authorization_is_kept_until_its_expiry_and_within_the_limit() {
        let cache = TokenCache::default();
        let target = |number: usize| Target::parse(&format!("h.io/a{number}:1")).unwrap();
        let authorization =
            |seconds| Authorization::new("Bearer t", Duration::from_secs(seconds)).unwrap();
        cache.insert(&target(0), authorization(0));
        assert!(cache.find(&target(0)).is_none());
        for number in 1..=MAX_ENTRIES {
            cache.insert(&target(number), authorization(1000 + number as u64));
        }
        assert!(cache.find(&target(1)).is_some());
        cache.insert(&target(0), authorization(3000));
        assert!(cache.find(&target(1)).is_none(), "the first to expire");
        assert!(cache.find(&target(2)).is_some());
        assert_eq!(cache.entries().len(), MAX_ENTRIES);
        assert!(cache.find(&Target::parse("h.io/a2:2").unwrap()).is_some(), "another tag");
        assert!(cache.find(&Target::parse("i.io/a2:1").unwrap()).is_none(), "another registry");
        cache.remove(&target(2));
        assert!(cache.find(&target(2)).is_none());
    }
}
