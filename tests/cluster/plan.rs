//! `imageswap plan`, with the rights of its role.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::{
    Cluster, MAP, PLAIN, PODS, Step, eventually,
    install::repository,
    objects::pod_of,
    sites::{define, postgres},
    webhook::Files,
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("plan counts the images of the cluster, page by page, with the rights of its role", counted),
    ("plan reads workloads and custom resources, with the rights of their roles", workloads),
    ("plan counts 2,000 pods of 60 images", many_pods),
    ("plan names the right that is missing", missing_rights),
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

/// Returns the command with the rights of these roles, as the account `name`.
fn with_roles(cluster: &Cluster, name: &str, roles: &[&str]) -> Plan {
    let control_plane = &cluster.control_plane;
    control_plane.apply(&["-f", repository("deploy/plan-role.yaml").to_str().unwrap()]);
    let apply = ["apply", "--server-side", "-f=-"];
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": { "name": name, "namespace": PLAIN },
    });
    control_plane.try_kubectl(&apply, Some(&account)).unwrap();
    for role in roles {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": { "name": format!("{name}-{role}") },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": role,
            },
            "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": PLAIN }],
        });
        control_plane.try_kubectl(&apply, Some(&binding)).unwrap();
    }
    let token = control_plane.kubectl(&["create", "token", name, "-n", PLAIN]);
    let kubeconfig = control_plane.identities().write_token_kubeconfig(name, token.trim());
    Plan { kubeconfig }
}

/// Returns the command with the rights of the role for pods.
fn with_role(cluster: &Cluster) -> Plan {
    with_roles(cluster, "planner", &["imageswap-plan"])
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

fn workloads(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new("default::one.example.com\n");
    let map = files.path("maps.conf").display().to_string();
    define(cluster, "postgresql.cnpg.io", "Cluster", "clusters");
    let roles = ["imageswap-plan", "imageswap-plan-workloads", "imageswap-plan-sites"];
    let plan = with_roles(cluster, "planner-of-all", &roles);
    let labels = json!({ "planned": "workload" });
    let spec = json!({ "containers": [{ "name": "app", "image": "nginx:1.27" }] });
    let mut template = json!({ "metadata": { "labels": labels }, "spec": spec });
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "planned", "namespace": PLAIN, "labels": labels },
        "spec": { "replicas": 0, "selector": { "matchLabels": labels }, "template": template },
    });
    template["spec"]["restartPolicy"] = json!("Never");
    let cron = json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": { "name": "planned", "namespace": PLAIN, "labels": labels },
        "spec": { "schedule": "0 0 1 1 *", "jobTemplate": { "spec": { "template": template } } },
    });
    let mut database = postgres("planned", "postgres:17");
    database["metadata"]["namespace"] = json!(PLAIN);
    database["metadata"]["labels"] = labels;
    let objects = [
        (format!("/apis/apps/v1/namespaces/{PLAIN}/deployments"), deployment),
        (format!("/apis/batch/v1/namespaces/{PLAIN}/cronjobs"), cron),
        (format!("/apis/postgresql.cnpg.io/v1/namespaces/{PLAIN}/clusters"), database),
    ];
    for (list, object) in &objects {
        cluster.api.post(list, object);
    }
    let flags = ["--maps", &map, "-l", "planned=workload", "--workloads", "--sites"];
    // The API server learns of the bindings a moment later.
    let printed = eventually("the rights of the roles", || {
        let output = plan.run(&flags);
        let printed = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        if output.status.code() == Some(3) { Ok(printed) } else { Err(errors) }
    });
    let table = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let expected = [
        "IMAGE BECOMES PODS WORKLOADS NAMESPACES RULE".to_owned(),
        format!("nginx:1.27 one.example.com/nginx:1.27 0 2 plain {map}:1 default"),
        format!("postgres:17 one.example.com/postgres:17 0 1 plain {map}:1 default"),
        "0 pods and 3 workloads in 1 namespace: 2 images change, 0 not selected, 0 unchanged"
            .to_owned(),
    ];
    assert_eq!(table.collect::<Vec<_>>(), expected);
    for (list, _) in &objects {
        cluster.api.delete(&format!("{list}/planned"));
    }
}

fn many_pods(cluster: &Cluster) {
    /// Number of requests at a time.
    const PARALLEL: usize = 16;
    cluster.clear_state();
    let files = Files::new("default::one.example.com\n");
    let map = files.path("maps.conf").display().to_string();
    let plan = with_role(cluster);
    let pods: kube::Api<Pod> = kube::Api::namespaced(cluster.api.client(), PLAIN);
    let create = |number: usize| {
        let mut pod = pod_of(&format!("many-{number}"), &[&format!("app-{}:1", number % 60)]);
        pod["metadata"]["namespace"] = json!(PLAIN);
        pod["metadata"]["labels"] = json!({ "planned": "many" });
        let (pods, pod) = (pods.clone(), serde_json::from_value(pod).unwrap());
        async move { pods.create(&PostParams::default(), &pod).await.unwrap() }
    };
    let created = stream::iter(0..2_000).map(create).buffer_unordered(PARALLEL);
    let created = cluster.api.runtime().block_on(created.count());
    assert_eq!(created, 2_000);
    let output = plan.run(&["--maps", &map, "-l", "planned=many", "--output", "json"]);
    assert_eq!(output.status.code(), Some(3));
    let lines = String::from_utf8(output.stdout).unwrap();
    let counts = lines.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        row["pods"].as_u64().unwrap()
    });
    let counts: Vec<_> = counts.collect();
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (60, 2_000));
    let delete = |number: usize| {
        let pods = pods.clone();
        async move {
            let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
            pods.delete(&format!("many-{number}"), &now).await.unwrap();
        }
    };
    let deleted = stream::iter(0..2_000).map(delete).buffer_unordered(PARALLEL);
    cluster.api.runtime().block_on(deleted.count());
}

/// The rights of the roles: group, resource, verb, and the flags that need it.
const RIGHTS: [(&str, &str, &str, &[&str]); 10] = [
    ("", "pods", "list", &[]),
    ("", "namespaces", "list", &[]),
    ("", "namespaces", "get", &["-n", PLAIN]),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "get", &[]),
    ("apps", "deployments", "list", &["--workloads"]),
    ("apps", "statefulsets", "list", &["--workloads"]),
    ("apps", "daemonsets", "list", &["--workloads"]),
    ("apps", "replicasets", "list", &["--workloads"]),
    ("batch", "jobs", "list", &["--workloads"]),
    ("batch", "cronjobs", "list", &["--workloads"]),
];

fn missing_rights(cluster: &Cluster) {
    let files = Files::new(MAP);
    let map = files.path("maps.conf").display().to_string();
    for (missing, (_, resource, verb, flags)) in RIGHTS.into_iter().enumerate() {
        let rights = RIGHTS.iter().enumerate().filter(|(number, _)| *number != missing);
        let rules = rights.map(|(_, (group, resource, verb, _))| {
            json!({ "apiGroups": [group], "resources": [resource], "verbs": [verb] })
        });
        let name = format!("planner-without-{verb}-{resource}");
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": { "name": name },
            "rules": rules.collect::<Vec<_>>(),
        });
        let apply = ["apply", "--server-side", "-f=-"];
        cluster.control_plane.try_kubectl(&apply, Some(&role)).unwrap();
        let plan = with_roles(cluster, &name, &[&name]);
        // The API server learns of the other rights a moment later.
        eventually("the error that names the right", || {
            let output = plan.run(&[&["--maps", &map], flags].concat());
            let errors = String::from_utf8(output.stderr).unwrap();
            let is_named = errors.contains(&format!("cannot {verb} resource \"{resource}\""))
                && errors.contains("; deploy/plan-role.yaml has the rights that plan needs");
            if is_named && output.status.code() == Some(1) { Ok(()) } else { Err(errors) }
        });
    }
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
    assert!(errors.contains("there is no context `nowhere`; the contexts are `test`"), "{errors}");
    let missing = with_role(cluster).run(&["--maps", &map, "--namespace", "missing"]);
    let errors = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("error: get Namespace missing: "), "{errors}");
}
