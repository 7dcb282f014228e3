//! The distinct differences between the map in use and the candidate map, with their counts.
//!
//! Reviews record here without a lock, and the memory is bounded: the first hundred are kept, and
//! further ones are only counted. The record belongs to a pair of maps; another map begins a new record.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::{Comparison, Difference};
use crate::rules::SwappedImage;

/// Maximum number of distinct differences that are kept. People read the first few, then fix the candidate map.
const MAX_KEPT: usize = 100;

/// Maximum length in bytes of each image of a difference that is kept: longer than a name, a tag and a digest together.
/// It bounds the record to less than 300 KiB.
const MAX_IMAGE_BYTES: usize = 600;

/// The distinct differences of a candidate map from the map in use.
#[derive(Debug)]
pub struct Differences {
    kept: Box<[OnceLock<KeptDifference>]>,
    others: AtomicU64,
}

/// A difference that is kept.
#[derive(Debug)]
pub struct KeptDifference {
    /// The image in the object.
    pub from: Box<str>,
    /// The image by the map in use.
    pub to: Box<str>,
    /// The image by the candidate map.
    pub candidate: Box<str>,
    /// The rule of the candidate map that applies, as `FILE:LINE`, if any.
    pub rule: Option<Box<str>>,
    count: AtomicU64,
}

impl Differences {
    /// Adds the differences of a review.
    pub fn record(&self, comparison: &Comparison<'_>) {
        for difference in &comparison.differences {
            self.add(difference);
        }
    }

    /// Returns the differences that are kept, in the order of their first occurrence.
    pub fn kept(&self) -> impl Iterator<Item = &KeptDifference> {
        self.kept.iter().map_while(OnceLock::get)
    }

    /// Returns the number of images with other differences.
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others.load(Ordering::Relaxed)
    }

    fn add(&self, difference: &Difference<'_>) {
        let mut new = KeptDifference::new(difference);
        if new.longest() <= MAX_IMAGE_BYTES {
            for slot in &self.kept {
                if slot.get().is_none() {
                    match slot.set(new) {
                        Ok(()) => return,
                        Err(rejected) => new = rejected,
                    }
                }
                if let Some(kept) = slot.get().filter(|kept| kept.is_same(&new)) {
                    kept.count.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
        self.others.fetch_add(1, Ordering::Relaxed);
    }
}

impl Default for Differences {
    fn default() -> Self {
        Self { kept: (0..MAX_KEPT).map(|_| OnceLock::new()).collect(), others: AtomicU64::new(0) }
    }
}

impl KeptDifference {
    /// Returns the number of images with this difference.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn new(difference: &Difference<'_>) -> Self {
        let Difference { from, to, candidate, rule, .. } = difference;
        let result = |swapped: &Option<SwappedImage<'_>>| match swapped {
            Some(image) => image.to_string().into(),
            None => Box::from(*from),
        };
        Self {
            from: Box::from(*from),
            to: result(to),
            candidate: result(candidate),
            rule: rule.map(|rule| rule.location().to_string().into()),
            count: AtomicU64::new(1),
        }
    }

    /// Returns the length of the longest image in bytes.
    fn longest(&self) -> usize {
        self.from.len().max(self.to.len()).max(self.candidate.len())
    }

    fn is_same(&self, other: &Self) -> bool {
        self.from == other.from && self.to == other.to && self.candidate == other.candidate
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::admission::{AdmissionSettings, Review, World, plan};
    use crate::rules::{LoadedMap, Policy};

    fn world() -> World {
        let map = |text| LoadedMap::from_text(text).unwrap().rules;
        let policy = Policy::Maps(Box::new(map("default::d.io")));
        let candidate = Some(map("default::d.io\nquay.io::q.io\nghcr.io::")).into();
        World { candidate, ..World::new(policy, AdmissionSettings::default()) }
    }

    fn record(world: &World, differences: &Differences, image: &str) {
        let review = format!(
            r#"{{"request":{{"uid":"1","kind":{{"kind":"Pod"}},"operation":"CREATE","object":
                {{"spec":{{"containers":[{{"name":"a","image":"{image}"}}]}}}}}}}}"#
        );
        let review = Review::from_slice(review.as_bytes()).unwrap();
        differences.record(&plan(&review, world).comparison);
    }

    #[test]
    fn equal_differences_are_kept_once_and_counted() {
        let (world, differences) = (world(), Differences::default());
        for image in ["quay.io/a", "ghcr.io/b", "nginx", "quay.io/a"] {
            record(&world, &differences, image);
        }
        let kept = differences.kept();
        let kept: Vec<_> =
            kept.map(|it| (&*it.from, &*it.to, &*it.candidate, it.count())).collect();
        assert_eq!(
            kept,
            [("quay.io/a", "d.io/a", "q.io/a", 2), ("ghcr.io/b", "d.io/b", "ghcr.io/b", 1)]
        );
        assert_eq!(differences.kept().next().and_then(|it| it.rule.as_deref()), Some(":2"));
    }

    #[test]
    fn further_and_long_differences_are_only_counted() {
        let (world, differences) = (world(), Differences::default());
        record(&world, &differences, &format!("quay.io/a:{}", "1".repeat(MAX_IMAGE_BYTES)));
        assert_eq!((differences.kept().count(), differences.others()), (0, 1));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for number in 0..MAX_KEPT + 5 {
                        record(&world, &differences, &format!("quay.io/a:{number}"));
                    }
                });
            }
        });
        assert_eq!(differences.kept().count(), MAX_KEPT);
        let total: u64 = differences.kept().map(KeptDifference::count).sum();
        assert_eq!(total + differences.others(), 2 * (MAX_KEPT as u64 + 5) + 1);
        let mut seen: Vec<_> = differences.kept().map(|it| &it.from).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), MAX_KEPT);
    }
}
