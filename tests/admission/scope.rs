//! Images and objects that no map changes: controlled objects, and images that are never pulled.

use imageswap::{
    admission::{AdmissionSettings, Review, Scope, World, plan},
    rules::Reason,
};
use serde_json::{Value, json};

use crate::{
    MAP, assert_answer, edited,
    shapes::{Case, DEPLOYMENT, DEPLOYMENT_CHANGES, POD, assert_cases},
    world,
};

#[test]
fn controlled_objects_are_left_alone_unless_they_are_pods() {
    let owner = |controller: Value| {
        json!([
            { "kind": "Namespace", "name": "other", "uid": "1" },
            { "kind": "Deployment", "name": "web", "uid": "2", "controller": controller },
        ])
    };
    let owned_by = |name: &str, owners: Value| {
        edited(name, &[("/request/object/metadata/ownerReferences", owners)])
    };
    assert_cases([
        Case {
            name: "an object with a controller",
            review: owned_by(DEPLOYMENT, owner(json!(true))),
            outcome: "owned",
            changes: &[],
        },
        Case {
            name: "an object whose owner is no controller",
            review: owned_by(DEPLOYMENT, owner(json!(false))),
            outcome: "swapped",
            changes: DEPLOYMENT_CHANGES,
        },
        Case {
            name: "an owner that does not say",
            review: owned_by(DEPLOYMENT, owner(Value::Null)),
            outcome: "swapped",
            changes: DEPLOYMENT_CHANGES,
        },
        Case {
            name: "something that is no list of owners",
            review: owned_by(DEPLOYMENT, json!({ "controller": true })),
            outcome: "swapped",
            changes: DEPLOYMENT_CHANGES,
        },
        Case {
            name: "owners that are no objects",
            review: owned_by(DEPLOYMENT, json!([true, "controller", [{ "controller": true }]])),
            outcome: "swapped",
            changes: DEPLOYMENT_CHANGES,
        },
        Case {
            name: "a controller on the pod template",
            review: edited(
                DEPLOYMENT,
                &[("/request/object/spec/template/metadata/ownerReferences", owner(json!(true)))],
            ),
            outcome: "swapped",
            changes: DEPLOYMENT_CHANGES,
        },
    ]);
    let pod = owned_by("06-create-pod", owner(json!(true)));
    assert_answer("a pod with a controller", &pod, "default::", "unchanged", &[]);
}

#[test]
fn never_pulled_images_are_left_alone_by_default() {
    let never = edited(
        POD,
        &[
            ("/request/object/spec/initContainers/0/imagePullPolicy", json!("Never")),
            ("/request/object/spec/containers/0/imagePullPolicy", json!("IfNotPresent")),
            ("/request/object/spec/containers/1/imagePullPolicy", json!("never")),
            ("/request/object/spec/volumes/0/image/pullPolicy", json!("Never")),
        ],
    );
    assert_answer(
        "pull policies",
        &never,
        MAP,
        "swapped",
        &[
            ("/spec/containers/0/image", "hub.corp/mirror-docker.io/nginx:1.27"),
            ("/spec/containers/1/image", "quay.corp/prometheus/node-exporter:v1.8.2"),
        ],
    );
    let body = never.to_string();
    let review = Review::from_slice(body.as_bytes()).unwrap();
    let count = |swaps_never_pulled: bool| {
        let scope = Scope { swaps_never_pulled, ..Scope::default() };
        let settings = AdmissionSettings { scope, ..AdmissionSettings::default() };
        let world = World { settings, ..world(MAP) };
        let plan = plan(&review, &world);
        (plan.images[Reason::NeverPulled as usize].left_alone, plan.edits.len())
    };
    assert_eq!(count(false), (2, 2));
    assert_eq!(count(true), (0, 4));
    let everywhere = [
        ("/request/object/spec/initContainers/0/imagePullPolicy", json!("Never")),
        ("/request/object/spec/containers/0/imagePullPolicy", json!("Never")),
        ("/request/object/spec/containers/1/imagePullPolicy", json!("Never")),
        ("/request/object/spec/volumes/0/image/pullPolicy", json!("Never")),
    ];
    assert_answer("everywhere", &edited(POD, &everywhere), MAP, "unchanged", &[]);
}
