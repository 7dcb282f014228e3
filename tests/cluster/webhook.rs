//! The program as a process, connected to the cluster.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    eventually, expect,
    secrecy::{self, Output},
};

/// Timeout for a page of the admin port.
const PAGE_DEADLINE: Duration = Duration::from_secs(10);

/// A folder of files that the program reads.
pub(crate) struct Files(TempDir);

impl Files {
    /// Creates a folder with a map.
    pub(crate) fn new(map: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("maps.conf", map);
        files
    }

    /// Replaces a file atomically, by a rename.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let new = self.path(".new");
        fs::write(&new, content).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    /// Returns the path of a file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A command of the program, and its environment.
#[derive(Clone)]
pub(crate) struct Launch {
    /// Name by which the program is started, if it is another one.
    name: Option<&'static str>,
    arguments: Vec<&'static str>,
    environment: Vec<(&'static str, String)>,
}

impl Launch {
    /// Creates a launch of a command that listens on free ports and logs in JSON.
    pub(crate) fn new(command: &'static str) -> Self {
        Self { name: None, arguments: vec![command], environment: Vec::new() }
            .with("IMAGESWAP_LISTEN", "127.0.0.1:0")
            .with("IMAGESWAP_ADMIN_LISTEN", "127.0.0.1:0")
            .with("IMAGESWAP_LOG_FORMAT", "json")
            // The most verbose level, so that the search for secrets covers all messages.
            .with("IMAGESWAP_LOG_LEVEL", "DEBUG")
            // Long enough to remove the endpoint, which happens at once here.
            .with("IMAGESWAP_SHUTDOWN_DELAY", "1s")
    }

    /// Starts the program by another name, with other arguments.
    pub(crate) fn named(mut self, name: &'static str, arguments: &[&'static str]) -> Self {
        self.name = Some(name);
        self.arguments = arguments.to_vec();
        self
    }

    /// Sets an environment variable.
    pub(crate) fn with(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.environment.retain(|(set, _)| *set != variable);
        self.environment.push((variable, value.into()));
        self
    }

    /// Moves the clock of the program by an offset such as `+2h`. The monotonic clock stays.
    pub(crate) fn with_clock(self, offset: &str) -> Self {
        let library = std::env::var("IMAGESWAP_FAKETIME");
        let library =
            library.unwrap_or_else(|_| panic!("IMAGESWAP_FAKETIME is set by .ci/cluster"));
        self.with("LD_PRELOAD", library)
            .with("FAKETIME", offset)
            .with("FAKETIME_DONT_FAKE_MONOTONIC", "1")
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

    /// Starts the program without waiting.
    pub(crate) fn spawn(&self) -> Webhook {
        let program = env!("CARGO_BIN_EXE_imageswap");
        let mut child = Command::new(program)
            .arg0(self.name.unwrap_or(program))
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(variable, value)| (variable, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let printed = secrecy::record_output();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut output = child.stdout.take().unwrap();
        let output_reader = thread::spawn({
            let printed = printed.clone();
            move || {
                let mut text = Vec::new();
                output.read_to_end(&mut text).unwrap();
                printed.lock().unwrap().extend(text);
            }
        });
        let log_reader = thread::spawn({
            let (log, printed) = (log.clone(), printed.clone());
            move || {
                for line in lines {
                    let line = line.unwrap();
                    printed.lock().unwrap().extend([line.as_bytes(), b"\n"].concat());
                    let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                    log.lock().unwrap().push(line);
                }
            }
        });
        Webhook { child, log, printed, readers: vec![output_reader, log_reader] }
    }
}

/// The program, running until it is dropped.
pub(crate) struct Webhook {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    /// The output, the log and the pages of the process.
    printed: Output,
    /// The threads that read what the process writes. They end after the process.
    readers: Vec<JoinHandle<()>>,
}

impl Webhook {
    /// Waits until its ports are bound.
    pub(crate) fn await_start(&self) {
        eventually("the start of the webhook", || self.bound("listen"));
    }

    /// Returns the address for reviews.
    pub(crate) fn address(&self) -> SocketAddr {
        self.bound("listen").unwrap()
    }

    /// Returns an address from the log message of the start, or the whole log if the message is missing.
    fn bound(&self, listener: &str) -> Result<SocketAddr, Vec<Value>> {
        // One snapshot: the message may come at any time.
        let log = self.log();
        let address = log.iter().find_map(|line| match line {
            // The log may be in the text format.
            Value::String(text) if text.contains("imageswap started") => {
                let (_, rest) = text.split_once(&format!(" {listener}="))?;
                rest.split_whitespace().next()
            }
            line if line["message"] == "imageswap started" => line[listener].as_str(),
            _ => None,
        });
        match address {
            Some(address) => Ok(address.parse().unwrap()),
            None => Err(log),
        }
    }

    /// Gets a page of the admin port. Returns the status line, headers and body.
    pub(crate) fn page(&self, path: &str) -> String {
        let address = self.bound("admin_listen").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PAGE_DEADLINE)).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        self.printed.lock().unwrap().extend(answer.as_bytes());
        answer
    }

    /// Returns the page as the error if the webhook is not ready.
    pub(crate) fn readiness(&self) -> Result<(), String> {
        let page = self.page("/readyz");
        if page.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(page) }
    }

    /// Waits until it is ready.
    pub(crate) fn await_ready(&self) {
        self.await_start();
        eventually("a webhook that is ready", || self.readiness());
    }

    /// Returns the value of a metric with this name and these labels; 0 if it is missing.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let page = self.page("/metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Returns the number of certificates and authorities that it has issued.
    pub(crate) fn rotations(&self) -> f64 {
        self.metric("imageswap_certificate_rotations_total{result=\"issued\"}")
    }

    /// Returns the whole log.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// Returns the log lines with this message.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| line["message"] == message).cloned().collect()
    }

    /// Returns the log lines that contain this text in any field.
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

    /// Returns the log lines at the levels WARN and ERROR.
    pub(crate) fn warnings(&self) -> Vec<Value> {
        let is_warning = |line: &&Value| line["level"] != "INFO" && line["level"] != "DEBUG";
        self.log.lock().unwrap().iter().filter(is_warning).cloned().collect()
    }

    /// Fails if it has logged a warning or an error.
    pub(crate) fn assert_no_warnings(&self) {
        self.assert_no_warnings_except(&[]);
    }

    /// Fails if it has logged a warning or an error without one of these texts.
    pub(crate) fn assert_no_warnings_except(&self, expected: &[&str]) {
        let mut warnings = self.warnings();
        warnings.retain(|warning| {
            let warning = warning.to_string();
            !expected.iter().any(|expected| warning.contains(expected))
        });
        expect(warnings, &Vec::<Value>::new()).unwrap();
    }

    /// Kills the process at once, as if its node were lost.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Returns the status of the process if it has exited.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until the process has exited by itself, and all of its log is read.
    pub(crate) fn await_end(&mut self) -> ExitStatus {
        let status = eventually("the end of a webhook", || self.ended().ok_or("it runs"));
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status
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
