//! kubectl, run as the administrator.

use std::{io::Write, process::Stdio};

use serde_json::{Value, json};

use crate::{control_plane::ControlPlane, eventually};

impl ControlPlane {
    /// Runs kubectl as the administrator, with an object as its input, and returns its output.
    pub(crate) fn try_kubectl(
        &self,
        arguments: &[&str],
        input: Option<&Value>,
    ) -> Result<String, String> {
        let mut child = self
            .command("kubectl")
            .args(["--kubeconfig=admin.kubeconfig", "--request-timeout=30s"])
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

    /// Runs a kubectl command, which must succeed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments, None).unwrap()
    }

    /// Creates an object, and returns the stored object.
    pub(crate) fn create(&self, object: &Value) -> Value {
        parsed(&self.try_kubectl(&["create", "-f=-", "-o=json"], Some(object)).unwrap())
    }

    /// Reads objects with these arguments of `kubectl get`.
    pub(crate) fn stored(&self, arguments: &[&str]) -> Value {
        parsed(&self.kubectl(&[&["get", "-o=json"], arguments].concat()))
    }

    /// Applies the manifests that the arguments name. Fails if the API server warns.
    pub(crate) fn apply(&self, arguments: &[&str]) {
        let apply = ["apply", "--server-side", "--warnings-as-errors"];
        self.kubectl(&[&apply, arguments].concat());
    }

    /// Creates a namespace, and waits until pods can be created in it.
    pub(crate) fn create_namespace(&self, name: &str, labels: &Value) {
        self.create(&json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name, "labels": labels },
        }));
        eventually("the default account", || {
            self.try_kubectl(&["get", "serviceaccount", "default", "-n", name], None)
        });
    }
}

/// Parses the output of kubectl with `-o=json`.
pub(crate) fn parsed(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap()
}
