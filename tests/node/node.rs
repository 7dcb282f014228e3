//! A node of Kubernetes: a machine of its own, with the control plane, the kubelet and the container runtime.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
};

use serde_json::Value;
use support::{api::Api, kubectl};

use crate::{dns, events::Warnings, eventually, identities, pods::condition, registry::Registry};

/// Environment variable with the folder that is the disk of the node.
const STATE: &str = "IMAGESWAP_NODE_STATE";

/// Environment variable with the name of the cgroups of the node.
const CGROUP: &str = "IMAGESWAP_NODE_CGROUP";

/// The object by which the kubelet shows that it runs.
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node";

/// Number of lines at the end of each log that are printed after a failure.
const LOG_LINES: usize = 15;

/// The node and its cluster, until it is dropped.
pub(crate) struct Node {
    programs: PathBuf,
    /// The disk of the node, which outlasts its power.
    state: PathBuf,
    api: Api,
    mirror: Registry,
    /// The registry from which the mirror has no image.
    origin: Registry,
    /// The first process of the node.
    machine: Mutex<Child>,
    /// The warnings that have been printed.
    pub(crate) warnings: Mutex<Warnings>,
}

impl Node {
    /// Installs a node, and starts it from a folder of programs and images.
    pub(crate) fn start(assets: &Path) -> Self {
        let state = PathBuf::from(env::var_os(STATE).unwrap());
        let programs = assets.join("programs");
        let pair = identities::write(&state.join("etc/kubernetes"));
        let machine = Mutex::new(switched_on(&state, &programs));
        let api = Api::new(&state.join("etc/kubernetes/token.kubeconfig"));
        dns::serve(&api);
        let (layout, runtime) = (assets.join("mirror"), api.runtime().handle());
        let mirror = Registry::mirror(&layout, &pair, runtime);
        let origin = Registry::origin(&layout, runtime);
        let warnings = Mutex::default();
        let node = Self { programs, state, api, mirror, origin, machine, warnings };
        node.await_ready();
        node
    }

    /// Returns the client of the API server.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// Returns the mirror of the sample map.
    pub(crate) fn mirror(&self) -> &Registry {
        &self.mirror
    }

    /// Returns the original registry of images that the mirror does not have.
    pub(crate) fn origin(&self) -> &Registry {
        &self.origin
    }

    /// Returns a path on the disk of the node, in `lib` for /var/lib or `log` for /var/log.
    pub(crate) fn disk(&self, path: &str) -> PathBuf {
        self.state.join(path)
    }

    /// Stops the node at once, as a power cut does.
    pub(crate) fn cut_power(&self) {
        let mut machine = self.machine.lock().unwrap();
        machine.kill().unwrap();
        machine.wait().unwrap();
    }

    /// Starts the node after a power cut. Does not wait until it serves.
    pub(crate) fn switch_on(&self) {
        *self.machine.lock().unwrap() = switched_on(&self.state, &self.programs);
    }

    /// Waits until the API server serves and the node runs pods.
    pub(crate) fn await_ready(&self) {
        // The condition may be that of the time before a power cut. The lease tells.
        let mut first = None;
        eventually("a node that is ready", || {
            if let Some(status) = self.machine.lock().unwrap().try_wait().unwrap() {
                panic!("the node ended: {status}\n{}", self.logs());
            }
            let get = |path| self.api.try_get(path).map_err(|error| error.to_string());
            let lease = get(LEASE)?.map(|lease| lease["spec"]["renewTime"].clone());
            let is_new = *first.get_or_insert_with(|| lease.clone()) != lease;
            let node = get("/api/v1/nodes/node")?.ok_or("there is no node")?;
            let is_ready = condition(&node, "Ready");
            if is_new && is_ready { Ok(()) } else { Err(node["status"].to_string()) }
        });
    }

    /// Returns the version of the API server and of the container runtime.
    pub(crate) fn version(&self) -> String {
        let node = self.api.get("/api/v1/nodes/node").unwrap();
        let version = |of: &str| node["status"]["nodeInfo"][of].as_str().unwrap().to_owned();
        format!(
            "Kubernetes {} with {}",
            version("kubeletVersion"),
            version("containerRuntimeVersion")
        )
    }

    /// Runs kubectl as the administrator, with an object as its input, and returns its output.
    pub(crate) fn try_kubectl(
        &self,
        arguments: &[&str],
        input: Option<&Value>,
    ) -> Result<String, String> {
        kubectl::run(self.command("kubectl"), arguments, input)
    }

    /// Runs Helm as the administrator, and returns its output.
    pub(crate) fn try_helm(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.command("helm").args(arguments).stdin(Stdio::null()).output().unwrap();
        // Logs of hooks may be in either.
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        if output.status.success() {
            return Ok(printed);
        }
        Err(format!("helm {}: {printed}", arguments.join(" ")))
    }

    /// Returns the command of a program that acts as the administrator.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        let config = self.state.join("etc/kubernetes/admin.kubeconfig");
        command.env_clear().env("HOME", &self.state).env("KUBECONFIG", config);
        command
    }

    /// Runs a kubectl command, which must succeed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments, None).unwrap()
    }

    /// Returns the end of each log.
    fn logs(&self) -> String {
        let mut logs: Vec<_> = fs::read_dir(self.disk("log"))
            .into_iter()
            .flatten()
            .map(|log| log.unwrap().path())
            .filter(|path| path.is_file())
            .collect();
        logs.sort();
        logs.push(self.disk("node.log"));
        let ends = logs.iter().map(|path| {
            let log = fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            format!("--- the end of {}:\n{end}\n", path.display())
        });
        ends.collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.logs());
            for arguments in [
                &["get", "pods", "--all-namespaces", "--output=wide"][..],
                &["logs", "--namespace=imageswap-system", "--selector=app=imageswap", "--prefix"],
            ] {
                eprintln!("{}", self.try_kubectl(arguments, None).unwrap_or_else(|error| error));
            }
        }
        self.cut_power();
    }
}

/// Starts the node, with its disk and programs.
fn switched_on(state: &Path, programs: &Path) -> Child {
    Command::new("tests/node/machine/on")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([state, programs])
        .arg(env::var_os(CGROUP).unwrap())
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}
