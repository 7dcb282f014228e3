//! Configuration of the benchmarks.

use std::time::Duration;

use criterion::Criterion;
use mimalloc::MiMalloc;

/// Allocator of the program.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Returns Criterion with times so short that each benchmark file takes less than two minutes. Flags of
/// `cargo bench -- …` override them.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}
