//! What the benchmarks have in common.

use std::time::Duration;

use criterion::Criterion;
use mimalloc::MiMalloc;

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Criterion with times short enough that each benchmark file ends within two minutes; the flags
/// of `cargo bench -- …` still win.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}
