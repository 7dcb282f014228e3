//! The content of a file that was read last.

use std::hash::{BuildHasher, RandomState};

/// Remembers the content of a file that was read last, whether it could be used or not.
///
/// Only its length and a hash are kept: the content itself would keep the text of a large map in memory. Another
/// content of the same length has the same hash with a probability of 2^-64, because the key of the hash is random.
#[derive(Debug, Default)]
pub(super) struct LastContent {
    hasher: RandomState,
    fingerprint: Option<(usize, u64)>,
}

impl LastContent {
    /// Records a content. Returns true if it is another one than before.
    pub(super) fn replace(&mut self, content: &[u8]) -> bool {
        let fingerprint = Some((content.len(), self.hasher.hash_one(content)));
        std::mem::replace(&mut self.fingerprint, fingerprint) != fingerprint
    }

    /// Forgets the content, so that the next one counts as another.
    pub(super) fn forget(&mut self) {
        self.fingerprint = None;
    }

    /// Returns true if no content is known.
    pub(super) fn is_unknown(&self) -> bool {
        self.fingerprint.is_none()
    }
}
