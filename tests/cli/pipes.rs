//! A standard output that does not take what is printed.

use std::io::{BufRead, BufReader, Read, Seek};

use crate::{RULES, Workspace};

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let broken = format!("{}\n", "b".repeat(200)).repeat(1000);
    let workspace = Workspace::new(&[("rules", RULES), ("broken", &broken)]);
    // What the program prints must be more than the 64 KiB that a pipe holds.
    let images = "nginx\n".repeat(100_000);
    // arguments, the first line
    for (arguments, first) in [
        (&["swap", "--maps", "rules"][..], "d.io/nginx"),
        (&["swap", "--maps", "rules", "--output", "json"], r#"{"image":"nginx","#),
        (&["check", "broken"], "warning[missing-default]"),
        (&["check", "--output", "json", "broken"], r#"{"file":"broken","#),
    ] {
        let mut errors = tempfile::tempfile().unwrap();
        let (mut child, description) = workspace.imageswap(arguments).input(&images).start(&errors);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with(first), "{description}: {line}");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{description}");
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
    ] {
        let mut invocation = workspace.imageswap(arguments);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = invocation.0.stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let expected = b"error: No space left on device (os error 28)\n";
        assert_eq!(output.stderr, expected, "{arguments:?}");
    }
}

#[test]
fn an_error_that_nobody_reads_is_still_one() {
    let workspace = Workspace::new(&[("rules", RULES)]);
    for arguments in [&["swap", "--maps", "missing", "x"][..], &["check", "missing", "rules"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut invocation = workspace.imageswap(arguments);
        let output = invocation.0.stderr(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
