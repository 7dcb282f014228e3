//! The webhook in production: a whole node of Kubernetes runs the image, installed as docs/install.md says.
//!
//! `.ci/node` provides the programs, and runs the tests in namespaces of their own. The node is a machine of its own in
//! a small network: its processes, mounts and links are in further namespaces, so that it can lose its power. The tests
//! are outside, like an administrator and the registries. The steps share the node, in the order of the table.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "prints the steps and their results")]

mod certificates;
mod dns;
mod events;
mod hello;
mod helm;
mod identities;
mod images;
mod installation;
mod kill;
mod log;
mod node;
mod outage;
mod pods;
mod registry;
mod rollouts;
mod stream;
mod verified;

use std::{
    env,
    fmt::Debug,
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use support::wait::eventually_blocking;

use node::Node;

/// Environment variable with the folder of programs and images, which `tests/node/assets` prints.
const ASSETS: &str = "IMAGESWAP_NODE_ASSETS";

/// Environment variable that selects the steps of the smoke test.
const SMOKE: &str = "IMAGESWAP_NODE_SMOKE";

/// Timeout for each wait of a step. The kubelet takes up to 90 seconds to update a ConfigMap.
const DEADLINE: Duration = Duration::from_mins(4);

/// A step: its name, its function, and the tests that it is part of.
type Step = (&'static str, fn(&Node), Part);

/// The tests that a step is part of.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Part {
    /// The smoke test, and all tests.
    Smoke,
    /// All tests.
    Full,
}

#[test]
fn node() {
    let Some(assets) = env::var_os(ASSETS) else {
        // Directly to the standard error, because the test harness hides the output of a test that passes.
        let written = writeln!(
            std::io::stderr(),
            "the node test is SKIPPED: {ASSETS} is not set; run .ci/node, which makes a node"
        );
        return written.unwrap();
    };
    let begun = Instant::now();
    let node = Node::start(&PathBuf::from(assets));
    eprintln!("node: {} started in {} ms", node.version(), begun.elapsed().as_millis());
    let smoke = env::var_os(SMOKE).is_some();
    let ordinary = [installation::STEPS, images::STEPS, rollouts::STEPS, certificates::STEPS];
    let steps = [
        &ordinary.concat(),
        kill::STEPS,
        outage::STEPS,
        verified::STEPS,
        installation::LAST_STEPS,
        helm::STEPS,
    ];
    let mut count = 0;
    for (number, (name, step, part)) in steps.concat().into_iter().enumerate() {
        if smoke && part != Part::Smoke {
            continue;
        }
        let begun = Instant::now();
        eprintln!("node: {name}");
        step(&node);
        let warnings = node.print_new_warnings();
        if number < ordinary.concat().len() {
            let failed = warnings.iter().find(|warning| warning.contains("probe failed"));
            assert_eq!(failed, None, "nobody has killed a replica so far");
        }
        node.check_logs();
        eprintln!("node: {name}: {} ms", begun.elapsed().as_millis());
        count += 1;
    }
    eprintln!("node: {count} steps passed in {} s", begun.elapsed().as_secs());
}

/// Repeats `probe` until it succeeds. Fails with the last error after [`DEADLINE`].
fn eventually<T, E: Debug>(what: &str, probe: impl FnMut() -> Result<T, E>) -> T {
    eventually_blocking(what, DEADLINE, probe)
}

/// Returns the found value as the error if it is not the expected one.
fn expect(found: String, expected: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(found) }
}

/// Prints the time of a part of a step.
fn print_time(what: &str, begun: Instant) {
    eprintln!("      {what} after {} ms", begun.elapsed().as_millis());
}
