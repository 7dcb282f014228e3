//! The real program, as a process.

use std::{
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use crate::{secrets::Secrets, support::eventually};

/// The path of the program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_imageswap");

/// Where a program listens that may choose its ports.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The real program, serving.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) admin_address: SocketAddr,
    log: Arc<Mutex<Vec<Value>>>,
}

impl Program {
    /// Starts `imageswap serve` with ports that the system chooses.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::launch(Command::new(PROGRAM), [ANY_PORT; 2], arguments)
    }

    /// Starts `imageswap serve` at these addresses, for reviews and for probes. `launcher` is the
    /// program, or a command that becomes it in the same process.
    pub(crate) fn launch(
        mut launcher: Command,
        [address, admin_address]: [SocketAddr; 2],
        arguments: &[&str],
    ) -> Self {
        let mut child = launcher
            .args(["serve", "--listen", &address.to_string()])
            .args(["--admin-listen", &admin_address.to_string(), "--log-format", "json"])
            .args(arguments)
            .env_clear()
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut take_line = {
            let log = log.clone();
            move || {
                let line = lines.next()?.unwrap();
                let line: Value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                log.lock().unwrap().push(line.clone());
                Some(line)
            }
        };
        let started = loop {
            let line = take_line().unwrap();
            if line["message"] == "imageswap started" {
                break line;
            }
        };
        std::thread::spawn(move || while take_line().is_some() {});
        let address = |field: &str| started[field].as_str().unwrap().parse().unwrap();
        Self { child, address: address("listen"), admin_address: address("admin_listen"), log }
    }

    /// Sends the signal to end.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits until a line was logged whose message contains `text`.
    pub(crate) async fn logs(&self, text: &str) {
        eventually(text, async || self.logged(text).then_some(())).await;
    }

    /// The lines that were read from the log.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// Whether a line was read from the log whose message contains `text`.
    pub(crate) fn logged(&self, text: &str) -> bool {
        let has_text = |line: &Value| line["message"].as_str().is_some_and(|m| m.contains(text));
        self.lines().iter().any(has_text)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let log = serde_json::to_string(&*self.log.lock().unwrap()).unwrap();
            let found = Secrets::new().found_in(log.as_bytes()).len();
            assert_eq!(found, 0, "a secret in {log}");
        }
    }
}
