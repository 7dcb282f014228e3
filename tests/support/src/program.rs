//! The program as a process.

use std::{
    env,
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use crate::{secrets::Secrets, wait::eventually};

/// The loopback address with port 0: the system chooses the port.
pub const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A running `imageswap serve`. Dropping it kills the process, and checks that no secret was logged.
pub struct Program {
    /// The process.
    pub child: Child,
    /// Address of the webhook.
    pub address: SocketAddr,
    /// Address of the admin port.
    pub admin_address: SocketAddr,
    log: Arc<Mutex<Vec<Value>>>,
}

impl Program {
    /// Starts `imageswap serve` on free ports.
    pub fn start(arguments: &[&str]) -> Self {
        Self::launch(Command::new(path()), [ANY_PORT; 2], arguments)
    }

    /// Starts `imageswap serve` with the addresses of webhook and admin port. `launcher` is the program, or a command
    /// that replaces itself with the program.
    pub fn launch(
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

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits until there is a line in the log whose message contains `text`.
    pub async fn await_log(&self, text: &str) {
        eventually(text, async || self.logged(text).then_some(())).await;
    }

    /// Returns the log so far: a JSON value for each line, which is a string if the line is not JSON.
    pub fn lines(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// Returns true if there is a line in the log whose message contains `text`.
    pub fn logged(&self, text: &str) -> bool {
        let has_text = |line: &Value| line["message"].as_str().is_some_and(|m| m.contains(text));
        self.lines().iter().any(has_text)
    }
}

/// Returns the path of the program that Cargo has built for the tests.
pub fn path() -> String {
    env::var("CARGO_BIN_EXE_imageswap")
        .unwrap_or_else(|_| panic!("CARGO_BIN_EXE_imageswap is not set; run the tests with Cargo"))
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
