//! The webhook in a cluster: a real control plane calls the real program through a Service, and the tests check the
//! stored objects.
//!
//! `.ci/cluster` provides the control plane, and runs the tests in a network namespace. Each test has its own control
//! plane, which its steps share. The webhook runs outside the cluster, as the installed service account. [`Service`]
//! stands for kube-proxy.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "prints the steps and the cause of a failure")]

mod candidates;
mod certificates;
mod clients;
mod clocks;
mod configuration;
mod contests;
mod control_plane;
mod endpoints;
mod enforcement;
mod export;
mod handshake;
mod helm;
mod identities;
mod install;
mod installation;
mod kubectl;
mod modes;
mod namespaces;
mod objects;
mod original;
mod other_webhooks;
mod outage;
mod owner;
mod permissions;
mod plan;
mod provided;
mod proxy;
mod pull_secrets;
mod records;
mod refusals;
mod registry;
mod removal;
mod replaced;
mod replicas;
mod rotation;
mod samples;
mod secrecy;
mod selectors;
mod service;
mod sites;
mod stored;
mod stream;
mod swapping;
mod template;
mod trust;
mod uninstall;
mod verified;
mod webhook;
mod workloads;

use std::{
    fmt::Debug,
    io::Write,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{api::Api, wait::eventually_blocking};

use control_plane::ControlPlane;
use kubectl::parsed;
use objects::{LABEL, images, pod_of};
use service::Service;
use webhook::{Files, Launch};

/// Environment variable with the folder of the programs of the control plane, which `tests/cluster/assets` prints.
const ASSETS: &str = "IMAGESWAP_CLUSTER_ASSETS";

/// Environment variable with a part of the names of the steps to run. All steps run if it is not set.
const CHOSEN_STEPS: &str = "IMAGESWAP_CLUSTER_STEPS";

/// Timeout for each wait of a step.
const DEADLINE: Duration = Duration::from_mins(1);

/// The namespace whose objects are swapped.
const SWAPPED: &str = "swapped";

/// The namespace without the label.
const PLAIN: &str = "plain";

/// The pods of the namespace whose objects are swapped.
const PODS: &str = "/api/v1/namespaces/swapped/pods";

/// The map at the start and at the end of each step.
const MAP: &str = "default::one.example.com";

#[test]
fn swapping() {
    let steps = [
        swapping::STEPS,
        samples::STEPS,
        other_webhooks::STEPS,
        workloads::STEPS,
        enforcement::STEPS,
    ];
    let steps = steps.concat();
    run("swapping", swapping::Swapping::start, &steps);
}

#[test]
fn admission() {
    let steps = [
        records::STEPS,
        namespaces::STEPS,
        pull_secrets::STEPS,
        sites::STEPS,
        candidates::STEPS,
        verified::STEPS,
        plan::STEPS,
        export::STEPS,
    ];
    let steps = steps.concat();
    run("admission", |cluster| cluster, &steps);
}

#[test]
fn certificate_modes() {
    let steps = [stored::STEPS, modes::STEPS].concat();
    run("certificate modes", |cluster| cluster, &steps);
}

#[test]
fn mode_changes() {
    let steps = [modes::CHANGES, replaced::STEPS].concat();
    run("mode changes", |cluster| cluster, &steps);
}

#[test]
fn rotation() {
    run("rotation", |cluster| cluster, rotation::STEPS);
}

#[test]
fn replicas() {
    let steps = [replicas::STEPS, clocks::STEPS].concat();
    run("replicas", |cluster| cluster, &steps);
}

#[test]
fn operation() {
    let steps = [
        configuration::STEPS,
        endpoints::STEPS,
        permissions::STEPS,
        selectors::STEPS,
        removal::STEPS,
        uninstall::STEPS,
        installation::STEPS,
    ];
    let steps = steps.concat();
    run("operation", |cluster| cluster, &steps);
}

#[test]
fn refusals() {
    run("refusals", |cluster| cluster, refusals::STEPS);
}

#[test]
fn templates() {
    let steps = [template::STEPS, contests::STEPS].concat();
    run("templates", |cluster| cluster, &steps);
}

/// A separate test, because the API server has another admission plugin.
#[test]
fn owner() {
    run_with("owner", owner::FLAGS, |cluster| cluster, owner::STEPS);
}

#[test]
fn original() {
    run("original", |cluster| cluster, original::STEPS);
}

/// A separate test, because it waits for minutes.
#[test]
fn contested_trust() {
    run("contested trust", |cluster| cluster, trust::STEPS);
}

/// A separate test, because each step waits for the CA propagation delay.
#[test]
fn user_provided_certificates() {
    run("user-provided certificates", |cluster| cluster, provided::STEPS);
}

/// A separate test, because it restarts the API server.
#[test]
fn client_certificates() {
    run("client certificates", |cluster| cluster, clients::STEPS);
}

/// A separate test, because the controller manager takes a while to recover.
#[test]
fn outage() {
    run("outage", |cluster| cluster, outage::STEPS);
}

/// A feature of Kubernetes, and the minor version since which it is on by default.
type Feature = (&'static str, u32);

/// <https://kubernetes.io/docs/concepts/storage/volumes/#image>
const IMAGE_VOLUMES: Feature = ("image volumes", 35);

/// <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-matchconditions>
const MATCH_CONDITIONS: Feature = ("match conditions", 28);

/// <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#self-subject-review>
const SELF_REVIEWS: Feature = ("reviews of the own user", 28);

/// <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>
const SIDECARS: Feature = ("sidecar containers", 29);

/// <https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/>
const VALIDATING_POLICIES: Feature = ("validating admission policies", 30);

/// The name of a step, and its function on the state that the steps of a test share.
type Step<T> = (&'static str, fn(&T));

/// Runs the steps of a test on a control plane. Prints that it skips them if there is none.
fn run<T: AsRef<Cluster>>(test: &str, prepare: impl Fn(Cluster) -> T, steps: &[Step<T>]) {
    run_with(test, &[], prepare, steps);
}

/// Runs the steps of a test on a control plane whose API server has additional flags.
fn run_with<T: AsRef<Cluster>>(
    test: &str,
    flags: &'static [&'static str],
    prepare: impl Fn(Cluster) -> T,
    steps: &[Step<T>],
) {
    let Some(assets) = std::env::var_os(ASSETS) else {
        // Directly to the standard error, because the test harness hides the output of a test that passes.
        let written = writeln!(
            std::io::stderr(),
            "the cluster test `{test}` is SKIPPED: {ASSETS} is not set; run .ci/cluster, which \
             gets a control plane"
        );
        return written.unwrap();
    };
    let chosen = std::env::var(CHOSEN_STEPS).unwrap_or_default();
    let steps: Vec<_> = steps.iter().filter(|(name, _)| name.contains(&chosen)).collect();
    if steps.is_empty() {
        return;
    }
    let shared = prepare(Cluster::start(test, Path::new(&assets), flags));
    for (name, step) in steps {
        let begun = Instant::now();
        eprintln!("{test}: {name}");
        let secrets = shared.as_ref().secrets_now();
        step(&shared);
        shared.as_ref().assert_permitted();
        shared.as_ref().assert_no_secrets_printed(secrets);
        eprintln!("{test}: {name}: {} ms", begun.elapsed().as_millis());
    }
}

/// The control plane with the webhook installed, but not running.
struct Cluster {
    control_plane: ControlPlane,
    /// The minor version of Kubernetes.
    minor: u32,
    api: Api,
    /// The Service that the API server calls.
    service: Service,
    /// The kubeconfig of the webhook.
    kubeconfig: PathBuf,
}

impl AsRef<Self> for Cluster {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Cluster {
    fn start(test: &str, assets: &Path, flags: &'static [&'static str]) -> Self {
        let begun = Instant::now();
        let control_plane = ControlPlane::start(assets, flags);
        let version = parsed(&control_plane.kubectl(&["get", "--raw=/version"]));
        let name = version["gitVersion"].as_str().unwrap();
        eprintln!("{test}: Kubernetes {name} started in {} ms", begun.elapsed().as_millis());
        let minor = version["minor"].as_str().unwrap().parse().unwrap();
        control_plane.create_namespace(SWAPPED, &json!({ LABEL: "enabled" }));
        control_plane.create_namespace(PLAIN, &json!({}));
        let kubeconfig = control_plane.install();
        let api = Api::new(&control_plane.file("token.kubeconfig"));
        let service = Service::start(api.runtime().handle(), cluster_ip(&api));
        Self { control_plane, minor, api, service, kubeconfig }
    }

    /// Returns true if this version of Kubernetes has a feature. Prints otherwise that what needs it is skipped.
    fn has(&self, (feature, since): Feature) -> bool {
        let has = self.minor >= since;
        if !has {
            eprintln!(
                "      SKIPPED: {feature} need Kubernetes 1.{since}, this is 1.{}",
                self.minor
            );
        }
        has
    }

    /// Creates a pod in the namespace that is swapped, and returns the stored pod.
    fn create(&self, pod: &Value) -> Value {
        self.api.post(PODS, pod)
    }

    /// Returns the images with which a pod `probe:1` would be stored.
    fn probe(&self) -> Vec<String> {
        self.try_probe().unwrap()
    }

    /// Returns the images with which a pod `probe:1` would be stored, or the error if it is refused.
    fn try_probe(&self) -> kube::Result<Vec<String>> {
        let probe = pod_of("probe", &["probe:1"]);
        Ok(images(&self.api.try_post(&format!("{PODS}?dryRun=All"), &probe)?))
    }

    /// Returns the launch of a webhook that manages its certificate and the webhook configuration.
    fn managed(&self, files: &Files) -> Launch {
        self.connected("serve", files)
    }

    /// Returns the launch of a webhook that the API server calls by a URL instead of the Service.
    fn managed_by_url(&self, files: &Files) -> Launch {
        self.managed(files).with("IMAGESWAP_WEBHOOK_URL", self.service.url())
    }

    /// Returns the launch of a command that calls the API server as the installed account.
    fn connected(&self, command: &'static str, files: &Files) -> Launch {
        Launch::new(command)
            .with_path("IMAGESWAP_MAPS_FILE", files.path("maps.conf"))
            .with_path("KUBECONFIG", self.kubeconfig.clone())
    }
}

/// Returns the cluster IP of the installed Service.
fn cluster_ip(api: &Api) -> Ipv4Addr {
    let service = api.get("/api/v1/namespaces/imageswap-system/services/imageswap").unwrap();
    service["spec"]["clusterIP"].as_str().unwrap().parse().unwrap()
}

/// Repeats `probe` until it succeeds. Fails with the last error after [`DEADLINE`].
fn eventually<T, E: Debug>(what: &str, probe: impl FnMut() -> Result<T, E>) -> T {
    eventually_blocking(what, DEADLINE, probe)
}

/// Returns the found value as the error if it is not the expected one.
fn expect<T: PartialEq<U>, U>(found: T, expected: &U) -> Result<(), T> {
    if found == *expected { Ok(()) } else { Err(found) }
}
