//! Tests of the command line: output and exit code of each command.
//!
//! Each test starts the program in a directory of its own, with a clean environment. Here `serve` always fails to
//! start; `tests/server` tests it while it runs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api_server;
mod arguments;
mod check;
mod check_hints;
mod check_pull_secrets;
mod check_sites;
mod check_targets;
#[cfg(target_os = "linux")]
mod colors;
mod completions;
mod config_maps;
mod explain;
mod export;
mod kubeconfig;
mod maps;
mod names;
mod namespaces;
mod pipes;
mod plan;
mod plan_cluster;
mod plan_verify;
mod review;
mod rewrite;
mod serve;
mod stdin;
mod swap;

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::{Read, Seek, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use support::secrets::Secrets;
use tempfile::TempDir;

/// A map with one rule of each kind.
const RULES: &str = "\
default::d.io
noswap_wildcards::keep.io,local
[EXACT]e.io/x:1::d.io/exact:2
[REPLACE]*/cuda:*::d.io/gpu
q.io::d.io/q
off.io::
";

/// Timeout for the program. Each test takes milliseconds; the timeout only ends a `serve` that starts by mistake.
const DEADLINE: Duration = Duration::from_mins(1);

/// A directory with the files of a test. The program runs in it.
struct Workspace(TempDir);

impl Workspace {
    fn new<C: AsRef<[u8]>>(files: &[(&str, C)]) -> Self {
        let workspace = Self(TempDir::new().unwrap());
        for (name, content) in files {
            fs::write(workspace.0.path().join(name), content).unwrap();
        }
        workspace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns the program with these arguments, an empty standard input, and no settings from the environment of the
    /// tests.
    fn imageswap<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Invocation {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imageswap"));
        command.args(arguments).current_dir(&self.0);
        for (name, _) in env::vars_os() {
            let is_setting = name.as_encoded_bytes().starts_with(b"IMAGESWAP_");
            // All but the first change the format of the output.
            let others =
                ["IMAGE_PREFIX", "CI", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "NO_COLOR", "TERM"];
            if is_setting || others.map(OsStr::new).contains(&&*name) {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null());
        Invocation(command)
    }
}

/// The program before it starts.
struct Invocation(Command);

impl Invocation {
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Sets standard input to a file with `content`. With a file, nothing has to be written while the program runs.
    fn input(mut self, content: impl AsRef<[u8]>) -> Self {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content.as_ref()).unwrap();
        file.rewind().unwrap();
        self.0.stdin(file);
        self
    }

    /// Runs the program until it exits.
    fn run(mut self) -> Finished {
        let mut errors = tempfile::tempfile().unwrap();
        let (mut child, description) = self.start(&errors);
        let mut pipe = child.stdout.take().unwrap();
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut output = String::new();
            sender.send(pipe.read_to_string(&mut output).map(|_| output))
        });
        let output = output.recv_timeout(DEADLINE);
        if output.is_err() {
            child.kill().unwrap();
        }
        let code = child.wait().unwrap().code();
        assert!(output.is_ok(), "still running after {DEADLINE:?}: {description}");
        errors.rewind().unwrap();
        let mut stderr = String::new();
        errors.read_to_string(&mut stderr).unwrap();
        let stdout = output.unwrap().unwrap();
        let found = Secrets::new().found_in([&*stdout, &*stderr].concat().as_bytes()).len();
        assert_eq!(found, 0, "a secret in {description}: {stdout} {stderr}");
        Finished { description, code, stdout, stderr }
    }

    /// Starts the program with standard output in a pipe.
    fn start(&mut self, errors: &File) -> (Child, String) {
        let command = self.0.stdout(Stdio::piped()).stderr(errors.try_clone().unwrap());
        (command.spawn().unwrap(), format!("{command:?}"))
    }
}

/// Exit code and output of a run.
struct Finished {
    description: String,
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Finished {
    /// Checks for exit code 0, and that only `stdout` was printed.
    #[track_caller]
    fn assert_success(&self, stdout: &str) {
        self.assert_exit(0, stdout, "");
    }

    /// Checks exit code and output.
    #[track_caller]
    fn assert_exit(&self, code: i32, stdout: &str, stderr: &str) {
        assert_eq!(self.stdout, stdout, "standard output of {}", self.description);
        assert_eq!(self.stderr, stderr, "standard error of {}", self.description);
        assert_eq!(self.code, Some(code), "exit code of {}", self.description);
    }

    /// Checks for exit code 2 and an error that contains `parts`.
    #[track_caller]
    fn assert_usage_error(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(2), "{}: {}", self.description, self.stderr);
        for part in parts.iter().chain(&["error: "]) {
            assert!(self.stderr.contains(part), "{part} in {}: {}", self.description, self.stderr);
        }
    }

    /// Returns the lines of standard output. Each must be a JSON object with exactly `fields`.
    #[track_caller]
    fn records(&self, fields: &[&str]) -> Vec<serde_json::Value> {
        let records: Vec<serde_json::Value> =
            self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut expected = fields.to_vec();
        expected.sort_unstable();
        for record in &records {
            let mut seen: Vec<_> = record.as_object().unwrap().keys().collect();
            seen.sort_unstable();
            assert_eq!(seen, expected, "{}", self.description);
        }
        records
    }
}
