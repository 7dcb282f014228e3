//! The images that were seen recently, so that a warm-up can ask for them.

use std::{
    hash::{Hash, Hasher},
    sync::{Mutex, PoisonError, TryLockError},
};

use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashMap};

/// Maximum length of an image that is remembered, in bytes: a name of 255, a tag of 129 and a digest of 136 fit.
const MAX_IMAGE_BYTES: usize = 640;

/// Maximum length of a namespace, in bytes.
const MAX_NAMESPACE_BYTES: usize = 63;

/// The last images that were seen, each with its namespace.
#[derive(Debug)]
pub(super) struct Recent {
    capacity: usize,
    /// Held for one probe of the table, or, rarely, for the removal of old images.
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The images, each with the number of its last sight. At most twice the capacity.
    images: HashMap<Owned, u64, RandomState>,
    next: u64,
}

/// An image and its namespace.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Owned {
    image: Box<str>,
    namespace: Box<str>,
}

/// An image and its namespace, borrowed from a review.
#[derive(Clone, Copy)]
struct Borrowed<'a> {
    image: &'a str,
    namespace: &'a str,
}

impl Hash for Owned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrowed { image: &self.image, namespace: &self.namespace }.hash(state);
    }
}

impl Hash for Borrowed<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.image.hash(state);
        self.namespace.hash(state);
    }
}

impl Equivalent<Owned> for Borrowed<'_> {
    fn equivalent(&self, key: &Owned) -> bool {
        *self.image == *key.image && *self.namespace == *key.namespace
    }
}

impl Recent {
    /// Remembers nothing yet, and at most `capacity` images.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, seen: Mutex::default() }
    }

    /// Remembers an image. Waits for nobody: if another thread is just remembering one, this one is left out.
    pub(super) fn add(&self, image: &str, namespace: &str) {
        if image.len() > MAX_IMAGE_BYTES || namespace.len() > MAX_NAMESPACE_BYTES {
            return;
        }
        let mut seen = match self.seen.try_lock() {
            Ok(seen) => seen,
            // Each access leaves the table consistent, so a poisoned lock can be used.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let Seen { images, next } = &mut *seen;
        *next += 1;
        if let Some(last) = images.get_mut(&Borrowed { image, namespace }) {
            *last = *next;
            return;
        }
        images.insert(Owned { image: image.into(), namespace: namespace.into() }, *next);
        if images.len() > self.capacity.saturating_mul(2) {
            // Old images are removed by the half, so that the cost is spread over many new ones.
            let mut sights: Vec<_> = images.values().copied().collect();
            sights.sort_unstable_by(|a, b| b.cmp(a));
            let oldest = self.capacity.checked_sub(1).and_then(|last| sights.get(last)).copied();
            images.retain(|_, sight| oldest.is_some_and(|oldest| *sight >= oldest));
        }
    }

    /// Returns the images with their namespaces, the last one first.
    pub(super) fn list(&self) -> Vec<(String, String)> {
        let mut images: Vec<_> = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.images.iter().map(|(image, &sight)| (sight, image.clone())).collect()
        };
        images.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        let images = images.into_iter().take(self.capacity);
        images.map(|(_, image)| (image.image.into(), image.namespace.into())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_distinct_and_the_last_one_is_first() {
        let recent = Recent::new(3);
        for (image, namespace) in
            [("a", "x"), ("b", "x"), ("a", "y"), ("b", "x"), ("c", "x"), ("a", "x")]
        {
            recent.add(image, namespace);
        }
        let expected = [("a", "x"), ("c", "x"), ("b", "x")];
        let expected = expected.map(|(image, namespace)| (image.to_owned(), namespace.to_owned()));
        assert_eq!(recent.list(), expected);
    }

    #[test]
    fn images_are_bounded_in_number_and_length() {
        for capacity in [0, 1, 2, 1_000] {
            let recent = Recent::new(capacity);
            for number in 0..10_000 {
                recent.add(&format!("a:{number}"), "x");
                assert!(recent.seen.lock().unwrap().images.len() <= 2 * capacity);
            }
            let expected: Vec<_> = (10_000 - capacity..10_000)
                .rev()
                .map(|number| (format!("a:{number}"), "x".to_owned()))
                .collect();
            assert_eq!(recent.list(), expected);
        }
        let recent = Recent::new(8);
        recent.add(&"a".repeat(MAX_IMAGE_BYTES + 1), "x");
        recent.add("a", &"x".repeat(64));
        assert_eq!(recent.list(), []);
    }
}
