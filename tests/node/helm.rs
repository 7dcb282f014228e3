//! The Helm chart, by the commands of docs/helm.md, while pods are created in a namespace with the label.

use std::{fs, path::PathBuf, time::Instant};

use serde_json::{Value, json};

use crate::{
    Part, Step, eventually,
    installation::{DEPLOYMENT, NAMESPACE},
    node::Node,
    print_time,
    stream::{self, Stream},
};

pub(crate) const STEPS: &[Step] = &[
    ("no creation fails while Helm installs and uninstalls", short, Part::Smoke),
    (
        "no creation fails while Helm installs, upgrades, rolls back and uninstalls",
        full,
        Part::Full,
    ),
];

const AUTHORITY: &str = "/api/v1/namespaces/imageswap-system/secrets/imageswap-tls-ca";

const UPGRADE: &str = "helm upgrade imageswap deploy/helm/imageswap --namespace imageswap-system --values site.yaml --wait";

fn short(node: &Node) {
    let stream = Stream::start_without_webhook(node, "Helm");
    install(node, &stream);
    test(node, &stream);
    uninstall(node, &stream);
    stream.end();
    delete_namespace(node);
}

fn full(node: &Node) {
    let stream = Stream::start_without_webhook(node, "Helm");
    install(node, &stream);
    let authority = node.api().get(AUTHORITY).unwrap()["data"].clone();
    upgrade(node, &stream);
    assert_eq!(log_level(node), json!("DEBUG"));
    rollback(node, &stream);
    assert_eq!(log_level(node), Value::Null);
    assert_eq!(node.api().get(AUTHORITY).unwrap()["data"], authority, "another authority");
    test(node, &stream);
    uninstall(node, &stream);
    stream.end();
    delete_namespace(node);
}

fn install(node: &Node, stream: &Stream<'_>) {
    let begun = Instant::now();
    node.documented("kubectl apply --server-side --filename deploy/manifests/namespace.yaml", &[]);
    let map = fs::read_to_string("config/imageswap-maps.conf").unwrap();
    let values = values(node, "installed", &json!({ "maps": map }));
    node.documented(
        "helm install imageswap deploy/helm/imageswap --namespace imageswap-system --values site.yaml --wait",
        &[("site.yaml", values.to_str().unwrap())],
    );
    print_time("Helm has installed", begun);
    node.await_replicas(2);
    node.await_swaps_in(stream::NAMESPACE);
    print_time("pods are swapped", begun);
    stream.require_swaps(true);
    stream.await_creates(50);
    stream.check("installed");
}

/// Upgrades with values that lack the map. The new replicas still have it.
fn upgrade(node: &Node, stream: &Stream<'_>) {
    let begun = Instant::now();
    let values = values(node, "upgraded", &json!({ "settings": { "logLevel": "DEBUG" } }));
    node.documented(UPGRADE, &[("site.yaml", values.to_str().unwrap())]);
    node.await_replicas(2);
    print_time("Helm has upgraded", begun);
    stream.await_creates(50);
    stream.check("upgraded");
}

fn rollback(node: &Node, stream: &Stream<'_>) {
    let begun = Instant::now();
    node.documented("helm rollback imageswap --namespace imageswap-system --wait", &[]);
    node.await_replicas(2);
    print_time("Helm has rolled back", begun);
    stream.await_creates(50);
    stream.check("rolled back");
}

fn test(node: &Node, stream: &Stream<'_>) {
    let begun = Instant::now();
    let output = node.documented("helm test imageswap --namespace imageswap-system", &[]);
    assert!(output.contains("registry.example.com/official/nginx:1.27\n"), "{output}");
    print_time("Helm has tested", begun);
    stream.check("tested");
}

fn uninstall(node: &Node, stream: &Stream<'_>) {
    let begun = Instant::now();
    stream.require_swaps(false);
    node.documented("helm uninstall imageswap --namespace imageswap-system", &[]);
    print_time("Helm has uninstalled", begun);
    eventually("the end of the pods", || {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods");
        let pods = node.api().get(&path).unwrap()["items"].as_array().unwrap().len();
        if pods == 0 { Ok(()) } else { Err(pods) }
    });
    print_time("no pod is left", begun);
    stream.await_creates(50);
    stream.check("uninstalled");
    let left = node.left_of_webhook();
    assert_eq!(left, ["configmap/imageswap-maps".to_owned(), format!("namespace/{NAMESPACE}")]);
}

/// Deletes what Helm does not own.
fn delete_namespace(node: &Node) {
    node.documented("kubectl delete namespace imageswap-system", &[]);
    assert_eq!(node.left_of_webhook(), Vec::<String>::new());
}

/// Writes the values of a release, and returns the file.
fn values(node: &Node, name: &str, values: &Value) -> PathBuf {
    let file = node.disk(&format!("{name}.yaml"));
    fs::write(&file, values.to_string()).unwrap();
    file
}

/// Returns the log level in the environment of the webhook; null if it is not set.
fn log_level(node: &Node) -> Value {
    let deployment = node.api().get(DEPLOYMENT).unwrap();
    let environment = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let found = environment.as_array().unwrap().iter();
    let mut found = found.filter(|variable| variable["name"] == "IMAGESWAP_LOG_LEVEL");
    found.next().map_or(Value::Null, |variable| variable["value"].clone())
}
