//! A Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager and kubectl.
//!
//! There is deliberately no scheduler and no kubelet. Objects are stored, admitted and reconciled as in any cluster,
//! but pods never run.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::certificates::Authority;
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::identities::{ADMISSION_CONFIGURATION, Identities};

/// Timeout for the start of the API server. It takes about ten seconds on two busy cores.
const START_DEADLINE: Duration = Duration::from_mins(2);

/// Maximum number of attempts to start. Another process may take a port between its choice and its use.
const START_ATTEMPTS: usize = 3;

/// Number of lines at the end of each log that are printed. A failed start gives its reason in fewer.
const LOG_LINES: usize = 30;

/// Number of control planes that this process has started.
static STARTED: AtomicU8 = AtomicU8::new(0);

/// The processes of the control plane, until it is dropped.
pub(crate) struct ControlPlane {
    assets: PathBuf,
    directory: TempDir,
    authority: Authority,
    api_server: u16,
    etcd: u16,
    /// A number that no other control plane of this process has, for the cluster IPs.
    number: u8,
    /// Number of lines of the audit log that are skipped.
    audited: AtomicUsize,
    /// Additional flags of the API server.
    flags: &'static [&'static str],
    /// The processes in the order of their dependencies.
    processes: Mutex<Vec<Process>>,
}

struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// A reserved port, on which nothing listens.
pub(crate) struct HeldPort(TcpSocket);

impl ControlPlane {
    /// Starts the control plane from a folder with the four programs, with additional flags of the API server, and
    /// waits until it serves.
    ///
    /// # Panics
    ///
    /// If it does not start. The message contains the end of each log.
    pub(crate) fn start(assets: &Path, flags: &'static [&'static str]) -> Self {
        let mut started = Self::try_start(assets, flags);
        for _ in 1..START_ATTEMPTS {
            match &started {
                Err(failure) if failure.contains("address already in use") => {
                    started = Self::try_start(assets, flags);
                }
                _ => break,
            }
        }
        started.unwrap_or_else(|failure| panic!("the control plane did not start: {failure}"))
    }

    fn try_start(assets: &Path, flags: &'static [&'static str]) -> Result<Self, String> {
        let [etcd, etcd_peers, api_server] = free_ports();
        let control_plane = Self {
            assets: assets.to_owned(),
            directory: tempfile::tempdir().unwrap(),
            authority: Authority::new("cluster"),
            api_server,
            etcd,
            number: STARTED.fetch_add(1, Ordering::SeqCst),
            audited: AtomicUsize::new(0),
            flags,
            processes: Mutex::default(),
        };
        control_plane.identities().write();
        control_plane.start_etcd(etcd_peers)?;
        control_plane.start_api_server()?;
        control_plane.start_controller_manager()?;
        // Pods are refused in a namespace until the controller manager has created this account.
        control_plane
            .await_success("the default account", &["get", "serviceaccount", "default"])?;
        Ok(control_plane)
    }

    /// Returns the credentials for the control plane.
    pub(crate) fn identities(&self) -> Identities<'_> {
        Identities {
            directory: self.directory.path(),
            authority: &self.authority,
            api_server: self.api_server,
        }
    }

    /// Returns the path of a file of the control plane.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns the certificate authority of the cluster.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Returns the audited requests of the webhook to the API server.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.file("audit.log")).unwrap();
        let lines = log.lines().skip(self.audited.load(Ordering::SeqCst));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Removes the requests so far from the audit.
    pub(crate) fn clear_audit(&self) {
        self.audited.fetch_add(self.audit().len(), Ordering::SeqCst);
    }

    /// Kills the API server and reserves its port. Kills the controller manager too, because it would exit without its
    /// lease.
    pub(crate) fn kill_api_server(&self) -> HeldPort {
        // All processes but etcd, which does not depend on the others.
        for mut process in self.processes.lock().unwrap().drain(1..) {
            process.child.kill().unwrap();
            process.child.wait().unwrap();
        }
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.api_server))).unwrap();
        HeldPort(socket)
    }

    /// Starts the API server on its port again, and waits until it serves.
    pub(crate) fn restart_api_server(&self, HeldPort(socket): HeldPort) {
        drop(socket);
        self.start_api_server().unwrap();
        self.start_controller_manager().unwrap();
    }

    fn start_etcd(&self, peers_port: u16) -> Result<(), String> {
        let directory = self.file("etcd");
        let clients = format!("http://127.0.0.1:{}", self.etcd);
        let peers = format!("http://127.0.0.1:{peers_port}");
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

    fn start_api_server(&self) -> Result<(), String> {
        let file = |name: &str| self.file(name).display().to_string();
        let arguments = [
            &format!("--etcd-servers=http://127.0.0.1:{}", self.etcd),
            "--bind-address=127.0.0.1",
            &format!("--secure-port={}", self.api_server),
            "--advertise-address=127.0.0.1",
            // Endpoints cannot be on loopback, and no pod uses those of the API server.
            "--endpoint-reconciler-type=none",
            &format!("--service-cluster-ip-range=10.{}.0.0/24", self.number),
            "--authorization-mode=RBAC",
            &format!("--cert-dir={}", file("api-server")),
            &format!("--tls-cert-file={}", file("api-server.crt")),
            &format!("--tls-private-key-file={}", file("api-server.key")),
            &format!("--client-ca-file={}", file("ca.crt")),
            &format!("--token-auth-file={}", file("tokens.csv")),
            "--service-account-issuer=https://kubernetes.default.svc",
            &format!("--service-account-key-file={}", file("accounts.pub")),
            &format!("--service-account-signing-key-file={}", file("accounts.key")),
            &format!("--audit-policy-file={}", file("audit-policy.json")),
            &format!("--audit-log-path={}", file("audit.log")),
        ];
        let mut arguments: Vec<&str> = arguments.into_iter().map(AsRef::as_ref).collect();
        arguments.extend(self.flags);
        let admission = file(ADMISSION_CONFIGURATION);
        let admission = format!("--admission-control-config-file={admission}");
        // The file takes effect with the next start after its creation.
        if self.file(ADMISSION_CONFIGURATION).exists() {
            arguments.push(&admission);
        }
        self.spawn("kube-apiserver", &arguments)?;
        self.await_success("readiness", &["get", "--raw", "/readyz"])
    }

    fn start_controller_manager(&self) -> Result<(), String> {
        let file = |name: &str| self.file(name).display().to_string();
        let arguments = [
            &format!("--kubeconfig={}", file("controller-manager.kubeconfig")),
            "--leader-elect=false",
            // Its health and metrics are not used.
            "--secure-port=0",
            "--use-service-account-credentials",
            &format!("--service-account-private-key-file={}", file("accounts.key")),
            &format!("--root-ca-file={}", file("ca.crt")),
            &format!("--cluster-signing-cert-file={}", file("ca.crt")),
            &format!("--cluster-signing-key-file={}", file("ca.key")),
        ];
        self.spawn("kube-controller-manager", &arguments)
    }

    /// Starts a program of the control plane with its output in a file.
    fn spawn(&self, name: &'static str, arguments: &[&str]) -> Result<(), String> {
        let log = self.file(&format!("{name}.log"));
        let output = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = self
            .command(name)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.assets.join(name).display()))?;
        self.processes.lock().unwrap().push(Process { name, child, log });
        Ok(())
    }

    /// Returns the command of a program of the assets, without the environment of the test.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.assets.join(name));
        command.current_dir(self.directory.path()).env_clear().env("HOME", self.directory.path());
        command
    }

    /// Repeats a kubectl command until it succeeds. Fails early if a process has exited.
    fn await_success(&self, what: &str, arguments: &[&str]) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let Err(failure) = self.try_kubectl(arguments, None) else {
                return Ok(());
            };
            let ended = self.processes.lock().unwrap().iter_mut().find_map(|process| {
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

    /// Returns the end of the log of each process.
    fn logs(&self) -> String {
        let processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = processes.iter().map(|process| {
            let log = fs::read_to_string(&process.log).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            format!("--- the end of {}:\n{end}\n", process.log.display())
        });
        ends.collect()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let processes = self.processes.get_mut().unwrap_or_else(PoisonError::into_inner);
        for process in processes.iter_mut().rev() {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
        if thread::panicking() {
            let _ = std::io::stderr().write_all(self.logs().as_bytes());
        }
    }
}

/// Returns different ports that are free at the moment.
fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let listeners = [(); COUNT].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
