//! The selectors of the templates: pods that are left out, and the namespace of the webhook.

use std::fs;

use serde_json::json;

use crate::{
    Cluster, MAP, MATCH_CONDITIONS, PODS, Step,
    install::repository,
    objects::{images, pod_of},
    webhook::Files,
};

/// A label that each operator sets on its pods.
const OPERATORS: [(&str, &str); 5] = [
    ("aerospike.com/cr", "db"),
    ("application", "spilo"),
    ("cnpg.io/cluster", "db"),
    ("nifi_cr", "flow"),
    ("olm.catalogSource", "catalog"),
];

const WARNING: &str = "webhook template does not exclude the namespace of ImageSwap";

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("pods of operators that compare images are left out", operators),
    ("the documented condition leaves out mirror pods", mirror_pods),
    ("a template that selects the namespace of ImageSwap gets a warning", own_namespace),
];

fn operators(cluster: &Cluster) {
    cluster.clear_state();
    let template = repository("deploy/components/operators/imageswap-mwc.yaml");
    let files = Files::new(MAP);
    let launch = cluster.managed(&files).with_path("IMAGESWAP_MWC_TEMPLATE_FILE", template);
    let webhook = launch.start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    let created = |label: &str, value: &str| {
        let mut pod = pod_of("operated", &["db:1"]);
        pod["metadata"]["labels"] = json!({ label: value });
        images(&cluster.api.post(&format!("{PODS}?dryRun=All"), &pod))
    };
    for (label, value) in OPERATORS {
        assert_eq!(created(label, value), ["app=db:1"], "{label}");
    }
    assert_eq!(created("application", "web"), ["app=one.example.com/db:1"]);
    webhook.assert_no_warnings();
}

fn mirror_pods(cluster: &Cluster) {
    if !cluster.has(MATCH_CONDITIONS) {
        return;
    }
    cluster.clear_state();
    let page = fs::read_to_string(repository("docs/configuration.md")).unwrap();
    let (_, condition) = page.split_once("```yaml\n    matchConditions:").unwrap();
    let (condition, _) = condition.split_once("```").unwrap();
    let template = fs::read_to_string(repository("config/imageswap-mwc.yaml")).unwrap();
    let files = Files::new(MAP);
    files.write("mwc.yaml", &format!("{template}    matchConditions:{condition}"));
    let launch = cluster.managed(&files);
    let launch = launch.with_path("IMAGESWAP_MWC_TEMPLATE_FILE", files.path("mwc.yaml"));
    let webhook = launch.start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    // Pods without annotations, and their subresources, are still swapped.
    let stored = cluster.create(&pod_of("debugged", &["web:1"]));
    assert_eq!(images(&stored), ["app=one.example.com/web:1"]);
    let path = format!("{PODS}/debugged/ephemeralcontainers");
    let containers = json!([{ "name": "debugger", "image": "tool:1" }]);
    let debugged =
        cluster.api.patch(&path, &json!({ "spec": { "ephemeralContainers": containers } }));
    let expected = ["app=one.example.com/web:1", "debugger=one.example.com/tool:1"];
    assert_eq!(images(&debugged), expected);
    cluster.api.delete(&format!("{PODS}/debugged"));
    webhook.assert_no_warnings();
    // As in a cold start: no replica answers.
    drop(webhook);
    cluster.service.set_endpoints(&[]);
    cluster.service.cut();
    let trial = |annotation: &str| {
        let mut pod = pod_of("static", &["static:1"]);
        pod["spec"]["nodeName"] = json!("node");
        pod["metadata"]["annotations"] = json!({ annotation: "0123" });
        cluster.api.try_post(&format!("{PODS}?dryRun=All"), &pod)
    };
    let refusal = trial("kubernetes.io/config.source").unwrap_err().to_string();
    assert!(refusal.contains("failed calling webhook"), "{refusal}");
    assert_eq!(images(&trial("kubernetes.io/config.mirror").unwrap()), ["app=static:1"]);
    cluster.clear_state();
}

fn own_namespace(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let template =
        fs::read_to_string(repository("deploy/components/cluster-wide/imageswap-mwc.yaml"));
    let template = template.unwrap().replace("failurePolicy: Fail", "failurePolicy: Ignore");
    let launch = cluster.managed(&files);
    let launch = launch.with_path("IMAGESWAP_MWC_TEMPLATE_FILE", files.path("mwc.yaml"));
    files.write("mwc.yaml", &template);
    launch.start_ready().assert_no_warnings();
    files.write("mwc.yaml", &template.replace(", imageswap-system", ""));
    let webhook = launch.start_ready();
    let warnings = webhook.logged(WARNING);
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0]["field"], "webhooks[0].namespaceSelector");
    webhook.assert_no_warnings_except(&[WARNING]);
    // From outside the cluster, pods of this namespace are as others.
    let outside = launch.with("IMAGESWAP_WEBHOOK_URL", cluster.service.url());
    outside.start_ready().assert_no_warnings();
    cluster.clear_state();
}
