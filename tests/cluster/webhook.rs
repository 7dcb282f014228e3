//! The program as a process, connected to the cluster.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    eventually, expect,
    secrecy::{self, Said},
};

/// The longest that a page of the admin port may take.
const PAGE_DEADLINE: Duration = Duration::from_secs(10);

/// A folder of files that the program reads.
pub(crate) struct Files(TempDir);

impl Files {
    /// A folder with a map.
    pub(crate) fn new(map: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("maps.conf", map);
        files
    }

    /// Replaces a file at once, by renaming.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let new = self.path(".new");
        fs::write(&new, content).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    /// The path of a file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A command of the program, and its environment.
#[derive(Clone)]
pub(crate) struct Launch {
    command: &'static str,
    environment: Vec<(&'static str, String)>,
}

impl Launch {
    /// A command that answers on ports that the system chooses, and logs for machines.
    pub(crate) fn new(command: &'static str) -> Self {
        Self { command, environment: Vec::new() }
            .with("IMAGESWAP_LISTEN", "127.0.0.1:0")
            .with("IMAGESWAP_ADMIN_LISTEN", "127.0.0.1:0")
            .with("IMAGESWAP_LOG_FORMAT", "json")
            // All that can be said, so that a secret in it would be found.
            .with("IMAGESWAP_LOG_LEVEL", "DEBUG")
            // As long as it takes to hear of the end; the endpoints are told at once.
            .with("IMAGESWAP_SHUTDOWN_DELAY", "1s")
    }

    /// Sets an environment variable.
    pub(crate) fn with(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.environment.retain(|(set, _)| *set != variable);
        self.environment.push((variable, value.into()));
        self
    }

    /// Has the API server call the Service, as in a cluster.
    pub(crate) fn by_service(mut self) -> Self {
        self.environment.retain(|(set, _)| *set != "IMAGESWAP_WEBHOOK_URL");
        self
    }

    /// Sets an environment variable to the path of a file.
    pub(crate) fn with_path(self, variable: &'static str, path: PathBuf) -> Self {
        self.with(variable, path.into_os_string().into_string().unwrap())
    }

    /// Starts the program, and waits until its ports are bound.
    pub(crate) fn start(&self) -> Webhook {
        let webhook = self.spawn();
        webhook.await_start();
        webhook
    }

    /// Starts the program, and waits until it is ready.
    pub(crate) fn start_ready(&self) -> Webhook {
        let webhook = self.start();
        webhook.await_ready();
        webhook
    }

    /// Starts the program, and waits for nothing.
    pub(crate) fn spawn(&self) -> Webhook {
        let mut child = Command::new(env!("CARGO_BIN_EXE_imageswap"))
            .arg(self.command)
            .env_clear()
            .envs(self.environment.iter().map(|(variable, value)| (variable, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = secrecy::listen();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut output = child.stdout.take().unwrap();
        thread::spawn({
            let said = said.clone();
            move || {
                let mut text = Vec::new();
                output.read_to_end(&mut text).unwrap();
                said.lock().unwrap().extend(text);
            }
        });
        thread::spawn({
            let (log, said) = (log.clone(), said.clone());
            move || {
                for line in lines {
                    let line = line.unwrap();
                    said.lock().unwrap().extend([line.as_bytes(), b"\n"].concat());
                    let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                    log.lock().unwrap().push(line);
                }
            }
        });
        Webhook { child, log, said }
    }
}

/// The program, running until it is dropped.
pub(crate) struct Webhook {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    /// Its output, its log as it is written, and its pages.
    said: Said,
}

impl Webhook {
    /// Waits until its ports are bound.
    pub(crate) fn await_start(&self) {
        eventually("the start of the webhook", || self.bound("listen"));
    }

    /// Where it takes reviews.
    pub(crate) fn address(&self) -> SocketAddr {
        self.bound("listen").unwrap()
    }

    /// An address that it logs when it has started; else all that it logged.
    fn bound(&self, listener: &str) -> Result<SocketAddr, Vec<Value>> {
        let address = match self.logged("imageswap started").pop() {
            Some(started) => started[listener].as_str().unwrap().to_owned(),
            None => {
                // It may log as text.
                let line = self.log_with("imageswap started").pop().ok_or_else(|| self.log())?;
                let (_, rest) = line.split_once(&format!(" {listener}=")).unwrap();
                rest.split_whitespace().next().unwrap().to_owned()
            }
        };
        Ok(address.parse().unwrap())
    }

    /// Gets a page of the admin port: its status line, headers and body.
    pub(crate) fn page(&self, path: &str) -> String {
        let address = self.bound("admin_listen").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PAGE_DEADLINE)).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        self.said.lock().unwrap().extend(answer.as_bytes());
        answer
    }

    /// Whether it is ready; else why not.
    pub(crate) fn readiness(&self) -> Result<(), String> {
        let page = self.page("/readyz");
        if page.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(page) }
    }

    /// Waits until it is ready.
    pub(crate) fn await_ready(&self) {
        self.await_start();
        eventually("a webhook that is ready", || self.readiness());
    }

    /// The value of a metric, by its name and labels as they are shown; 0 when it is not there.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let page = self.page("/metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// How many certificates and authorities it has made.
    pub(crate) fn rotations(&self) -> f64 {
        self.metric("imageswap_certificate_rotations_total{result=\"issued\"}")
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// The lines that it logged with this message.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| line["message"] == message).cloned().collect()
    }

    /// The lines that it logged with this text anywhere.
    pub(crate) fn log_with(&self, text: &str) -> Vec<String> {
        let has_text = |value: &Value| value.as_str().is_some_and(|value| value.contains(text));
        let log = self.log.lock().unwrap();
        let lines = log.iter().filter(|line| match line {
            Value::Object(fields) => fields.values().any(has_text),
            line => has_text(line),
        });
        lines.map(Value::to_string).collect()
    }

    /// Waits until it has logged a line with this text.
    pub(crate) fn await_log(&self, text: &str) {
        eventually(&format!("a line with `{text}`"), || {
            if self.log_with(text).is_empty() { Err(self.log()) } else { Ok(()) }
        });
    }

    /// What it logged that is more than information.
    pub(crate) fn complaints(&self) -> Vec<Value> {
        let is_complaint = |line: &&Value| line["level"] != "INFO" && line["level"] != "DEBUG";
        self.log.lock().unwrap().iter().filter(is_complaint).cloned().collect()
    }

    /// Fails when it logged more than information.
    pub(crate) fn assert_calm(&self) {
        self.assert_calm_but_for(&[]);
    }

    /// Fails when it complained of anything else than this.
    pub(crate) fn assert_calm_but_for(&self, expected: &[&str]) {
        let mut complaints = self.complaints();
        complaints.retain(|complaint| {
            let complaint = complaint.to_string();
            !expected.iter().any(|expected| complaint.contains(expected))
        });
        expect(complaints, &Vec::<Value>::new()).unwrap();
    }

    /// Ends it at once, as when its node is lost.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends the signal to end.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub(crate) fn await_end(&mut self) -> ExitStatus {
        eventually("the end of a webhook", || self.child.try_wait().unwrap().ok_or("it runs"))
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the log of a webhook:");
            for line in self.log.lock().unwrap().iter() {
                eprintln!("{line}");
            }
        }
    }
}
