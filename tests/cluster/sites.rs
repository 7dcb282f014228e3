//! Images in custom resources, and operators that compare them with those of their pods.

use std::fs;

use serde_json::{Value, json};

use crate::{
    Cluster, MAP, PODS, Step, eventually, expect,
    install::repository,
    objects::{images, pod_of},
    webhook::{Files, Webhook},
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("an operator that compares images loops without its site, and rests with it", operator),
    ("a changed resource is swapped, its status is not", updated),
    ("the images of a Tekton Task are swapped, also if it is applied twice", task),
];

const CLUSTERS: &str = "/apis/postgresql.cnpg.io/v1/namespaces/swapped/clusters";

const TASKS: &str = "/apis/tekton.dev/v1/namespaces/swapped/tasks";

/// Installs a custom resource without a schema, if it is not there yet, and waits until it is served.
pub(crate) fn define(cluster: &Cluster, group: &str, kind: &str, resources: &str) {
    let any = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let schema = json!({
        "type": "object",
        "properties": { "spec": any, "status": any },
    });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{resources}.{group}") },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": { "plural": resources, "singular": kind.to_lowercase(), "kind": kind },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": schema },
                "subresources": { "status": {} },
            }],
        },
    });
    let apply = ["apply", "--server-side", "-f=-"];
    cluster.control_plane.try_kubectl(&apply, Some(&definition)).unwrap();
    let list = format!("/apis/{group}/v1/{resources}");
    eventually("the custom resource", || cluster.api.get(&list).ok_or("not served"));
}

pub(crate) fn postgres(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": { "name": name, "namespace": "swapped" },
        "spec": { "instances": 1, "imageName": image },
    })
}

/// Starts the webhook with the template in `files`.
fn start(cluster: &Cluster, files: &Files) -> Webhook {
    cluster.clear_state();
    let launch = cluster.managed(files);
    let launch = launch.with_path("IMAGESWAP_MWC_TEMPLATE_FILE", files.path("mwc.yaml"));
    let webhook = launch.start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    webhook
}

fn write_template(files: &Files, file: &str) {
    files.write("mwc.yaml", &fs::read_to_string(repository(file)).unwrap());
}

/// Waits until the images of custom resources are swapped.
fn await_sites(cluster: &Cluster) {
    eventually("a swapped resource", || {
        let probe = postgres("probe", "postgres:17");
        let stored = cluster.api.try_post(&format!("{CLUSTERS}?dryRun=All"), &probe).unwrap();
        expect(stored["spec"]["imageName"].clone(), &json!("one.example.com/postgres:17"))
    });
}

/// Does what an operator does that compares images: creates the pod of a resource, and recreates it if its image is not
/// the one in the resource. Returns true if it created a pod.
fn reconcile(cluster: &Cluster, name: &str) -> bool {
    let resource = cluster.api.get(&format!("{CLUSTERS}/{name}")).unwrap();
    let image = resource["spec"]["imageName"].as_str().unwrap();
    let path = format!("{PODS}/{name}-1");
    match cluster.api.get(&path) {
        Some(pod) if pod["spec"]["containers"][0]["image"] == image => return false,
        Some(_) => cluster.api.delete(&path),
        None => {}
    }
    let mut pod = pod_of(&format!("{name}-1"), &[image]);
    pod["metadata"]["labels"] = json!({ "cnpg.io/cluster": name });
    eventually("the pod of the operator", || cluster.api.try_post(PODS, &pod));
    true
}

fn operator(cluster: &Cluster) {
    define(cluster, "postgresql.cnpg.io", "Cluster", "clusters");
    let files = Files::new(MAP);
    write_template(&files, "config/imageswap-mwc.yaml");
    let webhook = start(cluster, &files);
    cluster.api.post(CLUSTERS, &postgres("before", "postgres:16"));
    for _ in 0..5 {
        assert!(reconcile(cluster, "before"), "the operator recreates its pod forever");
    }
    write_template(&files, "deploy/components/operators-sites/imageswap-mwc.yaml");
    await_sites(cluster);
    assert!(reconcile(cluster, "before"), "for the last time");
    let after = cluster.api.post(CLUSTERS, &postgres("after", "postgres:17"));
    assert_eq!(after["spec"]["imageName"], "one.example.com/postgres:17");
    assert!(reconcile(cluster, "after"));
    for (name, image) in [("before", "postgres:16"), ("after", "one.example.com/postgres:17")] {
        assert!(!reconcile(cluster, name), "{name}");
        let pod = cluster.api.get(&format!("{PODS}/{name}-1")).unwrap();
        assert_eq!(images(&pod), [format!("app={image}")]);
    }
    assert_eq!(cluster.probe(), ["app=one.example.com/probe:1"], "other pods are swapped");
    webhook.assert_no_warnings();
}

fn updated(cluster: &Cluster) {
    define(cluster, "postgresql.cnpg.io", "Cluster", "clusters");
    let files = Files::new(MAP);
    write_template(&files, "config/imageswap-mwc.yaml");
    let webhook = start(cluster, &files);
    let path = format!("{CLUSTERS}/updated");
    cluster.api.post(CLUSTERS, &postgres("updated", "postgres:16"));
    write_template(&files, "deploy/components/operators-sites/imageswap-mwc.yaml");
    await_sites(cluster);
    let image = |object: &Value| object["spec"]["imageName"].as_str().unwrap().to_owned();
    let label = json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "instances": 3 } });
    assert_eq!(image(&cluster.api.patch(&path, &label)), "postgres:16", "not introduced");
    let version = json!({ "spec": { "imageName": "postgres:17" } });
    let swapped = "one.example.com/postgres:17";
    assert_eq!(image(&cluster.api.patch(&path, &version)), swapped);
    assert_eq!(image(&cluster.api.patch(&path, &version)), swapped);
    let status = json!({ "status": { "image": "postgres:17" } });
    let stored = cluster.api.patch(&format!("{path}/status"), &status);
    assert_eq!((image(&stored), &stored["status"]), (swapped.to_owned(), &status["status"]));
    let mut owned = postgres("owned", "postgres:17");
    owned["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "parent", "uid": "1", "controller": true,
    }]);
    assert_eq!(image(&cluster.api.post(CLUSTERS, &owned)), "postgres:17");
    webhook.assert_no_warnings();
}

fn task(cluster: &Cluster) {
    define(cluster, "postgresql.cnpg.io", "Cluster", "clusters");
    define(cluster, "tekton.dev", "Task", "tasks");
    let files = Files::new(MAP);
    write_template(&files, "deploy/components/operators-sites/imageswap-mwc.yaml");
    let webhook = start(cluster, &files);
    await_sites(cluster);
    let task = json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "Task",
        "metadata": { "name": "build", "namespace": "swapped" },
        "spec": {
            "params": [{ "name": "image", "default": "nginx:1" }],
            "stepTemplate": { "image": "quay.io/a/base:1" },
            "steps": [
                { "name": "a", "image": "golang:1.24" },
                { "name": "b", "image": "$(params.image)" },
                { "name": "c", "image": "one.example.com/golang:1.24" },
            ],
            "sidecars": [{ "name": "d", "image": "docker:dind" }],
        },
    });
    for apply in [
        &["apply", "-f=-"][..],
        &["apply", "-f=-"],
        &["apply", "--server-side", "--force-conflicts", "-f=-"],
    ] {
        cluster.control_plane.try_kubectl(apply, Some(&task)).unwrap();
        let stored = cluster.api.get(&format!("{TASKS}/build")).unwrap();
        let image = |pointer: &str| stored.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        let found = [
            "/spec/stepTemplate",
            "/spec/steps/0",
            "/spec/steps/1",
            "/spec/steps/2",
            "/spec/sidecars/0",
        ];
        let found = found.map(|site| image(&format!("{site}/image")));
        let expected = [
            "one.example.com/a/base:1",
            "one.example.com/golang:1.24",
            "$(params.image)",
            "one.example.com/golang:1.24",
            "one.example.com/docker:dind",
        ];
        assert_eq!(found, expected, "{apply:?}");
        assert_eq!(stored["metadata"]["generation"], 1, "{apply:?} changes nothing");
        assert_eq!(stored["spec"]["params"], task["spec"]["params"]);
    }
    webhook.assert_no_warnings();
}
