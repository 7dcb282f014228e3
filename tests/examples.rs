//! The programs in `examples/`, run as their documentation says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env,
    fs::{self, File},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

/// The patch for `REVIEW` with the map of the example.
const PATCH: &str = concat!(
    r#"[{"op":"replace","path":"/spec/initContainers/0/image","value":"registry.example.com/library/busybox:1.36"},"#,
    r#"{"op":"replace","path":"/spec/containers/0/image","value":"registry.example.com/nginx:1.27"},"#,
    r#"{"op":"replace","path":"/spec/containers/1/image","#,
    r#""value":"registry.example.com/prometheus/node-exporter:v1.8.2"},"#,
    r#"{"op":"replace","path":"/spec/volumes/0/image/reference","value":"registry.example.com/acme/model:v3"}]"#,
);

/// A review that creates a pod with four images, relative to the root of the repository.
const REVIEW: &str = "tests/fixtures/reviews/00-create-pod.json";

/// Returns a path in the repository.
fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// Runs an example from the root of the repository. Cargo builds it first if it is out of date.
fn run(example: &str, arguments: &[&str], input: Stdio) -> Output {
    let mut cargo = Command::new(env!("CARGO"));
    // These describe this test. Build scripts that read them would run again, and with them half of the build.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_PKG_") {
            cargo.env_remove(&name);
        }
    }
    cargo
        .args(["run", "--quiet", "--locked", "--example", example, "--"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(input)
        .output()
        .unwrap()
}

/// Returns what a program that succeeded has printed.
fn printed(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn decide_prints_what_its_documentation_shows() {
    let images = ["nginx:1.27", "quay.io/prometheus/node-exporter", "ghcr.io/acme/web:2"];
    let output = printed(run("decide", &images, Stdio::null()));
    let source = fs::read_to_string(path("examples/decide.rs")).unwrap();
    let session = format!("$ cargo run --example decide -- {}\n{output}", images.join(" "));
    let lines: Vec<_> = session.lines().map(|line| format!("//! {line}\n")).collect();
    let documentation = format!("//! ```console\n{}//! ```\n", lines.concat());
    assert!(source.contains(&documentation), "not in examples/decide.rs:\n{documentation}");
}

#[test]
fn review_answers_a_review_from_a_file_and_from_standard_input() {
    let from_file = printed(run("review", &[REVIEW], Stdio::null()));
    let input = Stdio::from(File::open(path(REVIEW)).unwrap());
    assert_eq!(from_file, printed(run("review", &[], input)));

    let review: Value = serde_json::from_slice(&fs::read(path(REVIEW)).unwrap()).unwrap();
    let answer: Value = serde_json::from_str(&from_file).unwrap();
    let response = &answer["response"];
    assert_eq!(response["uid"], review["request"]["uid"]);
    assert_eq!(response["allowed"], true);
    let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(patch).unwrap(), PATCH);
}

#[test]
fn review_refuses_what_is_not_a_review() {
    let output = run("review", &[], Stdio::null());
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("the input is not an AdmissionReview"), "{errors}");
}
