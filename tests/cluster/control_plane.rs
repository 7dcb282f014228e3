//! A Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager, and kubectl
//! to talk to it.
//!
//! There is deliberately no scheduler and no kubelet: objects are stored, admitted and reconciled as
//! in any cluster, but pods never run.

use std::{
    fs::{self, File},
    io::Write,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rcgen::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{certificates::Authority, eventually};

/// How long the API server may take to be ready; it takes about ten seconds on two busy cores.
const START_DEADLINE: Duration = Duration::from_mins(2);

/// How often a start is tried, when another process took a port between its choice and its use.
const START_ATTEMPTS: usize = 3;

/// How many last lines of a log are shown; a failed start says why in fewer.
const LOG_LINES: usize = 30;

/// The token of the administrator, for clients that take no certificate.
const ADMIN_TOKEN: &str = "cluster-test-administrator";

/// The processes of the control plane, until it is dropped.
pub(crate) struct ControlPlane {
    assets: PathBuf,
    directory: TempDir,
    /// Those that need others come after them.
    processes: Vec<Process>,
}

struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl ControlPlane {
    /// Starts the control plane from a folder with the four programs, and waits until it serves.
    ///
    /// # Panics
    ///
    /// When it does not start; the message holds the end of each log.
    pub(crate) fn start(assets: &Path) -> Self {
        let mut started = Self::try_start(assets);
        for _ in 1..START_ATTEMPTS {
            match &started {
                Err(failure) if failure.contains("address already in use") => {
                    started = Self::try_start(assets);
                }
                _ => break,
            }
        }
        started.unwrap_or_else(|failure| panic!("the control plane did not start: {failure}"))
    }

    fn try_start(assets: &Path) -> Result<Self, String> {
        let mut control_plane = Self {
            assets: assets.to_owned(),
            directory: tempfile::tempdir().unwrap(),
            processes: Vec::new(),
        };
        let [etcd, etcd_peers, api_server] = free_ports();
        control_plane.write_files(api_server);
        control_plane.start_etcd(etcd, etcd_peers)?;
        control_plane.start_api_server(api_server, etcd)?;
        control_plane.await_success("readiness", &["get", "--raw", "/readyz"])?;
        control_plane.start_controller_manager()?;
        // Pods are refused in a namespace until the controller manager has made this account.
        control_plane
            .await_success("the default account", &["get", "serviceaccount", "default"])?;
        Ok(control_plane)
    }

    /// The path of a file of the control plane.
    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes keys, certificates and configuration.
    fn write_files(&self, api_server: u16) {
        let write = |name: &str, content: String| fs::write(self.file(name), content).unwrap();
        let authority = Authority::new("cluster");
        authority.write(&self.file("ca.crt"), &self.file("ca.key"));
        authority.write_server_pair(
            &["127.0.0.1", "localhost", "kubernetes.default.svc"],
            &self.file("api-server.crt"),
            &self.file("api-server.key"),
        );
        for (name, user, group) in [
            ("admin", "admin", Some("system:masters")),
            ("controller-manager", "system:kube-controller-manager", None),
        ] {
            let certificate = self.file(&format!("{name}.crt"));
            let key = self.file(&format!("{name}.key"));
            authority.write_client_pair(user, group, &certificate, &key);
            let user = json!({ "client-certificate": certificate, "client-key": key });
            write(&format!("{name}.kubeconfig"), self.kubeconfig(api_server, &user));
        }
        let user = json!({ "token": ADMIN_TOKEN });
        write("token.kubeconfig", self.kubeconfig(api_server, &user));
        write("tokens.csv", format!("{ADMIN_TOKEN},token-admin,0,system:masters\n"));
        let accounts = KeyPair::generate().unwrap();
        write("accounts.key", accounts.serialize_pem());
        write("accounts.pub", accounts.public_key_pem());
    }

    fn kubeconfig(&self, api_server: u16, user: &Value) -> String {
        let server = format!("https://127.0.0.1:{api_server}");
        let cluster = json!({ "server": server, "certificate-authority": self.file("ca.crt") });
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": cluster }],
            "users": [{ "name": "test", "user": user }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
            "current-context": "test",
        })
        .to_string()
    }

    fn start_etcd(&mut self, port: u16, peers_port: u16) -> Result<(), String> {
        let directory = self.file("etcd");
        let (clients, peers) =
            (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peers_port}"));
        self.spawn(
            "etcd",
            &[
                &format!("--data-dir={}", directory.display()),
                &format!("--listen-client-urls={clients}"),
                &format!("--advertise-client-urls={clients}"),
                &format!("--listen-peer-urls={peers}"),
                &format!("--initial-advertise-peer-urls={peers}"),
                &format!("--initial-cluster=default={peers}"),
            ],
        )
    }

    fn start_api_server(&mut self, port: u16, etcd: u16) -> Result<(), String> {
        let file = |name: &str| self.file(name).display().to_string();
        let arguments = [
            &format!("--etcd-servers=http://127.0.0.1:{etcd}"),
            "--bind-address=127.0.0.1",
            &format!("--secure-port={port}"),
            "--advertise-address=127.0.0.1",
            // Endpoints cannot be on loopback, and no pod asks for those of the API server.
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            &format!("--cert-dir={}", file("api-server")),
            &format!("--tls-cert-file={}", file("api-server.crt")),
            &format!("--tls-private-key-file={}", file("api-server.key")),
            &format!("--client-ca-file={}", file("ca.crt")),
            &format!("--token-auth-file={}", file("tokens.csv")),
            "--service-account-issuer=https://kubernetes.default.svc",
            &format!("--service-account-key-file={}", file("accounts.pub")),
            &format!("--service-account-signing-key-file={}", file("accounts.key")),
        ];
        self.spawn("kube-apiserver", &arguments)
    }

    fn start_controller_manager(&mut self) -> Result<(), String> {
        let file = |name: &str| self.file(name).display().to_string();
        let arguments = [
            &format!("--kubeconfig={}", file("controller-manager.kubeconfig")),
            "--leader-elect=false",
            // Nobody asks for its health or metrics.
            "--secure-port=0",
            "--use-service-account-credentials",
            &format!("--service-account-private-key-file={}", file("accounts.key")),
            &format!("--root-ca-file={}", file("ca.crt")),
            &format!("--cluster-signing-cert-file={}", file("ca.crt")),
            &format!("--cluster-signing-key-file={}", file("ca.key")),
        ];
        self.spawn("kube-controller-manager", &arguments)
    }

    /// Starts a program of the control plane; its output goes to a file.
    fn spawn(&mut self, name: &'static str, arguments: &[&str]) -> Result<(), String> {
        let log = self.file(&format!("{name}.log"));
        let output = File::create(&log).unwrap();
        let child = self
            .command(name)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.assets.join(name).display()))?;
        self.processes.push(Process { name, child, log });
        Ok(())
    }

    /// A program of the assets, apart from the environment of the test.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.assets.join(name));
        command.current_dir(self.directory.path()).env_clear().env("HOME", self.directory.path());
        command
    }

    /// Repeats a kubectl command until it succeeds; fails early when a process has ended.
    fn await_success(&mut self, what: &str, arguments: &[&str]) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let Err(failure) = self.try_kubectl(arguments, None) else {
                return Ok(());
            };
            let ended = self.processes.iter_mut().find_map(|process| {
                let status = process.child.try_wait().unwrap()?;
                Some(format!("{} ended: {status}", process.name))
            });
            if let Some(ended) = ended {
                return Err(format!("{ended}\n{}", self.logs()));
            }
            if begun.elapsed() > START_DEADLINE {
                return Err(format!(
                    "{what}: not within {START_DEADLINE:?}: {failure}\n{}",
                    self.logs()
                ));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The end of each process's log.
    fn logs(&self) -> String {
        let ends = self.processes.iter().map(|process| {
            let log = fs::read_to_string(&process.log).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            format!("--- the end of {}:\n{end}\n", process.log.display())
        });
        ends.collect()
    }

    /// Runs kubectl as the administrator, with an object as its input; returns what it prints.
    pub(crate) fn try_kubectl(
        &self,
        arguments: &[&str],
        input: Option<&Value>,
    ) -> Result<String, String> {
        let mut child = self
            .command("kubectl")
            .args(["--kubeconfig=admin.kubeconfig", "--request-timeout=30s"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Dropped at the end of the statement, which ends the input.
        let written = child
            .stdin
            .take()
            .unwrap()
            .write_all(input.map(Value::to_string).unwrap_or_default().as_bytes());
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            written.unwrap();
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(format!("kubectl {}: {}", arguments.join(" "), errors.trim()))
        }
    }

    /// Runs a kubectl command that has to succeed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments, None).unwrap()
    }

    /// Creates an object; returns it as it is stored.
    pub(crate) fn create(&self, object: &Value) -> Value {
        parsed(&self.try_kubectl(&["create", "-f=-", "-o=json"], Some(object)).unwrap())
    }

    /// Reads objects, by the arguments of `kubectl get`.
    pub(crate) fn stored(&self, arguments: &[&str]) -> Value {
        parsed(&self.kubectl(&[&["get", "-o=json"], arguments].concat()))
    }

    /// Creates a namespace, and waits until pods can be made in it.
    pub(crate) fn create_namespace(&self, name: &str, labels: &Value) {
        self.create(&json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name, "labels": labels },
        }));
        eventually("the default account", || {
            self.try_kubectl(&["get", "serviceaccount", "default", "-n", name], None)
        });
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
        if thread::panicking() {
            let _ = std::io::stderr().write_all(self.logs().as_bytes());
        }
    }
}

/// Reads what kubectl prints with `-o=json`.
pub(crate) fn parsed(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap()
}

/// Ports that no process has at the moment, each another.
fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let listeners = [(); COUNT].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
