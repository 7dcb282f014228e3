//! The program on the command line: output and exit code of each command.
//!
//! The tests start the program with a clean environment, each in a directory of its own. A running `serve` is
//! tested in `tests/server`; here it always fails to start.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arguments;
mod check;
#[cfg(target_os = "linux")]
mod colors;
mod completions;
mod explain;
mod maps;
mod pipes;
mod serve;
mod stdin;
mod swap;

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::{Read, Seek, Write},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use support::secrets::Secrets;
use tempfile::TempDir;

/// A map with a rule of every kind, one on each line.
const RULES: &str = "\
default::d.io
noswap_wildcards::keep.io,local
[EXACT]e.io/x:1::d.io/exact:2
[REPLACE]*/cuda:*::d.io/gpu
q.io::d.io/q
off.io::
";

/// How long the program may run. Each test takes milliseconds; the limit only keeps a `serve` that
/// starts by mistake from running for ever.
const DEADLINE: Duration = Duration::from_mins(1);

/// A directory with the files of one test, in which the program runs.
struct Workspace(TempDir);

impl Workspace {
    fn new<C: AsRef<[u8]>>(files: &[(&str, C)]) -> Self {
        let workspace = Self(TempDir::new().unwrap());
        for (name, content) in files {
            fs::write(workspace.0.path().join(name), content).unwrap();
        }
        workspace
    }

    /// The program with these arguments, an empty standard input, and none of the settings that
    /// the environment of the tests may hold.
    fn imageswap<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Invocation {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imageswap"));
        command.args(arguments).current_dir(&self.0);
        for (name, _) in env::vars_os() {
            let is_setting = name.as_encoded_bytes().starts_with(b"IMAGESWAP_");
            // All but the first change how the program prints.
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

    /// Gives the program a file with `content` as its standard input, so that nobody has to write
    /// while it runs.
    fn input(mut self, content: impl AsRef<[u8]>) -> Self {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content.as_ref()).unwrap();
        file.rewind().unwrap();
        self.0.stdin(file);
        self
    }

    /// Runs the program to its end.
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

    /// Starts the program with its standard output in a pipe.
    fn start(&mut self, errors: &File) -> (Child, String) {
        let command = self.0.stdout(Stdio::piped()).stderr(errors.try_clone().unwrap());
        (command.spawn().unwrap(), format!("{command:?}"))
    }
}

/// What came of a run.
struct Finished {
    description: String,
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Finished {
    /// Checks that all went well and nothing but `stdout` was printed.
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

    /// The lines of the standard output, each a JSON object with exactly `fields`.
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
