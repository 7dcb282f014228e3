//! kubectl, run as the administrator.

use serde_json::{Value, json};
use support::kubectl;

use crate::{control_plane::ControlPlane, eventually};

impl ControlPlane {
    /// Runs kubectl as the administrator, with an object as its input, and returns its output.
    pub(crate) fn try_kubectl(
        &self,
        arguments: &[&str],
        input: Option<&Value>,
    ) -> Result<String, String> {
        let mut kubectl = self.command("kubectl");
        kubectl.arg("--kubeconfig=admin.kubeconfig");
        kubectl::run(kubectl, arguments, input)
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
