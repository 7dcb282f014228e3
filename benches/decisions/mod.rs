//! What the benchmarks of decisions have in common.
//!
//! The images of a benchmark are spread over the whole map, a thousand of them in turn. With a
//! single image all that a decision touches would stay in the processor's first cache, and a
//! large map would look like a small one.

use std::hint::black_box;

use criterion::{BenchmarkGroup, BenchmarkId, measurement::WallTime};
use imageswap::rules::{MapFile, Reason, RuleSet};

/// The most images of one benchmark.
const MAX_IMAGES: usize = 1000;

/// Measures the decision over one image after the other, which must all have `reason`.
pub(crate) fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    set: &RuleSet,
    images: &[String],
    reason: Reason,
) {
    for image in images.iter().step_by(10) {
        assert_eq!(set.decide(image).reason, reason, "{image}");
    }
    group.bench_function(id, |bencher| {
        let mut images = images.iter().cycle();
        bencher.iter(|| set.decide(black_box(images.next().unwrap())));
    });
}

/// The rules of a map.
pub(crate) fn compiled(map: &str) -> RuleSet {
    RuleSet::compile(MapFile::parse(map).0).unwrap()
}

/// Images for numbers from 1 to `count`, evenly spread, in an order that is not that of the map.
pub(crate) fn spread(count: usize, image: impl Fn(usize) -> String) -> Vec<String> {
    let images = count.min(MAX_IMAGES);
    // A prime, so that each number comes once.
    (0..images).map(|index| image(1 + index * 7919 % images * (count / images))).collect()
}
