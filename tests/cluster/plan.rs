//! `imageswap plan`, with the rights of its role.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::{
    Cluster, MAP, PLAIN, PODS, Step, install::repository, objects::pod_of, webhook::Files,
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("plan counts the images of the cluster, page by page, with the rights of its role", counted),
    ("plan says what failed", failures),
];

/// Number of pods: more than the API server returns in one answer.
const PODS_COUNT: usize = 620;

/// A command of `plan` with a kubeconfig.
struct Plan {
    kubeconfig: PathBuf,
}

impl Plan {
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_imageswap"))
            .arg("plan")
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig)
            .output()
            .unwrap()
    }

    /// Returns the rows in JSON, and checks the exit code.
    fn rows(&self, arguments: &[&str], code: i32) -> Vec<Value> {
        let output = self.run(&[arguments, &["--output", "json"]].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &*errors), (Some(code), ""), "{arguments:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Returns the command with the rights of the role.
fn with_role(cluster: &Cluster) -> Plan {
    let control_plane = &cluster.control_plane;
    control_plane.apply(&["-f", repository("deploy/plan-role.yaml").to_str().unwrap()]);
    let apply = ["apply", "--server-side", "-f=-"];
    for object in [
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": { "name": "planner", "namespace": PLAIN },
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": { "name": "planner" },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "imageswap-plan",
            },
            "subjects": [{ "kind": "ServiceAccount", "name": "planner", "namespace": PLAIN }],
        }),
    ] {
        control_plane.try_kubectl(&apply, Some(&object)).unwrap();
    }
    let token = control_plane.kubectl(&["create", "token", "planner", "-n", PLAIN]);
    let kubeconfig = control_plane.identities().write_token_kubeconfig("planner", token.trim());
    Plan { kubeconfig }
}

fn counted(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new("default::one.example.com\nquay.io::\n");
    let map = files.path("maps.conf").display().to_string();
    let plan = with_role(cluster);
    for number in 0..PODS_COUNT {
        let mut pod = pod_of(&format!("planned-{number}"), &["nginx:1.27", "quay.io/a/b:2"]);
        pod["metadata"]["namespace"] = json!(PLAIN);
        pod["metadata"]["labels"] = json!({ "planned": "yes" });
        if number == 0 {
            pod["metadata"]["labels"]["k8s.twr.io/imageswap"] = json!("disabled");
        }
        cluster.api.post(&PODS.replace("swapped", PLAIN), &pod);
    }
    let flags = ["--maps", &map, "--selector", "planned=yes"];
    let output = plan.run(&flags);
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8(output.stderr).unwrap();
    let warning = "the webhook configuration imageswap-webhook does not exist";
    assert!(errors.contains(warning), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let table = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let expected = [
        "IMAGE BECOMES PODS NAMESPACES RULE".to_owned(),
        format!("nginx:1.27 one.example.com/nginx:1.27 619 plain {map}:1 default"),
        "nginx:1.27 stays (disabled) 1 plain".to_owned(),
        "quay.io/a/b:2 stays (disabled) 1 plain".to_owned(),
        format!("quay.io/a/b:2 stays (registry) 619 plain {map}:2 quay.io"),
        "620 pods in 1 namespace: 1 image changes, 0 not selected, 2 unchanged".to_owned(),
    ];
    assert_eq!(table.collect::<Vec<_>>(), expected);
    let webhook = cluster.managed(&files).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    // Now there is a configuration. The namespace has no label, so its pods are not selected.
    let rows = plan.rows(&flags, 0);
    let found = rows.iter().map(|row| [&row["changes"], &row["selected"], &row["pods"]]);
    let none = [&json!(false), &json!(false), &json!(619)];
    assert_eq!(found.collect::<Vec<_>>()[0], none);
    let mut pod = pod_of("planned-excluded", &["redis:7"]);
    pod["metadata"]["annotations"] = json!({ "k8s.twr.io/imageswap-skip": "app" });
    pod["metadata"]["labels"] = json!({ "planned": "excluded" });
    cluster.create(&pod);
    // Other pods of the namespace were created with other maps.
    let flags = ["--maps", &map, "--namespace", "swapped", "--selector", "planned=excluded"];
    let rows = plan.rows(&flags, 0);
    let row = rows.iter().find(|row| row["image"] == "redis:7").unwrap();
    assert_eq!((&row["reason"], &row["selected"]), (&json!("excluded"), &json!(true)));
    for number in 0..PODS_COUNT {
        cluster.api.delete(&format!("{}/planned-{number}", PODS.replace("swapped", PLAIN)));
    }
    webhook.assert_no_warnings();
}

fn failures(cluster: &Cluster) {
    let files = Files::new(MAP);
    let map = files.path("maps.conf").display().to_string();
    // An account without rights.
    let control_plane = &cluster.control_plane;
    let token = control_plane.kubectl(&["create", "token", "default", "-n", PLAIN]);
    let kubeconfig = control_plane.identities().write_token_kubeconfig("nobody", token.trim());
    let plan = Plan { kubeconfig };
    let refused = plan.run(&["--maps", &map]);
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("error: list namespaces: ") && errors.contains("forbidden"),
        "{errors}"
    );
    let unknown = plan.run(&["--maps", &map, "--context", "nowhere"]);
    let errors = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{errors}");
    assert!(errors.contains("--context: ") && errors.contains("nowhere"), "{errors}");
    let missing = with_role(cluster).run(&["--maps", &map, "--namespace", "missing"]);
    let errors = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("error: get Namespace missing: "), "{errors}");
}
