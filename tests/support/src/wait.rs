//! Waits for a condition, with a deadline.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

/// Timeout for each step of a test, such as a request or a wait.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Interval between two probes.
const INTERVAL: Duration = Duration::from_millis(10);

/// Probes until there is a value, and returns the value.
///
/// # Panics
/// If the deadline passes.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Probes until there is no error, and returns the value. Blocks the thread.
///
/// # Panics
/// With the last error, if `deadline` passes.
pub fn eventually_blocking<T, E: Debug>(
    what: &str,
    deadline: Duration,
    mut probe: impl FnMut() -> Result<T, E>,
) -> T {
    let begun = Instant::now();
    loop {
        match probe() {
            Ok(found) => return found,
            Err(error) if begun.elapsed() > deadline => {
                panic!("{what}: not within {deadline:?}: {error:?}");
            }
            Err(_) => thread::sleep(INTERVAL),
        }
    }
}
