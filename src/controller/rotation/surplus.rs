//! Delays the removal of roots from the webhook configuration.

use std::time::{Duration, Instant};

use super::PROPAGATION_DELAY;
use crate::tls::Roots;

/// Time for which a surplus root stays in the configuration.
///
/// It is longer than a replica takes to learn of a change, also if its watch breaks or its machine stops for a minute.
const REMOVAL_DELAY: Duration = PROPAGATION_DELAY.saturating_mul(3);

/// Maximum time between two observations without a gap: the delay, and that of a retry after a failure.
const MAX_GAP: Duration = REMOVAL_DELAY.saturating_mul(2);

/// The roots in the configuration that the state of the rotation does not name.
///
/// Removing a root is the only write that can interrupt calls: another replica may serve a certificate under it, which this
/// one does not know because it has read the Secrets too early, or because a client has put back an old copy of one. So
/// a root is removed only after this replica has found it surplus for 90 s. Until then, a replica that
/// needs it names it among the previous roots; see [`Action::Retain`](super::Action::Retain).
#[derive(Debug, Default)]
pub struct SurplusRoots {
    roots: Roots,
    /// Time since which all of them have been found.
    since: Option<Instant>,
    /// Time at which they were found last.
    seen: Option<Instant>,
    /// True if they were kept.
    is_kept: bool,
}

impl SurplusRoots {
    /// Returns the roots for the configuration in which `found` were read, and which needs the `wanted` ones.
    pub fn keep(&mut self, found: &Roots, wanted: &Roots, now: Instant) -> Roots {
        let surplus = found.without(wanted);
        // A replica that was cut off has not seen what happened in between.
        let is_gap = self.seen.is_none_or(|seen| now - seen > MAX_GAP);
        if is_gap || !self.roots.contains_all(&surplus) {
            self.since = None;
        }
        self.seen = Some(now);
        self.since = (!surplus.is_empty()).then(|| self.since.unwrap_or(now));
        self.roots = surplus;
        self.is_kept = self.since.is_some_and(|since| now - since < REMOVAL_DELAY);
        if !self.is_kept {
            return wanted.clone();
        }
        // In the order of the configuration, because a change of the order alone would cause a write.
        let mut kept = found.clone();
        kept.add(wanted);
        kept
    }

    /// Returns the time until the roots that were kept may be removed; `None` if none were kept.
    #[must_use]
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let since = self.since.filter(|_| self.is_kept)?;
        Some(REMOVAL_DELAY.saturating_sub(now - since))
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::tls::Authority;

    #[test]
    fn a_root_is_removed_after_it_was_surplus_without_a_gap_for_the_delay() {
        let [wanted, first, second] =
            [(); 3].map(|()| Authority::generate(OffsetDateTime::now_utc()).unwrap().root());
        let all = |all: &[&Roots]| {
            let mut roots = Roots::default();
            for root in all {
                roots.add(root);
            }
            roots
        };
        let (mut surplus, begin) = (SurplusRoots::default(), Instant::now());
        let whole = REMOVAL_DELAY.as_secs();
        // The last value is the time until the removal; `None` if the surplus roots are not kept.
        for (second_of_test, found, left) in [
            (0, vec![&wanted], None),
            (10, vec![&first, &wanted], Some(whole)),
            (35, vec![&wanted, &first], Some(whole - 25)),
            (36, vec![&first, &second], Some(whole)),
            (50, vec![&second, &wanted], Some(whole - 14)),
            (36 + whole, vec![&second, &wanted], None),
            (37 + whole, vec![&second, &wanted], None),
            (38 + whole, vec![&wanted], None),
            (39 + whole, vec![&second, &wanted], Some(whole)),
            (40 + 4 * whole, vec![&second, &wanted], Some(whole)),
        ] {
            let now = begin + Duration::from_secs(second_of_test);
            let kept = if left.is_some() {
                [found.clone(), vec![&wanted]].concat()
            } else {
                vec![&wanted]
            };
            assert_eq!(surplus.keep(&all(&found), &wanted, now), all(&kept), "{second_of_test}");
            assert_eq!(surplus.left(now), left.map(Duration::from_secs), "{second_of_test}");
        }
    }
}
