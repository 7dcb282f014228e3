//! The optional policy of the manifests refuses images of pods with the disable label.

use std::fs;

use serde_json::{Value, json};

use crate::{
    SWAPPED, Step, VALIDATING_POLICIES,
    control_plane::ControlPlane,
    eventually,
    objects::{LABEL, images, pod_of},
    swapping::Swapping,
};

/// The policy, with a placeholder for the registry.
const POLICY: &str = "deploy/enforce.yaml";

pub(crate) const STEPS: &[Step<Swapping>] =
    &[("a policy refuses images of pods with the disable label", disabled_images)];

/// Arguments of kubectl that create the pod on the standard input, without storing it.
const DRY_RUN: [&str; 3] = ["create", "--dry-run=server", "-f=-"];

fn disabled_images(swapping: &Swapping) {
    if !swapping.cluster.has(VALIDATING_POLICIES) {
        return;
    }
    let control_plane = &swapping.cluster.control_plane;
    control_plane.create(&disabled("running", "nginx:1.27"));
    let text = fs::read_to_string(POLICY).unwrap();
    let text = text.replace("registry.example.com/", "one.example.com/");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("enforce.yaml");
    fs::write(&file, text).unwrap();
    let file = format!("-f={}", file.display());
    control_plane.apply(&[&file]);
    let outsider = disabled("outsider", "nginx:1.27");
    let refusal =
        eventually("a refusal", || match control_plane.try_kubectl(&DRY_RUN, Some(&outsider)) {
            Ok(answer) => Err(answer),
            Err(refusal) => Ok(refusal),
        });
    assert!(refusal.contains("not at a mirror: nginx:1.27"), "{refusal}");
    assert_creations_checked(control_plane);
    assert_updates_checked(control_plane);
    control_plane.kubectl(&["delete", &file]);
    eventually("no refusal", || control_plane.try_kubectl(&DRY_RUN, Some(&outsider)));
}

/// Checks that the policy sees images after the swap, and in all fields.
fn assert_creations_checked(control_plane: &ControlPlane) {
    let mut pod = pod_of("enforced", &["nginx:1.27"]);
    pod["spec"]["initContainers"] = json!([{ "name": "init", "image": "busybox" }]);
    pod["spec"]["volumes"] = json!([
        { "name": "scratch", "emptyDir": {} },
        { "name": "model", "image": { "reference": "ghcr.io/acme/model:v3" } },
    ]);
    assert_eq!(
        images(&control_plane.create(&pod)),
        [
            "init=one.example.com/busybox",
            "app=one.example.com/nginx:1.27",
            "model=one.example.com/acme/model:v3",
        ]
    );
    // A host of which the mirror is only a prefix is not the mirror.
    for (list, entry, image) in [
        ("initContainers", json!({ "name": "init", "image": "busybox" }), "busybox"),
        (
            "volumes",
            json!({ "name": "model", "image": { "reference": "one.example.com.evil/m" } }),
            "one.example.com.evil/m",
        ),
    ] {
        let mut pod = disabled("outsider", "one.example.com/nginx:1.27");
        pod["spec"][list] = json!([entry]);
        let refusal = control_plane.try_kubectl(&DRY_RUN, Some(&pod)).unwrap_err();
        assert!(refusal.contains(&format!("not at a mirror: {image}")), "{refusal}");
    }
}

/// Checks that a pod from before the policy can be changed, but that no other image outside the mirror can be added.
fn assert_updates_checked(control_plane: &ControlPlane) {
    control_plane.kubectl(&["label", "pod", "running", "-n", SWAPPED, "stage=test"]);
    let set = ["set", "image", "pod/running", "app=nginx:1.28", "-n", SWAPPED];
    let refusal = control_plane.try_kubectl(&set, None).unwrap_err();
    assert!(refusal.contains("not at a mirror: nginx:1.28"), "{refusal}");
    let debug =
        ["debug", "running", "--container=late", "--image=quay.io/tools/debug:1", "-n", SWAPPED];
    let refusal = control_plane.try_kubectl(&debug, None).unwrap_err();
    assert!(refusal.contains("not at a mirror: quay.io/tools/debug:1"), "{refusal}");
}

/// Returns a pod with the disable label.
fn disabled(name: &str, image: &str) -> Value {
    let mut pod = pod_of(name, &[image]);
    pod["metadata"]["labels"] = json!({ LABEL: "disabled" });
    pod
}
