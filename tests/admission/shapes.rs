//! Variations of captured reviews: labels, mirror pods, updates, other kinds, escapes, and malformed pods.

use std::time::{Duration, Instant};

use imageswap::admission::{Edit, Review, plan};
use serde_json::{Map, Value, json};

use crate::{Changes, LABEL, MAP, assert_answer, edited, fixture, world};

pub(crate) const POD: &str = "00-create-pod";
pub(crate) const UPDATE: &str = "02-update-pod";
pub(crate) const DEPLOYMENT: &str = "04-create-deployment";
const CRON_JOB: &str = "05-create-cronjob";

/// Expected changes of the deployment if nothing prevents a swap.
pub(crate) const DEPLOYMENT_CHANGES: Changes = &[
    ("/spec/template/spec/initContainers/0/image", "hub.corp/mirror-docker.io/busybox"),
    (
        "/spec/template/spec/containers/0/image",
        "d.io/acme/api@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7",
    ),
];

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) review: Value,
    pub(crate) outcome: &'static str,
    pub(crate) changes: Changes,
}

pub(crate) fn assert_cases(cases: impl IntoIterator<Item = Case>) {
    for case in cases {
        assert_answer(case.name, &case.review, MAP, case.outcome, case.changes);
    }
}

#[test]
fn the_disable_label_leaves_the_object_alone() {
    let disabled = json!({ LABEL: "disabled", "app": "x" });
    for (name, review, pointer) in [
        ("label on the pod", POD, "/metadata/labels"),
        ("label on the deployment", DEPLOYMENT, "/metadata/labels"),
        ("label on the pod template", DEPLOYMENT, "/spec/template/metadata/labels"),
        (
            "label on the pod template of a cron job",
            CRON_JOB,
            "/spec/jobTemplate/spec/template/metadata/labels",
        ),
    ] {
        let pointer = format!("/request/object{pointer}");
        let review = edited(review, &[(&pointer, disabled.clone())]);
        assert_answer(name, &review, MAP, "disabled", &[]);
    }
    let labelled = json!({ "labels": disabled });
    let edits = [("/request/object/spec/jobTemplate/metadata", labelled.clone())];
    let review = edited(CRON_JOB, &edits);
    assert_answer("label on the job template of a cron job", &review, MAP, "disabled", &[]);

    // Only a CronJob has a job template.
    let edits = [("/request/object/spec/jobTemplate", json!({ "metadata": labelled }))];
    let review = edited(DEPLOYMENT, &edits);
    assert_answer("job template of a deployment", &review, MAP, "swapped", DEPLOYMENT_CHANGES);

    let enabled = edited(POD, &[("/request/object/metadata/labels", json!({ LABEL: "enabled" }))]);
    let other = edited(POD, &[("/request/object/metadata/labels", json!({ "x": "disabled" }))]);
    for review in [enabled, other] {
        assert_answer("not disabled", &review, "default::", "unchanged", &[]);
    }
}

/// The API server validates labels only after it has called the webhook.
#[test]
fn many_labels_are_read_in_time() {
    // To compare each label with all others would take minutes. A busy machine needs a second or two.
    const LONGEST: Duration = Duration::from_secs(30);
    let labels: Map<_, _> =
        (0..300_000).map(|number| (format!("l{number}"), json!("disabled"))).collect();
    let body = edited(POD, &[("/request/object/metadata/labels", json!(labels))]).to_string();
    let world = world(MAP);
    let begun = Instant::now();
    let review = Review::from_slice(body.as_bytes()).unwrap();
    assert_eq!(plan(&review, &world).outcome.as_str(), "swapped");
    assert!(begun.elapsed() < LONGEST, "{:?}", begun.elapsed());
}

#[test]
fn a_mirror_pod_is_left_alone() {
    let annotations = json!({ "kubernetes.io/config.mirror": "3f2a" });
    assert_cases([Case {
        name: "mirror pod",
        review: edited(POD, &[("/request/object/metadata/annotations", annotations)]),
        outcome: "mirror-pod",
        changes: &[],
    }]);
}

#[test]
fn an_update_leaves_images_that_only_move() {
    let old_pod = || fixture(UPDATE)["request"]["oldObject"].clone();
    assert_cases([
        Case {
            name: "containers in another order",
            review: {
                let containers = old_pod()["spec"]["containers"].clone();
                let swapped_order = json!([containers[1], containers[0]]);
                edited(UPDATE, &[("/request/object/spec/containers", swapped_order)])
            },
            outcome: "unchanged",
            changes: &[],
        },
        Case {
            name: "a container moves to the init containers",
            review: {
                let container = old_pod()["spec"]["containers"][1].clone();
                let edits = [
                    ("/request/object/spec/containers", json!([])),
                    ("/request/object/spec/initContainers/-", container),
                ];
                edited(UPDATE, &edits)
            },
            outcome: "unchanged",
            changes: &[],
        },
    ]);
}

#[test]
fn an_update_changes_only_new_images() {
    assert_cases([
        Case {
            name: "another container takes over an image",
            review: edited(
                UPDATE,
                &[(
                    "/request/object/spec/containers",
                    json!([{ "name": "new", "image": "nginx:1.27" }]),
                )],
            ),
            outcome: "swapped",
            changes: &[("/spec/containers/0/image", "hub.corp/mirror-docker.io/nginx:1.27")],
        },
        Case {
            name: "a new image volume, and an old one with a new image",
            review: edited(
                UPDATE,
                &[(
                    "/request/object/spec/volumes",
                    json!([
                        { "name": "more", "image": { "reference": "quay.io/a/b" } },
                        { "name": "model", "image": { "reference": "ghcr.io/acme/model:v4" } },
                    ]),
                )],
            ),
            outcome: "swapped",
            changes: &[
                ("/spec/containers/0/image", "hub.corp/mirror-docker.io/nginx:1.28"),
                ("/spec/volumes/0/image/reference", "quay.corp/a/b"),
                ("/spec/volumes/1/image/reference", "h.io/acme/model:v4"),
            ],
        },
        Case {
            name: "an ephemeral container that is there already, and a new one",
            review: edited(
                "03-update-pod-ephemeralcontainers",
                &[
                    (
                        "/request/oldObject/spec/ephemeralContainers",
                        json!([{ "name": "old", "image": "busybox:1.35" }]),
                    ),
                    (
                        "/request/object/spec/ephemeralContainers",
                        json!([
                            { "name": "old", "image": "busybox:1.36" },
                            { "name": "new", "image": "busybox:1.36" },
                        ]),
                    ),
                ],
            ),
            outcome: "swapped",
            changes: &[(
                "/spec/ephemeralContainers/1/image",
                "hub.corp/mirror-docker.io/busybox:1.36",
            )],
        },
    ]);
}

#[test]
fn an_update_without_an_old_object_changes_all_images() {
    const EXPORTER: &str = "/request/object/spec/containers/1";
    assert_cases([Case {
        name: "no old object",
        review: edited(
            UPDATE,
            &[
                ("/request/oldObject", Value::Null),
                ("/request/object/spec/volumes", Value::Null),
                ("/request/object/spec/initContainers", json!([])),
                (EXPORTER, json!({ "name": "exporter" })),
            ],
        ),
        outcome: "swapped",
        changes: &[("/spec/containers/0/image", "hub.corp/mirror-docker.io/nginx:1.28")],
    }]);
}

#[test]
fn the_pod_of_every_kind_is_found() {
    let pod_spec = json!({ "containers": [{ "name": "a", "image": "quay.io/a/b" }] });
    let template = json!({ "spec": pod_spec });
    let kinds =
        ["StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "Rollout"];
    for kind in kinds {
        let review = edited(
            DEPLOYMENT,
            &[
                ("/request/kind/kind", json!(kind)),
                ("/request/object", json!({ "kind": kind, "spec": { "template": template } })),
            ],
        );
        let changes: Changes = &[("/spec/template/spec/containers/0/image", "quay.corp/a/b")];
        assert_answer(kind, &review, MAP, "swapped", changes);
    }
    let review = edited(
        DEPLOYMENT,
        &[
            ("/request/kind/kind", json!("PodTemplate")),
            ("/request/object", json!({ "kind": "PodTemplate", "template": template })),
        ],
    );
    let changes: Changes = &[("/template/spec/containers/0/image", "quay.corp/a/b")];
    assert_answer("PodTemplate", &review, MAP, "swapped", changes);
}

#[test]
fn kinds_and_operations_without_images_are_allowed_untouched() {
    let untouched = [
        ("Scale", json!({ "kind": "Scale", "spec": { "replicas": 3 } }), "UPDATE"),
        ("PodExecOptions", json!({ "kind": "PodExecOptions", "command": ["sh"] }), "CONNECT"),
        ("Pod", json!({ "spec": { "containers": [{ "name": "a", "image": "b" }] } }), "DELETE"),
        ("Pod", Value::Null, "CREATE"),
        ("Pod", json!("text"), "CREATE"),
        ("Widget", json!({ "spec": { "template": "text" } }), "CREATE"),
        ("Widget", json!({ "spec": { "template": { "spec": [1, 2] } } }), "CREATE"),
        ("CronJob", json!({ "spec": { "jobTemplate": { "spec": null } } }), "CREATE"),
    ];
    for (kind, object, operation) in untouched {
        let edits = [
            ("/request/kind/kind", json!(kind)),
            ("/request/operation", json!(operation)),
            ("/request/object", object),
        ];
        assert_answer(kind, &edited(POD, &edits), MAP, "no-images", &[]);
    }
}

#[test]
fn malformed_parts_of_a_pod_are_skipped_and_the_rest_is_swapped() {
    let containers = json!([
        null,
        "text",
        { "name": 1, "image": { "a": [1e3, -2, true] } },
        { "image": "quay.io/a/b" },
        ["quay.io/a/b"],
        { "name": "no image" },
        { "name": "null image", "image": null },
        { "name": "c", "image": "quay.io/c" },
    ]);
    let edits = [
        ("/request/object/spec/containers", containers),
        ("/request/object/spec/initContainers", json!({ "image": "quay.io/a/b" })),
        ("/request/object/spec/volumes", json!([{ "name": "v", "image": "quay.io/a" }])),
        ("/request/object/metadata", json!(["labels"])),
    ];
    let changes: Changes = &[
        ("/spec/containers/3/image", "quay.corp/a/b"),
        ("/spec/containers/7/image", "quay.corp/c"),
    ];
    assert_answer("odd shapes", &edited(POD, &edits), MAP, "swapped", changes);
}

#[test]
fn escapes_in_strings_are_read_and_written() {
    let containers = json!([
        { "name": "é\"\\\n", "image": "quay.io/a\"b\\c\u{7}é" },
        { "name": "b", "image": "quay.io/b" },
    ]);
    let edits = [
        ("/request/uid", json!("u\"i\\d\n")),
        ("/request/object/spec/containers", containers),
        ("/request/object/spec/initContainers", json!([])),
        ("/request/object/spec/volumes", json!([])),
    ];
    // An image with such characters is not valid. An escape of another character is decoded.
    let changes: Changes = &[("/spec/containers/1/image", "quay.corp/b")];
    let review = edited(POD, &edits);
    assert_answer("escapes", &review, MAP, "swapped", changes);
    let escaped = review.to_string().replace("quay.io/b", "quay\\u002eio\\/b");
    let parsed = Review::from_slice(escaped.as_bytes()).unwrap();
    let world = world(MAP);
    let Edit::Image { to, .. } = plan(&parsed, &world).edits[0];
    assert_eq!(to.to_string(), "quay.corp/b");
}

#[test]
fn a_pod_of_the_largest_size_is_read() {
    // The API server accepts objects of up to 3 MiB.
    let environment: Vec<_> =
        (0..3000).map(|n| json!({ "name": format!("V{n}"), "value": "x".repeat(1000) })).collect();
    let edits = [
        ("/request/object/spec/containers/0/env", json!(environment)),
        ("/request/oldObject/spec/containers/0/env", json!(environment)),
    ];
    let changes: Changes = &[("/spec/containers/0/image", "hub.corp/mirror-docker.io/nginx:1.28")];
    assert_answer("large", &edited(UPDATE, &edits), MAP, "swapped", changes);
}
