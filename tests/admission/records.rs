//! Exclusions by annotation, the records of changes, and shadow mode.

use base64::{Engine, engine::general_purpose::STANDARD};
use imageswap::admission::{
    AdmissionSettings, Facts, ORIGINAL_ANNOTATION, Reporting, Review, SKIP_ANNOTATION, Shadow,
    World, plan,
};
use serde_json::{Value, json};

use crate::{
    MAP, edited, fixture,
    shapes::{DEPLOYMENT, POD, UPDATE},
    world,
};

const ANNOTATIONS: &str = "/request/object/metadata/annotations";

/// The changes of the captured pod, as the records name them.
const LINES: [&str; 4] = [
    "migrate: docker.io/library/busybox:1.36 -> hub.corp/mirror-docker.io/library/busybox:1.36 (:2)",
    "web: nginx:1.27 -> hub.corp/mirror-docker.io/nginx:1.27 (:2)",
    "exporter: quay.io/prometheus/node-exporter:v1.8.2 -> quay.corp/prometheus/node-exporter:v1.8.2 (:3)",
    "volumes/model: ghcr.io/acme/model:v3 -> h.io/acme/model:v3 (:4)",
];

/// An answer, with the patched object.
struct Answered {
    outcome: &'static str,
    response: Value,
    object: Value,
}

impl Answered {
    fn to(review: &Value, settings: AdmissionSettings) -> Self {
        Self::with(&Facts::default(), review, settings)
    }

    fn with(facts: &Facts, review: &Value, settings: AdmissionSettings) -> Self {
        let body = review.to_string();
        let world = World { settings, ..world(MAP) };
        let parsed = Review::from_slice(body.as_bytes()).unwrap();
        let mut plan = plan(&parsed, &world);
        plan.fall_back(facts);
        let answer = plan.settle().to_json(&parsed);
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        let mut object = review["request"]["object"].clone();
        if let Some(patch) = answer["response"]["patch"].as_str() {
            let patch: json_patch::Patch =
                serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
            json_patch::patch(&mut object, &patch).unwrap();
        }
        let outcome = plan.outcome.as_str();
        Self { outcome, response: answer["response"].take(), object }
    }

    fn images(&self) -> Vec<&str> {
        let containers = self.object["spec"]["containers"].as_array().unwrap();
        containers.iter().map(|container| container["image"].as_str().unwrap()).collect()
    }

    fn warnings(&self) -> Vec<&str> {
        let warnings = self.response["warnings"].as_array().into_iter().flatten();
        warnings.map(|warning| warning.as_str().unwrap()).collect()
    }

    /// Returns the images before the swap, as the annotation has them.
    fn original(&self) -> Value {
        let annotation = self.object["metadata"]["annotations"][ORIGINAL_ANNOTATION].as_str();
        annotation.map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
    }
}

fn with(reporting: Reporting) -> AdmissionSettings {
    AdmissionSettings { reporting, ..AdmissionSettings::default() }
}

const ANNOTATES: Reporting = Reporting { audits: false, warns: false, annotates: true };

const AUDITS: Reporting = Reporting { audits: true, warns: false, annotates: false };

const WARNS: Reporting = Reporting { audits: false, warns: true, annotates: false };

#[test]
fn an_annotation_excludes_containers_and_image_volumes() {
    let skip = |names: &str| edited(POD, &[(ANNOTATIONS, json!({ SKIP_ANNOTATION: names }))]);
    let answer =
        Answered::to(&skip("exporter, volumes/model,migrate"), AdmissionSettings::default());
    let expected =
        ["hub.corp/mirror-docker.io/nginx:1.27", "quay.io/prometheus/node-exporter:v1.8.2"];
    assert_eq!(answer.images(), expected);
    assert_eq!(
        answer.object["spec"]["initContainers"][0]["image"],
        "docker.io/library/busybox:1.36"
    );
    assert_eq!(answer.object["spec"]["volumes"][0]["image"]["reference"], "ghcr.io/acme/model:v3");
    assert_eq!(answer.response["warnings"], Value::Null);
    let all =
        Answered::to(&skip("web,exporter,migrate,volumes/model"), AdmissionSettings::default());
    assert_eq!((all.outcome, &all.response["patch"]), ("unchanged", &Value::Null));
    for none in ["", " , ", "Web", "model", "volumes/web"] {
        let answer = Answered::to(&skip(none), AdmissionSettings::default());
        assert_eq!(answer.images()[0], "hub.corp/mirror-docker.io/nginx:1.27", "{none}");
    }
    // A value that is no string is no list.
    let number = edited(POD, &[(ANNOTATIONS, json!({ SKIP_ANNOTATION: 3 }))]);
    assert_eq!(Answered::to(&number, AdmissionSettings::default()).outcome, "swapped");
}

#[test]
fn an_exclusion_without_a_container_is_a_warning() {
    let names = "exporter,sidecar,volumes/data,model";
    let review = edited(POD, &[(ANNOTATIONS, json!({ SKIP_ANNOTATION: names }))]);
    let answer = Answered::to(&review, AdmissionSettings::default());
    let expected = ["model", "sidecar", "volumes/data"].map(|name| {
        format!("imageswap: annotation {SKIP_ANNOTATION}: there is no container {name}")
    });
    assert_eq!(answer.warnings(), expected);
    let names: Vec<_> = (0..10_000).map(|number| format!("container-{number}")).collect();
    let many = edited(POD, &[(ANNOTATIONS, json!({ SKIP_ANNOTATION: names.join(",") }))]);
    let answer = Answered::to(&many, AdmissionSettings::default());
    assert_eq!(answer.warnings().len(), 5);
    assert_eq!(answer.warnings()[4], "imageswap: 9996 more");
    // The API server refuses a longer one.
    let names = "a,".repeat(2 * 1024 * 1024) + "web";
    let large = edited(POD, &[(ANNOTATIONS, json!({ SKIP_ANNOTATION: names }))]);
    let answer = Answered::to(&large, AdmissionSettings::default());
    assert_eq!(
        (answer.images()[0], answer.warnings().len()),
        ("hub.corp/mirror-docker.io/nginx:1.27", 0)
    );
    let hostile = json!({ SKIP_ANNOTATION: format!("\u{1b}[2J{}", "é".repeat(1000)) });
    let answer =
        Answered::to(&edited(POD, &[(ANNOTATIONS, hostile)]), AdmissionSettings::default());
    let warning = answer.warnings()[0];
    assert!(warning.len() <= 256 && !warning.contains('\u{1b}'), "{warning}");
}

#[test]
fn a_pod_template_excludes_containers_of_its_workload() {
    let path = "/request/object/spec/template/metadata/annotations";
    let review = fixture(DEPLOYMENT);
    let containers = &review["request"]["object"]["spec"]["template"]["spec"]["containers"];
    let name = containers[0]["name"].as_str().unwrap().to_owned();
    let skip = json!({ SKIP_ANNOTATION: name });
    let review = edited(DEPLOYMENT, &[(path, skip)]);
    let answer = Answered::to(&review, AdmissionSettings::default());
    let template = "/spec/template/spec/containers/0/image";
    let before = review["request"]["object"].pointer(template);
    assert_eq!(answer.object.pointer(template), before);
}

#[test]
fn the_audit_annotation_names_each_change() {
    let answer = Answered::to(&fixture(POD), with(AUDITS));
    let annotations = answer.response["auditAnnotations"].as_object().unwrap();
    assert_eq!(annotations.len(), 1);
    let (key, value) = annotations.iter().next().unwrap();
    assert_eq!(*value, json!(LINES.join("; ")));
    let hash = key.strip_prefix("images-").unwrap();
    assert!(hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    // The same changes have the same key, other changes another one.
    let again = Answered::to(&fixture(POD), with(AUDITS));
    assert_eq!(again.response["auditAnnotations"], answer.response["auditAnnotations"]);
    let other = edited(POD, &[("/request/object/spec/containers/0/image", json!("other:1"))]);
    let other = Answered::to(&other, with(AUDITS));
    assert_eq!(other.response["auditAnnotations"].get(key), None);
    let unchanged = Answered::to(&fixture("01-update-pod"), with(AUDITS));
    assert_eq!(unchanged.response["auditAnnotations"], Value::Null);
}

#[test]
fn records_of_many_changes_are_cut_with_a_count_of_the_rest() {
    let container = |number: usize| {
        let path = "a".repeat(200);
        json!({ "name": format!("c{number}"), "image": format!("e.io/{path}:{number}") })
    };
    let containers: Vec<_> = (0..1000).map(container).collect();
    let review = edited(POD, &[("/request/object/spec/containers", json!(containers))]);
    let reporting = Reporting { audits: true, warns: true, annotates: true };
    let answer = Answered::to(&review, with(reporting));
    let audited = answer.response["auditAnnotations"].as_object().unwrap().values().next().unwrap();
    let audited = audited.as_str().unwrap();
    assert!(audited.len() <= 10 * 1024, "{}", audited.len());
    let (lines, rest) = audited.rsplit_once("; ").unwrap();
    let rest: usize = rest.strip_suffix(" more").unwrap().parse().unwrap();
    assert_eq!(lines.split("; ").count() + rest, 1002);
    assert_eq!(answer.warnings().len(), 5);
    assert_eq!(answer.warnings()[4], "imageswap: 998 more");
    assert!(answer.warnings().iter().all(|warning| warning.len() <= 256));
    // 1000 images of 200 bytes are below the limit of all annotations; twice as many are not.
    assert_eq!(answer.original().as_object().unwrap().len(), 1002);
    let containers: Vec<_> = (0..2000).map(container).collect();
    let review = edited(POD, &[("/request/object/spec/containers", json!(containers))]);
    let answer = Answered::to(&review, with(reporting));
    assert_eq!((answer.outcome, answer.original()), ("swapped", Value::Null));
}

#[test]
fn warnings_name_each_change_if_they_are_on() {
    let answer = Answered::to(&fixture(POD), with(WARNS));
    assert_eq!(answer.warnings(), LINES.map(|line| format!("imageswap: {line}")));
    assert!(Answered::to(&fixture("01-update-pod"), with(WARNS)).warnings().is_empty());
}

#[test]
fn pods_are_annotated_with_their_original_images() {
    let all = json!({
        "migrate": "docker.io/library/busybox:1.36",
        "web": "nginx:1.27",
        "exporter": "quay.io/prometheus/node-exporter:v1.8.2",
        "volumes/model": "ghcr.io/acme/model:v3",
    });
    let annotated = |review: &Value| Answered::to(review, with(ANNOTATES));
    for (name, annotations) in [
        ("none", Value::Null),
        ("an empty object", json!({})),
        ("others", json!({ "a/b": "c" })),
        ("a text of another form", json!({ ORIGINAL_ANNOTATION: "nginx" })),
        ("values of another type", json!({ ORIGINAL_ANNOTATION: "{\"web\":1}" })),
    ] {
        let answer = annotated(&edited(POD, &[(ANNOTATIONS, annotations.clone())]));
        assert_eq!(answer.original(), all, "{name}");
        assert_eq!(answer.object["metadata"]["annotations"]["a/b"], annotations["a/b"], "{name}");
    }
    // A second pass changes nothing.
    let first = annotated(&fixture(POD)).object;
    let again = annotated(&edited(POD, &[("/request/object", first)]));
    assert_eq!((again.outcome, &again.response["patch"]), ("unchanged", &Value::Null));
    // The annotation of a template, or of an earlier pass, keeps its other containers.
    let before = json!({ "old": "a:1", "web": "stale:1" }).to_string();
    let merged = annotated(&edited(POD, &[(ANNOTATIONS, json!({ ORIGINAL_ANNOTATION: before }))]));
    let mut expected = all;
    expected["old"] = json!("a:1");
    assert_eq!(merged.original(), expected);
    // Only pods are annotated: in a template it would be a change of the workload.
    let workload = annotated(&fixture(DEPLOYMENT));
    assert_eq!((workload.outcome, workload.original()), ("swapped", Value::Null));
    // An update adds the image that it introduces.
    let update = annotated(&fixture(UPDATE));
    assert_eq!(update.original(), json!({ "web": "nginx:1.28" }));
}

#[test]
fn names_in_the_annotation_are_escaped() {
    let hostile = json!([{ "name": "a\"},{/~\u{1}", "image": "nginx" }]);
    let review = edited(POD, &[("/request/object/spec/containers", hostile)]);
    let reporting = Reporting { audits: true, warns: true, annotates: true };
    let answer = Answered::to(&review, with(reporting));
    assert_eq!(answer.original()["a\"},{/~\u{1}"], "nginx");
    assert!(answer.warnings().iter().all(|warning| !warning.contains('\u{1}')));
}

#[test]
fn shadow_mode_records_changes_and_makes_none() {
    let reporting = Reporting { audits: true, warns: true, annotates: true };
    let namespaces = ["production", "staging"].map(Into::into);
    for (shadow, namespace, is_shadowed) in [
        (Shadow::Nowhere, "staging", false),
        (Shadow::Everywhere, "staging", true),
        (Shadow::In(namespaces.clone().into()), "staging", true),
        (Shadow::In(namespaces.into()), "stag", false),
    ] {
        let review = edited(POD, &[("/request/namespace", json!(namespace))]);
        let settings = AdmissionSettings { reporting, shadow, ..AdmissionSettings::default() };
        let answer = Answered::to(&review, settings);
        let is_unchanged = answer.object == review["request"]["object"];
        let expected = if is_shadowed { "shadow" } else { "swapped" };
        assert_eq!((answer.outcome, is_unchanged), (expected, is_shadowed), "{namespace}");
        assert_eq!(answer.response["patch"].is_null(), is_shadowed);
        let audited = answer.response["auditAnnotations"].as_object().unwrap();
        let (key, value) = audited.iter().next().unwrap();
        assert_eq!(key.starts_with("shadow-images-"), is_shadowed, "{key}");
        assert_eq!(*value, json!(LINES.join("; ")));
        let prefix = if is_shadowed { "imageswap: shadow: " } else { "imageswap: " };
        assert_eq!(answer.warnings(), LINES.map(|line| format!("{prefix}{line}")));
    }
}

#[test]
fn an_image_that_the_registry_does_not_have_is_recorded() {
    let absent = "quay.corp/prometheus/node-exporter:v1.8.2".to_owned();
    let facts = Facts::with_absent([absent]);
    let reporting = Reporting { audits: true, annotates: true, warns: false };
    let settings = AdmissionSettings { reporting, ..AdmissionSettings::default() };
    let answered = Answered::with(&facts, &fixture(POD), settings);
    let kept = "exporter: quay.io/prometheus/node-exporter:v1.8.2 kept, the registry does not have \
                quay.corp/prometheus/node-exporter:v1.8.2 (:3)";
    assert_eq!(answered.warnings(), [format!("imageswap: {kept}")]);
    let audits = answered.response["auditAnnotations"].as_object().unwrap();
    let audit = audits.values().next().unwrap().as_str().unwrap();
    assert_eq!(audit, format!("{kept}; {}", [LINES[0], LINES[1], LINES[3]].join("; ")));
    let original = &answered.object["metadata"]["annotations"][ORIGINAL_ANNOTATION];
    assert!(!original.as_str().unwrap().contains("exporter"), "{original}");
    assert!(answered.images().contains(&"quay.io/prometheus/node-exporter:v1.8.2"));
}
