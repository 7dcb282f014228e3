//! Functions for the benchmarks of decisions.
//!
//! A benchmark uses up to a thousand images in turn, spread over the whole map. With a single image, all data of a
//! decision would stay in the first-level cache of the processor, and a large map would seem as fast as a small one.

use std::hint::black_box;

use criterion::{BenchmarkGroup, BenchmarkId, measurement::WallTime};
use imageswap::rules::{MapFile, Reason, RuleSet};

/// Maximum number of images in a benchmark.
const MAX_IMAGES: usize = 1000;

/// Measures decisions on one image after the other. All of them must have `reason`.
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

/// Compiles a map.
pub(crate) fn compiled(map: &str) -> RuleSet {
    RuleSet::compile(MapFile::parse(map).0).unwrap()
}

/// Returns images for numbers from 1 to `count`, evenly spread, in another order than in the map.
pub(crate) fn spread(count: usize, image: impl Fn(usize) -> String) -> Vec<String> {
    let images = count.min(MAX_IMAGES);
    // The factor is a prime, so each number occurs once.
    (0..images).map(|index| image(1 + index * 7919 % images * (count / images))).collect()
}
