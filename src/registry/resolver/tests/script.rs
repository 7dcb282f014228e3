//! A registry client that follows a script, and records how it is used.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::registry::{Check, CheckFuture, CheckResult, Checked, Presence, Target};

/// A client whose answer follows from the first segment of the repository.
#[derive(Debug)]
pub(super) struct Script {
    /// The answer of a registry that knows the image.
    presence: Presence,
    uses: Arc<Mutex<Uses>>,
}

/// The uses of a client.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    running: HashMap<String, usize>,
    /// Maximum number of checks of one target, of one registry, and of all, at the same time.
    pub(super) most: [usize; 3],
    /// Number of checks of each target.
    pub(super) checks: HashMap<String, usize>,
}

impl Script {
    pub(super) fn new(presence: Presence) -> Arc<Self> {
        Arc::new(Self { presence, uses: Arc::default() })
    }

    pub(super) fn uses(&self) -> Uses {
        self.uses.lock().unwrap().clone()
    }

    /// Returns the number of all checks.
    pub(super) fn checks(&self) -> usize {
        self.uses().checks.values().sum()
    }
}

impl Check for Script {
    fn check<'a>(&'a self, target: &'a Target) -> CheckFuture<'a> {
        let kind = target.repository().split('/').next().unwrap();
        if kind == "panic-at-once" {
            unwind();
        }
        Box::pin(async move {
            let number = begin(&self.uses, target);
            let _running = Running { uses: Arc::clone(&self.uses), target };
            let (delay, result) = match kind {
                "fast" => (0, None),
                "slow" => (200, None),
                "slower" => (2_000, None),
                "never" => (1_000_000_000, None),
                "unreachable" => (50, Some(CheckResult::Unreachable)),
                "flapping" if number % 2 == 1 => (5, Some(CheckResult::ServerError)),
                "flapping" | "panic" => (5, None),
                "limited" => (5, Some(CheckResult::RateLimited)),
                "refused" => (5, Some(CheckResult::Refused)),
                kind => panic!("no such kind: {kind}"),
            };
            tokio::time::sleep(Duration::from_millis(delay)).await;
            if kind == "panic" {
                unwind();
            }
            let retry_after = (kind == "limited").then_some(Duration::from_secs(100));
            let known = match self.presence {
                Presence::Absent => CheckResult::Absent,
                Presence::Present => CheckResult::Present,
                Presence::Unknown => CheckResult::Invalid,
            };
            let detail = "as the script says".to_owned();
            Checked { result: result.unwrap_or(known), detail, retry_after }
        })
    }
}

/// Panics without a message on the terminal.
fn unwind() {
    std::panic::resume_unwind(Box::new("as the script says"));
}

/// A check that runs. It ends when it is dropped.
struct Running<'a> {
    uses: Arc<Mutex<Uses>>,
    target: &'a Target,
}

/// Records the begin of a check. Returns its number for this target.
fn begin(uses: &Mutex<Uses>, target: &Target) -> usize {
    let mut uses = uses.lock().unwrap();
    let Uses { running, most, checks } = &mut *uses;
    for (key, most) in keys(target).into_iter().zip(most) {
        let count = running.entry(key).or_default();
        *count += 1;
        *most = (*most).max(*count);
    }
    let checks = checks.entry(target.to_string()).or_default();
    *checks += 1;
    *checks
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut uses = self.uses.lock().unwrap();
        for key in keys(self.target) {
            *uses.running.get_mut(&key).unwrap() -= 1;
        }
    }
}

fn keys(target: &Target) -> [String; 3] {
    [target.to_string(), target.registry().to_owned(), String::new()]
}
