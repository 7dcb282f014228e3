//! kubectl, and the files that tell it the cluster.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

/// Runs kubectl with these arguments and an object as its input, and returns its output.
///
/// `kubectl` is the command with the arguments that name the cluster.
pub fn run(
    mut kubectl: Command,
    arguments: &[&str],
    input: Option<&Value>,
) -> Result<String, String> {
    let mut child = kubectl
        .arg("--request-timeout=30s")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The input ends with the drop at the end of the statement.
    let written = child
        .stdin
        .take()
        .unwrap()
        .write_all(input.map(Value::to_string).unwrap_or_default().as_bytes());
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        written.unwrap();
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("kubectl {}: {}", arguments.join(" "), errors.trim()))
    }
}

/// Returns a kubeconfig with one cluster and one user, each with these fields.
pub fn config(cluster: &Value, user: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "test", "cluster": cluster }],
        "users": [{ "name": "test", "user": user }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "current-context": "test",
    })
}
