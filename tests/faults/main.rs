//! Faults: the real program under adverse conditions, and the effect on its clients.
//!
//! Each test causes one fault, mostly under ordinary traffic, and reports requests, memory and open files;
//! `docs/reliability.md` has the table. The tests run one after the other, because they measure.
//! `IMAGESWAP_FAULTS=full` increases all numbers (`.ci/faults`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod certificates;
mod churn;
#[cfg(feature = "faketime")]
mod clock;
mod descriptors;
mod floods;
mod frames;
mod holding;
mod maps;
mod namespaces;
mod process;
mod restarts;
mod slow;
mod traffic;

use std::{
    fmt::Display,
    io::{Write, stdout},
};

use imageswap::server::Limits;
use tokio::sync::{Mutex, MutexGuard};

/// Waits until no other test of this program runs.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    let alone = ALONE.lock().await;
    // The clients need as many open files as the server has connections.
    let _ = imageswap::server::open_files::fit(Limits::default(), false);
    alone
}

/// Returns `full` if the full tests are requested, and `ordinary` otherwise.
fn scaled(ordinary: usize, full: usize) -> usize {
    let asked = std::env::var("IMAGESWAP_FAULTS");
    if asked.is_ok_and(|asked| asked == "full") { full } else { ordinary }
}

/// Prints the results, even if the test succeeds.
fn report(test: &str, seen: impl Display) {
    writeln!(stdout().lock(), "{test}: {seen}").unwrap();
}
