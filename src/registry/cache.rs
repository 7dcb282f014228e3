//! The cache of answers: which image is known to be present, absent or unknown, and until when.
//!
//! It knows neither registries nor checks. An answer that has expired stays until another one needs its place, but is
//! never returned.

use std::time::Duration;

use foldhash::fast::RandomState;
use quick_cache::{
    OptionsBuilder, UnitWeighter,
    sync::{Cache, DefaultLifecycle},
};
use tokio::time::Instant;

use super::{
    check::{Checked, MAX_RETRY_AFTER, Presence},
    target::Target,
};

/// Time for which an image counts as present: 10 minutes.
///
/// Registries rarely delete images that are in use. If one does, the pod fails as it would without verification, until
/// the answer expires. A shorter time would ask for each image of a busy cluster again and again.
const PRESENT_FOR: Duration = Duration::from_mins(10);

/// Time for which an image counts as absent: 30 seconds.
///
/// Somebody may be copying the image just now, and the next pods should use it. A rollout creates its pods within a few
/// seconds, so that one question still serves all of them.
const ABSENT_FOR: Duration = Duration::from_secs(30);

/// Time for which an image stays unknown without another question: 10 seconds, or as the registry says.
///
/// The image is swapped meanwhile. Most outages that a retry survives are shorter, and a registry that refuses its
/// credentials is not asked for the same image with each pod.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// Maximum length of a target in bytes. A name of 255, a tag of 129 and a digest of 136 fit; the grammar alone would also
/// allow digests of 4 KiB.
const MAX_TARGET_BYTES: usize = 640;

/// Number of shards of the cache, each with a lock of its own. A power of two, so that the capacity is exact.
const SHARDS: usize = 8;

/// The known answers, in a bounded number. All methods can be called at the same time.
///
/// A lookup takes the lock of one shard, shared with other lookups, for as long as one probe of a hash table. The bytes
/// are bounded too, because targets have a maximum length: with 10,000 answers some 2 MB, and 8 MB in the worst case.
#[derive(Debug)]
pub(super) struct Answers(Cache<Target, Known, UnitWeighter, RandomState>);

/// A known answer.
#[derive(Clone, Copy, Debug)]
struct Known {
    presence: Presence,
    expires_at: Instant,
}

impl Answers {
    /// Creates an empty cache for as many answers, rounded down to a multiple of eight, and at least eight.
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = (capacity / SHARDS).max(1) * SHARDS;
        // The options are complete, so that building them cannot fail; the plain constructor has more shards.
        let hasher = RandomState::default();
        let lifecycle = DefaultLifecycle::default();
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(capacity)
            .weight_capacity(capacity as u64)
            .build();
        Self(match options {
            Ok(options) => Cache::with_options(options, UnitWeighter, hasher, lifecycle),
            Err(_) => Cache::with(capacity, capacity as u64, UnitWeighter, hasher, lifecycle),
        })
    }

    /// Returns true if the target is short enough for the cache.
    pub(super) fn accepts(target: &Target) -> bool {
        let length = target.registry().len() + target.repository().len() + target.reference().len();
        length <= MAX_TARGET_BYTES
    }

    /// Returns the presence of an image; `None` if it is not known, or no longer.
    pub(super) fn find(&self, target: &Target) -> Option<Presence> {
        let known = self.0.get(target)?;
        (Instant::now() < known.expires_at).then_some(known.presence)
    }

    /// Adds the result of a check. The least useful answer makes room for it.
    pub(super) fn insert(&self, target: Target, checked: &Checked, now: Instant) {
        let presence = checked.result.presence();
        let lifetime = match presence {
            Presence::Present => PRESENT_FOR,
            Presence::Absent => ABSENT_FOR,
            Presence::Unknown => {
                checked.retry_after.unwrap_or_default().clamp(UNKNOWN_FOR, MAX_RETRY_AFTER)
            }
        };
        self.0.insert(target, Known { presence, expires_at: now + lifetime });
    }

    /// Returns the number of answers, also of those that have expired.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::CheckResult;

    fn target(image: &str) -> Target {
        Target::parse(image).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_known_for_a_time_that_depends_on_it() {
        for (result, retry_after, seconds) in [
            (CheckResult::Present, None, 600),
            (CheckResult::Present, Some(1), 600),
            (CheckResult::Absent, None, 30),
            (CheckResult::TimedOut, None, 10),
            (CheckResult::Unreachable, None, 10),
            (CheckResult::Refused, None, 10),
            (CheckResult::Invalid, None, 10),
            (CheckResult::ServerError, None, 10),
            (CheckResult::Unavailable, Some(60), 60),
            (CheckResult::RateLimited, Some(0), 10),
            (CheckResult::RateLimited, Some(299), 299),
            (CheckResult::RateLimited, Some(86_400), 300),
        ] {
            let answers = Answers::new(8);
            let target = target("h.io/a:1");
            let retry_after = retry_after.map(Duration::from_secs);
            let checked = Checked { retry_after, ..Checked::new(result) };
            answers.insert(target.clone(), &checked, Instant::now());
            tokio::time::advance(Duration::from_millis(seconds * 1000 - 1)).await;
            assert_eq!(answers.find(&target), Some(result.presence()), "{result:?}");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(answers.find(&target), None, "{result:?}");
        }
    }

    #[test]
    fn the_longest_images_are_short_enough() {
        let longest_tag = format!("h.io/{}:{}", "a".repeat(250), "b".repeat(128));
        let sha512 = format!("h.io/{}@sha512:{}", "a".repeat(250), "0".repeat(128));
        for image in [longest_tag, sha512] {
            assert!(Answers::accepts(&target(&image)), "{image}");
        }
    }

    #[test]
    fn the_cache_keeps_to_its_bound() {
        for (capacity, bound) in [(0, 8), (15, 8), (10_000, 10_000)] {
            let answers = Answers::new(capacity);
            let present = Checked::new(CheckResult::Present);
            let now = Instant::now();
            let mut found = 0;
            for number in 0..50_000 {
                let target = target(&format!("h.io/a:{number}"));
                answers.insert(target.clone(), &present, now);
                found += usize::from(answers.find(&target).is_some());
                assert!(answers.len() <= bound, "{} of {bound}", answers.len());
            }
            // A new answer is known, so that the next review finds it.
            assert_eq!((answers.len(), found), (bound, 50_000));
        }
    }
}
