//! `plan` with an API server that answers as the test says. `tests/cluster` runs it with a real one.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Finished, Workspace,
    api_server::{Answer, Answers, ApiServer, status},
};

pub(crate) const MAP: &str = "default::new.io\n";

/// Runs `plan` with the map and with a kubeconfig of a server.
fn plan(server: &ApiServer, arguments: &[&str]) -> Finished {
    let config = server.kubeconfig();
    let workspace = Workspace::new(&[("map", MAP), ("kubeconfig", &config)]);
    let flags = ["plan", "--maps", "map", "--kubeconfig", "kubeconfig"];
    workspace.imageswap(&[&flags[..], arguments].concat()).run()
}

/// Returns a page of a list with the token for the next one.
pub(crate) fn list(items: &[Value], next: &str) -> Answer {
    Answer::Body(200, json!({ "metadata": { "continue": next }, "items": items }))
}

/// Returns a pod with one container.
pub(crate) fn pod(name: &str, image: &str) -> Value {
    json!({
        "metadata": { "name": name, "namespace": "shop" },
        "spec": { "containers": [{ "name": "web", "image": image }] },
    })
}

/// A pod whose image the webhook has rewritten and recorded.
fn recorded(name: &str, original: &str, image: &str) -> Value {
    let mut pod = pod(name, image);
    let record = json!({ "web": original }).to_string();
    pod["metadata"]["annotations"] = json!({ "k8s.twr.io/imageswap-original": record });
    pod
}

/// Returns the answers of a cluster with one namespace and with pods, without a webhook configuration.
pub(crate) fn cluster(pods: Vec<Answer>) -> Answers {
    let namespace = json!({ "metadata": { "name": "shop" } });
    BTreeMap::from([
        ("/api/v1/namespaces".to_owned(), vec![list(&[namespace], "")]),
        ("/api/v1/pods".to_owned(), pods),
    ])
}

/// Adds the webhook configuration with rules for these resources.
fn with_webhook(answers: &mut Answers, rules: &Value) {
    const PATH: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": "imageswap-webhook" },
        "webhooks": [{
            "name": "a.b.c",
            "admissionReviewVersions": ["v1"],
            "clientConfig": {},
            "sideEffects": "None",
            "rules": rules,
        }],
    });
    let answer = Answer::Body(200, configuration);
    answers.insert(format!("{PATH}/imageswap-webhook"), vec![answer]);
}

fn rule(group: &str, resources: &[&str]) -> Value {
    json!({
        "operations": ["CREATE"],
        "apiGroups": [group],
        "apiVersions": ["*"],
        "resources": resources,
    })
}

/// Returns the lines of a table with single spaces.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn two_maps_are_compared_on_what_the_pods_were_made_from() {
    let pods = [
        recorded("a", "nginx:1", "old.io/nginx:1"),
        pod("b", "quay.io/a:1"),
        pod("c", "old.io/redis:7"),
    ];
    let mut answers = cluster(vec![list(&pods, "")]);
    with_webhook(&mut answers, &json!([rule("", &["pods"])]));
    let server = ApiServer::start(answers);
    let old = ("old", "default::old.io\nquay.io::\n");
    let new = ("new", "default::new.io\nquay.io::\nold.io::\n");
    let flags = ["--maps", "new", "--against", "old"];
    let run = |flags: &[&str]| {
        let config = server.kubeconfig();
        let workspace = Workspace::new(&[old, new, ("kubeconfig", &config)]);
        let all = [&["plan", "--kubeconfig", "kubeconfig"], flags].concat();
        workspace.imageswap(&all).run()
    };
    let compared = run(&flags);
    assert_eq!((compared.code, &*compared.stderr), (Some(3), ""));
    let expected = [
        "IMAGE AGAINST BECOMES PODS NAMESPACES RULE AGAINST RULE",
        "nginx:1 old.io/nginx:1 new.io/nginx:1 1 shop old:1 default new:1 default",
        "3 pods in 1 namespace: 1 image differs, 0 not selected, 2 the same",
    ];
    let lines = lines(&compared.stdout);
    assert_eq!(lines[..3], expected);
    assert!(
        lines[3].starts_with("note: 1 image of pods is already rewritten, and has no original")
    );
    let json = run(&[&flags[..], &["--output", "json"]].concat());
    assert!(
        json.stderr.starts_with("note: 1 image of pods is already rewritten"),
        "{}",
        json.stderr
    );
    let row: Value = serde_json::from_str(&json.stdout).unwrap();
    let expected = json!({
        "result": "old.io/nginx:1",
        "reason": "default",
        "rule": "default",
        "file": "old",
        "line": 1,
    });
    assert_eq!((&row["against"], &row["changes"]), (&expected, &json!(true)));
    let same = run(&["--maps", "old", "--against", "old"]);
    assert_eq!(same.code, Some(0), "{}", same.stdout);
    assert!(same.stdout.starts_with("3 pods in 1 namespace: 0 images differ"), "{}", same.stdout);
    let missing = run(&["--maps", "old", "--against", "none"]);
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.starts_with("error: --against: "), "{}", missing.stderr);
}

#[test]
fn an_image_of_an_older_map_is_named() {
    let pods =
        [recorded("a", "nginx:1", "old.io/nginx:1"), recorded("b", "nginx:2", "new.io/nginx:2")];
    let server = ApiServer::start(cluster(vec![list(&pods, "")]));
    let run = plan(&server, &[]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    let expected = [
        "IMAGE BECOMES PODS NAMESPACES RULE",
        "old.io/nginx:1 new.io/nginx:1 (older map) 1 shop map:1 default",
        "new.io/nginx:2 stays (already-swapped) 1 shop map:1 default",
        "2 pods in 1 namespace: 0 images change, 1 of an older map, 0 not selected, 1 unchanged",
    ];
    assert_eq!(lines(&run.stdout), expected);
}

#[test]
fn workloads_are_decided_as_the_pods_that_they_create() {
    let template = |image: &str| {
        let containers = json!([{ "name": "web", "image": image }]);
        json!({ "metadata": { "labels": null }, "spec": { "containers": containers } })
    };
    let workload = |name: &str, image: &str, owners: Value| {
        json!({
            "metadata": { "name": name, "namespace": "shop", "ownerReferences": owners },
            "spec": { "template": template(image) },
        })
    };
    let owned = json!([{ "apiVersion": "apps/v1", "kind": "Deployment", "controller": true }]);
    let cron = json!({
        "metadata": { "name": "cron", "namespace": "shop" },
        "spec": { "jobTemplate": { "spec": { "template": template("cron:1") } } },
    });
    let cluster_resource = json!({
        "metadata": { "name": "db", "namespace": "shop" },
        "spec": { "imageName": "postgres:17" },
    });
    let answers = || {
        let mut answers = cluster(vec![list(&[pod("a", "web:1")], "")]);
        for (path, items) in [
            ("/apis/apps/v1/deployments", vec![workload("web", "web:1", json!(null))]),
            ("/apis/apps/v1/replicasets", vec![workload("rs", "gone:1", owned.clone())]),
            ("/apis/apps/v1/statefulsets", vec![]),
            ("/apis/apps/v1/daemonsets", vec![]),
            ("/apis/batch/v1/jobs", vec![]),
            ("/apis/batch/v1/cronjobs", vec![cron.clone()]),
            ("/apis/postgresql.cnpg.io/v1/clusters", vec![cluster_resource.clone()]),
        ] {
            answers.insert(path.to_owned(), vec![list(&items, "")]);
        }
        let version = json!({ "groupVersion": "postgresql.cnpg.io/v1", "version": "v1" });
        let groups = json!({
            "groups": [
                { "name": "apps", "versions": [], "preferredVersion": version },
                { "name": "postgresql.cnpg.io", "versions": [version], "preferredVersion": version },
            ],
        });
        let resource = |name: &str, kind: &str| {
            json!({
                "name": name,
                "kind": kind,
                "singularName": "",
                "namespaced": true,
                "verbs": ["get", "list"],
            })
        };
        let resources = json!({
            "groupVersion": "postgresql.cnpg.io/v1",
            "resources": [
                resource("clusters", "Cluster"),
                resource("clusters/status", "Cluster"),
                resource("backups", "Backup"),
            ],
        });
        answers.insert("/apis".to_owned(), vec![Answer::Body(200, groups)]);
        answers
            .insert("/apis/postgresql.cnpg.io/v1".to_owned(), vec![Answer::Body(200, resources)]);
        answers
    };
    for (rules, becomes) in [
        // The webhook is asked about the pods of a workload, not about custom resources.
        (json!([rule("", &["pods"])]), "stays (no rule of the webhook)"),
        (
            json!([rule("", &["pods"]), rule("postgresql.cnpg.io", &["clusters"])]),
            "new.io/postgres:17",
        ),
    ] {
        let mut answers = answers();
        with_webhook(&mut answers, &rules);
        let run = plan(&ApiServer::start(answers), &["--workloads", "--sites", "-A"]);
        assert_eq!((run.code, &*run.stderr), (Some(3), ""));
        let lines = lines(&run.stdout);
        let rows = [
            "cron:1 new.io/cron:1 0 1 shop map:1 default".to_owned(),
            "web:1 new.io/web:1 1 1 shop map:1 default".to_owned(),
            format!("postgres:17 {becomes} 0 1 shop map:1 default"),
        ];
        assert_eq!(lines[0], "IMAGE BECOMES PODS WORKLOADS NAMESPACES RULE");
        for row in rows {
            assert!(lines.contains(&row), "{row}: {lines:#?}");
        }
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert!(lines[4].starts_with("1 pod and 3 workloads in 1 namespace: "), "{}", lines[4]);
    }
}

#[test]
fn pods_of_an_operator_that_compares_images_are_noted() {
    let mut pod = pod("db-1", "postgres:17");
    pod["metadata"]["ownerReferences"] =
        json!([{ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "controller": true }]);
    let server = ApiServer::start(cluster(vec![list(&[pod], "")]));
    let run = plan(&server, &[]);
    let note = "note: 1 pod with changes belongs to postgresql.cnpg.io/Cluster, whose operator";
    assert!(run.stdout.contains(note), "{}", run.stdout);
}

#[test]
fn yaml_and_markdown_have_the_same_images() {
    let server = ApiServer::start(cluster(vec![list(&[pod("a", "nginx:1")], "")]));
    let run = plan(&server, &["--output", "yaml"]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(
        run.stdout.starts_with("- image: \"nginx:1\"\n")
            || run.stdout.starts_with("- image: nginx:1\n"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("\n  changes: true\n"), "{}", run.stdout);
    let run = plan(&server, &["--output", "github"]);
    let row = "\n| `nginx:1` | `new.io/nginx:1` | 1 | `shop` | `map:1 default` |\n";
    assert!(run.stdout.contains(row), "{}", run.stdout);
}

#[test]
fn ignored_files_beside_the_maps_of_namespaces_are_reported() {
    let server = ApiServer::start(cluster(vec![list(&[pod("a", "nginx:1")], "")]));
    let config = server.kubeconfig();
    let files = [("map", MAP), ("kubeconfig", &*config), ("shop.conf", "default::shop.io\n")];
    let workspace = Workspace::new(&files);
    let run = workspace
        .imageswap(&["plan", "--maps", "map", "--kubeconfig", "kubeconfig"])
        .variable("IMAGESWAP_NAMESPACE_MAPS_DIR", ".")
        .run();
    assert!(run.stdout.contains("shop.io/nginx:1"), "{}", run.stdout);
    let warning = "warning: ./map: not a map of a namespace; name the file as the namespace, with the ending .conf\n";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
}

#[test]
fn a_list_begins_anew_if_its_revision_is_gone() {
    let gone = status(410, "Expired", "The provided continue parameter is too old");
    let mut answers = cluster(vec![
        list(&[pod("a", "first:1")], "1"),
        list(&[pod("a", "first:1"), pod("b", "second:1")], ""),
    ]);
    answers.insert("/api/v1/pods continue=1".to_owned(), vec![gone]);
    let run = plan(&ApiServer::start(answers), &[]);
    let summary = "2 pods in 1 namespace: 2 images change, 0 not selected, 0 unchanged";
    assert_eq!((run.code, lines(&run.stdout).last().unwrap().as_str()), (Some(3), summary));
}

#[test]
fn a_list_that_never_lasts_fails() {
    let gone = status(410, "Expired", "The provided continue parameter is too old");
    let mut answers = cluster(vec![list(&[pod("a", "first:1")], "1")]);
    answers.insert("/api/v1/pods continue=1".to_owned(), vec![gone]);
    let run = plan(&ApiServer::start(answers), &[]);
    assert_eq!((run.code, &*run.stdout), (Some(1), ""));
    let error = "error: list pods after the first 1: The provided continue parameter is too old";
    assert!(run.stderr.contains(error), "{}", run.stderr);
}

#[test]
fn a_connection_that_ends_midway_tells_how_much_was_read() {
    let mut answers = cluster(vec![list(&[pod("a", "nginx:1"), pod("b", "nginx:1")], "1")]);
    answers.insert("/api/v1/pods continue=1".to_owned(), vec![Answer::Cut]);
    let run = plan(&ApiServer::start(answers), &[]);
    assert_eq!((run.code, &*run.stdout), (Some(1), ""));
    assert!(run.stderr.contains("error: list pods after the first 2: "), "{}", run.stderr);
}

#[test]
fn a_busy_api_server_is_asked_again_when_it_says() {
    let busy = Answer::RetryAfter(1);
    let server = ApiServer::start(cluster(vec![busy, list(&[pod("a", "nginx:1")], "")]));
    let start = Instant::now();
    let run = plan(&server, &[]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    let pods = server.asked().into_iter().filter(|path| path == "/api/v1/pods");
    assert_eq!(pods.count(), 2);
}

#[test]
fn a_kubeconfig_that_cannot_be_used_is_named() {
    let workspace = Workspace::new(&[("map", MAP), ("broken", "apiVersion: [\n")]);
    for (file, expected) in [
        ("none", "error: the kubeconfig none: No such file or directory"),
        ("broken", "error: the kubeconfig broken: line "),
    ] {
        let run = workspace.imageswap(&["plan", "--maps", "map", "--kubeconfig", file]).run();
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(run.stderr.starts_with(expected), "{}", run.stderr);
    }
    let run = workspace.imageswap(&["plan", "--maps", "map", "-A", "-n", "shop"]).run();
    assert_eq!(run.code, Some(2), "{}", run.stderr);
}
