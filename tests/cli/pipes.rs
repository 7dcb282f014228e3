//! Standard output and standard error that are closed or full.

use std::io::{BufRead, BufReader, Read, Seek};

use crate::{RULES, Workspace};

#[test]
fn a_closed_standard_output_is_not_an_error() {
    let broken = format!("{}\n", "b".repeat(200)).repeat(900);
    let deprecated = (0..1000).map(|n| format!("{n}.{}.io:d.io", "b".repeat(60)));
    let deprecated = format!("default::d.io\n{}", deprecated.collect::<Vec<_>>().join("\n"));
    let files = [("rules", RULES), ("broken", &broken), ("deprecated", &deprecated)];
    let workspace = Workspace::new(&files);
    // The output must be larger than the 64 KiB that a pipe can buffer.
    let images = "nginx\n".repeat(100_000);
    // arguments, first line, exit code: for `check` it does not depend on the output
    for (arguments, first, code) in [
        (&["swap", "--maps", "rules"][..], "d.io/nginx", 0),
        (&["swap", "--maps", "rules", "--output", "json"], r#"{"image":"nginx","#, 0),
        (&["check", "broken"], "error[no-rules]", 1),
        (&["check", "--output", "json", "broken"], r#"{"file":"broken","#, 1),
        (&["check", "deprecated"], "warning[deprecated-separator]", 0),
        (&["check", "--deny-warnings", "deprecated"], "warning[deprecated-separator]", 1),
        (&["check", "deprecated", "broken"], "warning[deprecated-separator]", 1),
    ] {
        let mut errors = tempfile::tempfile().unwrap();
        let (mut child, description) = workspace.imageswap(arguments).input(&images).start(&errors);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with(first), "{description}: {line}");
        assert_eq!(child.wait().unwrap().code(), Some(code), "{description}");
        let mut stderr = String::new();
        errors.rewind().unwrap();
        errors.read_to_string(&mut stderr).unwrap();
        assert_eq!(stderr, "", "{description}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let workspace = Workspace::new(&[("rules", RULES)]);
    for arguments in [
        &["swap", "--maps", "rules", "nginx"][..],
        &["swap", "--maps", "rules", "--output", "json", "nginx"],
        &["explain", "--maps", "rules", "nginx"],
        &["check", "rules"],
        &["completions", "bash"],
    ] {
        let mut invocation = workspace.imageswap(arguments);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = invocation.0.stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let expected = b"error: standard output: No space left on device (os error 28)\n";
        assert_eq!(output.stderr, expected, "{arguments:?}");
    }
}

#[test]
fn a_closed_standard_error_keeps_the_exit_code() {
    let workspace = Workspace::new(&[("rules", RULES)]);
    for arguments in [&["swap", "--maps", "missing", "x"][..], &["check", "missing", "rules"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut invocation = workspace.imageswap(arguments);
        let output = invocation.0.stderr(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
