//! The webhook in a cluster: a real control plane on loopback calls the real program, and what is
//! asserted on are the objects as they are stored.
//!
//! `.ci/cluster` gets the control plane and runs this. It is one test, because its steps
//! share one control plane and change the map; each leaves the first map and webhook in use.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "tells the steps and why a test failed")]

mod certificates;
mod control_plane;
mod objects;
mod steps;
mod webhook;

use std::{
    fmt::Debug,
    io::Write,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use control_plane::{ControlPlane, parsed};
use objects::{images, pod_of};
use webhook::{Files, LABEL, Webhook, rule};

/// Names the folder with the programs of the control plane, as `tests/cluster/assets` prints it.
const ASSETS: &str = "IMAGESWAP_CLUSTER_ASSETS";

/// The longest that a step may wait for anything.
const DEADLINE: Duration = Duration::from_mins(1);

/// The namespace whose objects are swapped.
const SWAPPED: &str = "swapped";

/// The namespace without the label.
const PLAIN: &str = "plain";

/// The map that each step begins and ends with.
const MAP: &str = "default::one.example.com";

/// Another map.
const OTHER_MAP: &str = "default::two.example.com";

#[test]
fn the_webhook_in_a_cluster() {
    let Some(assets) = std::env::var_os(ASSETS) else {
        // Straight to the standard error, because the output of a test that passes is not shown.
        let told = writeln!(
            std::io::stderr(),
            "the cluster test is SKIPPED: {ASSETS} is not set; run .ci/cluster, which gets a \
             control plane"
        );
        return told.unwrap();
    };
    let cluster = Cluster::start(Path::new(&assets));
    for (name, step) in STEPS {
        let begun = Instant::now();
        eprintln!("step: {name}");
        step(&cluster);
        eprintln!("      {} ms", begun.elapsed().as_millis());
    }
    assert!(cluster.webhook.complaints().is_empty(), "{:?}", cluster.webhook.complaints());
}

/// What a step does, on the cluster that all share.
type Step = fn(&Cluster);

const STEPS: &[(&str, Step)] = &[
    ("the administrator has a certificate and a token", steps::administrators),
    ("all images of a pod are swapped", steps::pod),
    ("a namespace without the label is left alone", steps::other_namespace),
    ("a pod with the disable label is left alone", steps::disable_label),
    ("the pods of a Deployment are swapped, and its template is not", steps::deployment),
    ("templates are swapped, and applying them again changes nothing", steps::templates),
    ("a new label leaves the images of a stored pod", steps::label_of_a_stored_pod),
    ("a new image of one container is swapped alone", steps::image_of_a_stored_pod),
    ("an ephemeral container is swapped alone", steps::ephemeral_container),
    ("no creation fails while the map changes", steps::creations_while_the_map_changes),
    ("no creation fails while one instance takes over from another", steps::takeover),
];

/// The control plane with the webhook, and the files that the webhook serves with.
struct Cluster {
    control_plane: ControlPlane,
    files: Files,
    webhook: Webhook,
}

impl Cluster {
    fn start(assets: &Path) -> Self {
        let begun = Instant::now();
        let control_plane = ControlPlane::start(assets);
        let version = parsed(&control_plane.kubectl(&["version", "-o=json"]));
        let version = version["serverVersion"]["gitVersion"].as_str().unwrap();
        eprintln!("Kubernetes {version} started in {} ms", begun.elapsed().as_millis());
        control_plane.create_namespace(SWAPPED, &json!({ LABEL: "enabled" }));
        control_plane.create_namespace(PLAIN, &json!({}));
        let files = Files::new(MAP);
        let webhook = Webhook::start(&files);
        let rules = json!([rule("", &["pods", "pods/ephemeralcontainers"])]);
        control_plane.create(&files.configuration("imageswap-webhook", webhook.address(), &rules));
        let cluster = Self { control_plane, files, webhook };
        cluster.await_swap_to("one.example.com");
        cluster
    }

    /// Waits until a pod's images would be swapped to a host.
    fn await_swap_to(&self, host: &str) {
        let swapped = format!("app={host}/probe:1");
        let probe = pod_of("probe", &["probe:1"]);
        eventually(&format!("images from {host}"), || {
            let dry_run = ["create", "--dry-run=server", "-f=-", "-o=json"];
            let answer = self.control_plane.try_kubectl(&dry_run, Some(&probe)).unwrap();
            expect(images(&parsed(&answer)), &[swapped.as_str()])
        });
    }

    /// Runs something while the other map is in use.
    fn with_other_map(&self, run: impl FnOnce()) {
        self.files.write_map(OTHER_MAP);
        self.await_swap_to("two.example.com");
        run();
        self.files.write_map(MAP);
        self.await_swap_to("one.example.com");
    }

    /// The images of a stored pod.
    fn images_of(&self, pod: &str) -> Vec<String> {
        images(&self.control_plane.stored(&["pod", pod, "-n", SWAPPED]))
    }

    /// The images of the template of a stored object.
    fn template_images_of(&self, object: &str) -> Vec<String> {
        let object = self.control_plane.stored(&[object, "-n", SWAPPED]);
        let spec = &object["spec"];
        images(match object["kind"].as_str() {
            Some("CronJob") => &spec["jobTemplate"]["spec"]["template"],
            _ => &spec["template"],
        })
    }
}

/// Tries until `probe` succeeds; fails with its last failure when the deadline has passed.
fn eventually<T, E: Debug>(what: &str, mut probe: impl FnMut() -> Result<T, E>) -> T {
    let begun = Instant::now();
    loop {
        match probe() {
            Ok(found) => return found,
            Err(failure) if begun.elapsed() > DEADLINE => {
                panic!("{what}: not within {DEADLINE:?}: {failure:?}");
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Whether these are the expected ones; else they are the failure.
fn expect<T: PartialEq<U>, U>(found: T, expected: &U) -> Result<(), T> {
    if found == *expected { Ok(()) } else { Err(found) }
}
