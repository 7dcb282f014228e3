//! `pod-monitor.yaml`: it finds the pods and the port of the manifests.

use serde_json::Value;

use crate::{prometheus::JOB, read};

fn object(file: &str) -> Value {
    serde_saphyr::from_str(&read(file)).unwrap()
}

#[test]
fn the_pod_monitor_selects_the_pods_and_the_port_of_the_deployment() {
    let monitor = object("deploy/observability/pod-monitor.yaml");
    let deployment = object("deploy/manifests/deployment.yaml");
    let namespace = object("deploy/manifests/namespace.yaml");
    let pod = &deployment["spec"]["template"];
    for (label, value) in monitor["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&pod["metadata"]["labels"][label], value, "{label}");
    }
    let ports = pod["spec"]["containers"][0]["ports"].as_array().unwrap();
    let admin = ports.iter().find(|port| port["containerPort"] == 8080).unwrap();
    assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["port"], admin["name"]);
    let (of, name) = (&monitor["metadata"]["namespace"], &monitor["metadata"]["name"]);
    assert_eq!(of, &namespace["metadata"]["name"]);
    // The name that the operator gives the job, by which two of the alerts find it.
    assert_eq!(format!("{}/{}", of.as_str().unwrap(), name.as_str().unwrap()), JOB);
}
