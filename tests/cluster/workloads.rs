//! Workloads whose templates are swapped too. This needs more rules than the default configuration has.

use serde_json::{Value, json};

use crate::{
    SWAPPED, Step, eventually, expect,
    install::CONFIGURATION,
    kubectl::parsed,
    objects::{LABEL, images, workload},
    swapping::Swapping,
};

pub(crate) const STEPS: &[Step<Swapping>] = &[
    ("templates are swapped, and a second apply changes nothing", templates),
    ("a disabled Deployment has one ReplicaSet with any rules", disabled_deployment),
];

fn templates(swapping: &Swapping) {
    let control_plane = &swapping.cluster.control_plane;
    configure(swapping);
    for (api_version, kind) in [
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "StatefulSet"),
        ("batch/v1", "CronJob"),
        ("batch/v1", "Job"),
    ] {
        let manifest = workload(api_version, kind, "applied");
        let object = format!("{kind}/applied");
        let generation = || {
            let object = control_plane.stored(&[&object, "-n", SWAPPED]);
            object["metadata"]["generation"].as_u64().unwrap()
        };
        let mut generations = Vec::new();
        for _ in 0..2 {
            let apply = ["apply", "--server-side", "-f=-"];
            control_plane.try_kubectl(&apply, Some(&manifest)).unwrap();
            let images = swapping.template_images_of(&object);
            assert_eq!(images, ["app=one.example.com/nginx:1.27"], "{object}");
            generations.push(generation());
        }
        assert_eq!(generations[0], generations[1], "{object}");
    }
    control_plane.kubectl(&["delete", "mutatingwebhookconfiguration", "imageswap-workloads"]);
}

/// Checks that a disabled Deployment does not differ from the ReplicaSet that is created from its template.
fn disabled_deployment(swapping: &Swapping) {
    let control_plane = &swapping.cluster.control_plane;
    configure(swapping);
    let mut disabled = workload("apps/v1", "Deployment", "disabled");
    disabled["metadata"]["labels"] = json!({ LABEL: "disabled" });
    let deploy = |deployment: &Value| {
        let name = deployment["metadata"]["name"].as_str().unwrap().to_owned();
        control_plane.create(deployment);
        eventually(&format!("the Deployment {name} has its pods"), || {
            let stored = control_plane.stored(&["deployment", &name, "-n", SWAPPED]);
            expect(stored["status"]["updatedReplicas"].clone(), &json!(2))
        });
    };
    deploy(&disabled);
    // The controller handles one Deployment after the other, so it has now reconciled the first one again.
    deploy(&workload("apps/v1", "Deployment", "later"));
    let stored = control_plane.stored(&["deployment", "disabled", "-n", SWAPPED]);
    assert_eq!(images(&stored["spec"]["template"]), ["app=nginx:1.27"]);
    assert_eq!(stored["status"]["collisionCount"], Value::Null);
    let sets = control_plane.stored(&["replicasets", "-n", SWAPPED, "-l=app=disabled"]);
    assert_eq!(sets["items"].as_array().unwrap().len(), 1, "{sets:#}");
    assert_eq!(images(&sets["items"][0]["spec"]["template"]), ["app=nginx:1.27"]);
    let pods = control_plane.stored(&["pods", "-n", SWAPPED, "-l=app=disabled"]);
    for pod in pods["items"].as_array().unwrap() {
        assert_eq!(images(pod), ["app=one.example.com/nginx:1.27"]);
    }
    control_plane.kubectl(&["delete", "mutatingwebhookconfiguration", "imageswap-workloads"]);
}

/// Makes the API server send workloads too, through a configuration like the one that the webhook manages.
fn configure(swapping: &Swapping) {
    let control_plane = &swapping.cluster.control_plane;
    let managed = swapping.cluster.api.get(CONFIGURATION).unwrap();
    let mut webhook = managed["webhooks"][0].clone();
    webhook["rules"] = json!([
        rule("apps", &["daemonsets", "deployments", "replicasets", "statefulsets"]),
        rule("batch", &["cronjobs", "jobs"]),
    ]);
    control_plane.create(&json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": "imageswap-workloads" },
        "webhooks": [webhook],
    }));
    let template = workload("apps/v1", "Deployment", "probe");
    eventually("templates are swapped", || {
        let dry_run = ["create", "--dry-run=server", "-f=-", "-o=json"];
        let answer = control_plane.try_kubectl(&dry_run, Some(&template)).unwrap();
        let swapped = ["app=one.example.com/nginx:1.27"];
        expect(images(&parsed(&answer)["spec"]["template"]), &swapped)
    });
}

/// Returns a rule of a webhook configuration, for creations and updates of resources.
fn rule(group: &str, resources: &[&str]) -> Value {
    json!({
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": resources,
    })
}
