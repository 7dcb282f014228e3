//! Images in custom resources.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use imageswap::{
    admission::{
        AdmissionSettings, BUILT_IN_SITES, Reporting, Review, SKIP_ANNOTATION, Shadow, Sites,
        World, plan,
    },
    rules::{LoadedMap, NamespaceMaps, Reason},
};
use serde_json::{Value, json};

use crate::{MAP, world};

const SITES: &str = "\
example.com/Widget /spec/image /spec/parts/*/image /spec/images/* /spec/byName/*/a~1b
example.com/Widget /spec/parts/*/volume/image/reference
";

/// A review of a Widget, with some values of the request.
struct Request {
    operation: &'static str,
    namespace: &'static str,
    object: Value,
    old: Value,
    settings: AdmissionSettings,
}

/// An answer, with the patched object.
struct Answered {
    outcome: &'static str,
    left_alone: [u32; 2],
    response: Value,
    object: Value,
    /// The paths of the patch.
    paths: Vec<String>,
}

impl Request {
    fn create(spec: &Value) -> Self {
        Self {
            operation: "CREATE",
            namespace: "shop",
            object: json!({ "metadata": { "name": "a" }, "spec": spec }),
            old: Value::Null,
            settings: AdmissionSettings::default(),
        }
    }

    fn update(old: &Value, new: &Value) -> Self {
        let old = json!({ "metadata": { "name": "a" }, "spec": old });
        Self { operation: "UPDATE", old, ..Self::create(new) }
    }

    fn body(&self) -> String {
        let request = json!({
            "uid": "1",
            "kind": { "group": "example.com", "version": "v1", "kind": "Widget" },
            "namespace": self.namespace,
            "operation": self.operation,
            "object": self.object,
            "oldObject": self.old,
        });
        json!({ "apiVersion": "admission.k8s.io/v1", "request": request }).to_string()
    }

    fn world(&self) -> World {
        let mut sites = Sites::default();
        assert_eq!(sites.add(SITES).kept(), []);
        World { sites: Arc::new(sites), settings: self.settings.clone(), ..world(MAP) }
    }

    fn answer(&self) -> Answered {
        answer(&self.body(), &self.object, &self.world())
    }
}

fn answer(body: &str, object: &Value, world: &World) -> Answered {
    let review = Review::with_sites(body.as_bytes(), &world.sites).unwrap();
    let plan = plan(&review, world);
    let answer = plan.settle().to_json(&review);
    let mut answer: Value = serde_json::from_str(&answer).unwrap();
    let (mut object, mut paths) = (object.clone(), Vec::new());
    if let Some(patch) = answer["response"]["patch"].as_str() {
        let patch: json_patch::Patch =
            serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
        paths = patch.0.iter().map(|operation| operation.path().to_string()).collect();
        json_patch::patch(&mut object, &patch).unwrap();
    }
    let left_alone = [Reason::NeverPulled, Reason::Excluded];
    let left_alone = left_alone.map(|reason| plan.images[reason as usize].left_alone);
    let response = answer["response"].take();
    Answered { outcome: plan.outcome.as_str(), left_alone, response, object, paths }
}

#[test]
fn images_at_sites_are_swapped_with_the_real_paths() {
    let spec = json!({
        "image": "nginx:1",
        "other": "nginx:1",
        "parts": [
            { "image": "quay.io/a/b:1", "volume": { "image": { "reference": "nginx:2" } } },
            { "image": { "image": "nginx:1" } },
            "nginx:1",
            { "image": "d.io/already/there:1" },
        ],
        "images": ["nginx:3", 5, null, "{{inputs.image}}", "ghcr.io/acme/x"],
        "byName": { "x/y~z": { "a/b": "nginx:4" }, "empty": {} },
        "template": { "spec": { "containers": [{ "name": "c", "image": "nginx:1" }] } },
    });
    let answered = Request::create(&spec).answer();
    assert_eq!(answered.outcome, "swapped");
    let mut paths = answered.paths;
    paths.sort_unstable();
    let expected = [
        "/spec/byName/x~1y~0z/a~1b",
        "/spec/image",
        "/spec/images/0",
        "/spec/images/4",
        "/spec/parts/0/image",
        "/spec/parts/0/volume/image/reference",
    ];
    assert_eq!(paths, expected);
    let mut swapped = spec;
    for (pointer, image) in [
        ("/byName/x~1y~0z/a~1b", "hub.corp/mirror-docker.io/nginx:4"),
        ("/image", "hub.corp/mirror-docker.io/nginx:1"),
        ("/images/0", "hub.corp/mirror-docker.io/nginx:3"),
        ("/images/4", "h.io/acme/x"),
        ("/parts/0/image", "quay.corp/a/b:1"),
        ("/parts/0/volume/image/reference", "hub.corp/mirror-docker.io/nginx:2"),
    ] {
        *swapped.pointer_mut(pointer).unwrap() = json!(image);
    }
    assert_eq!(answered.object["spec"], swapped);
    let again = Request::create(&swapped).answer();
    assert_eq!((again.outcome, again.paths.len()), ("unchanged", 0));
}

#[test]
fn an_update_swaps_the_images_that_it_introduces() {
    let parts = |images: &[&str]| {
        let parts: Vec<_> = images.iter().map(|image| json!({ "image": image })).collect();
        json!({ "image": "nginx:1", "parts": parts })
    };
    let changed =
        |old: &[&str], new: &[&str]| Request::update(&parts(old), &parts(new)).answer().paths;
    assert_eq!(changed(&["a:1", "b:1"], &["a:1", "b:1"]), [""; 0]);
    assert_eq!(changed(&["a:1", "b:1"], &["a:1", "b:2"]), ["/spec/parts/1/image"]);
    assert_eq!(changed(&["a:1", "b:1"], &["b:1"]), [""; 0], "an element is gone");
    assert_eq!(changed(&["a:1", "b:1"], &["c:1", "a:1", "b:1"]), ["/spec/parts/0/image"]);
    assert_eq!(changed(&["a:1"], &["a:1", "a:1"]), ["/spec/parts/1/image"], "one more of the same");
    // The same text at another site is a new image.
    let moved = Request::update(&json!({ "image": "a:1" }), &json!({ "images": ["a:1"] })).answer();
    assert_eq!(moved.paths, ["/spec/images/0"]);
    let created = Request { old: Value::Null, ..Request::update(&json!({}), &parts(&["a:1"])) };
    assert_eq!(created.answer().paths.len(), 2, "an update without an old object");
}

#[test]
fn objects_and_images_of_custom_resources_are_left_alone_like_pods() {
    let spec = json!({ "image": "nginx:1", "parts": [{ "image": "nginx:2" }] });
    let with_metadata = |metadata: Value| {
        let mut request = Request::create(&spec);
        request.object["metadata"] = metadata;
        request.answer()
    };
    let owner = json!([{ "kind": "Parent", "controller": true }]);
    assert_eq!(with_metadata(json!({ "ownerReferences": owner })).outcome, "owned");
    let label = json!({ "labels": { "k8s.twr.io/imageswap": "disabled" } });
    assert_eq!(with_metadata(label).outcome, "disabled");
    let skip = json!({ "annotations": { SKIP_ANNOTATION: "/spec/image, /spec/none" } });
    let skipped = with_metadata(skip);
    assert_eq!((skipped.paths, skipped.left_alone), (vec!["/spec/parts/0/image".into()], [0, 1]));
    assert_eq!(
        skipped.response["warnings"],
        json!(["imageswap: annotation k8s.twr.io/imageswap-skip: there is no image at /spec/none"])
    );
    let never = json!({
        "image": "nginx:1",
        "imagePullPolicy": "Never",
        "parts": [{ "image": "nginx:2", "imagePullPolicy": "Always",
                    "volume": { "image": { "reference": "nginx:3", "pullPolicy": "Never" } } }],
    });
    let never = Request::create(&never).answer();
    assert_eq!((never.paths, never.left_alone), (vec!["/spec/parts/0/image".into()], [2, 0]));
    let cluster_scoped = Request { namespace: "", ..Request::create(&spec) }.answer();
    assert_eq!((cluster_scoped.outcome, cluster_scoped.paths.len()), ("no-images", 0));
    let deleted = Request { operation: "DELETE", ..Request::create(&spec) }.answer();
    assert_eq!((deleted.outcome, deleted.paths.len()), ("no-images", 0));
}

#[test]
fn the_map_of_the_namespace_shadow_mode_and_records_apply() {
    let reporting = Reporting { audits: true, warns: true, annotates: true };
    let settings = AdmissionSettings { reporting, ..AdmissionSettings::default() };
    let request = Request { settings, ..Request::create(&json!({ "image": "nginx:1" })) };
    let answered = request.answer();
    let line = "/spec/image: nginx:1 -> hub.corp/mirror-docker.io/nginx:1 (:2)";
    assert_eq!(answered.response["warnings"], json!([format!("imageswap: {line}")]));
    let audit = answered.response["auditAnnotations"].as_object().unwrap();
    assert_eq!(audit.values().collect::<Vec<_>>(), [line]);
    // Only pods are annotated.
    assert_eq!(answered.paths, ["/spec/image"]);
    let shadow = AdmissionSettings { shadow: Shadow::Everywhere, ..AdmissionSettings::default() };
    let shadow = Request { settings: shadow, ..Request::create(&json!({ "image": "nginx:1" })) };
    assert_eq!((shadow.answer().outcome, shadow.answer().paths.len()), ("shadow", 0));
    let own = Arc::new(LoadedMap::from_text("docker.io::own.io").unwrap());
    let namespaces: NamespaceMaps = std::iter::once(("shop".into(), own)).collect();
    let world = World { namespaces: Arc::new(namespaces), ..request.world() };
    let answered = answer(&request.body(), &request.object, &world);
    assert_eq!(answered.object["spec"]["image"], "own.io/nginx:1");
}

#[test]
fn the_last_of_two_equal_fields_counts() {
    let request = Request::create(&json!({}));
    let with = |object: &str| {
        let body = request.body().replace(r#"{"metadata":{"name":"a"},"spec":{}}"#, object);
        let object = serde_json::from_str(object).unwrap();
        answer(&body, &object, &request.world()).paths
    };
    assert_eq!(with(r#"{"spec":{"image":"a:1","image":"b:1"}}"#), ["/spec/image"]);
    assert_eq!(with(r#"{"spec":{"image":"a:1","image":5}}"#), [""; 0]);
    assert_eq!(with(r#"{"spec":{"image":"a:1"},"spec":{"images":["a:1"]}}"#), ["/spec/images/0"]);
    assert_eq!(with(r#"{"spec":{"parts":[{"image":"a"}]},"spec":[{"image":"a"}]}"#), [""; 0]);
    assert_eq!(with(r#"{"spec":{"\u0069mage":"a\/b"}}"#), ["/spec/image"]);
}

#[test]
fn many_images_and_long_names_of_fields_are_bounded() {
    let images = |range: std::ops::Range<u32>| {
        let images: Vec<_> = range.map(|number| format!("a/b:{number}")).collect();
        json!({ "images": images })
    };
    assert_eq!(Request::create(&images(0..32_768)).answer().paths.len(), 32_768);
    let warning = "imageswap: the object has too many images, so all of them stay as written";
    let many = Request::create(&images(0..32_769)).answer();
    assert_eq!((many.outcome, &many.response["warnings"]), ("unchanged", &json!([warning])));
    // Without its first image, the object has few enough, but none of the others is new.
    let fewer = Request::update(&images(0..32_769), &images(1..32_769)).answer();
    assert_eq!((fewer.outcome, fewer.paths.len()), ("unchanged", 0));
    let parts: Vec<_> = (0..2000).map(|_| json!({ "a/b": "nginx:1" })).collect();
    let request = Request::create(&json!({ "byName": { "x".repeat(20_000): parts[0] } }));
    assert_eq!(request.answer().paths.len(), 1);
    let mut sites = Sites::default();
    assert_eq!(sites.add("example.com/Widget /spec/*/*/image").kept(), []);
    let elements: Vec<_> = (0..2000).map(|_| json!({ "image": "nginx:1" })).collect();
    let request = Request::create(&json!({ "x".repeat(20_000): elements }));
    let world = World { sites: Arc::new(sites), ..request.world() };
    // The pointers of all images would take 40 MB, and so would the answer.
    let long = answer(&request.body(), &request.object, &world);
    assert_eq!((long.outcome, &long.response["warnings"]), ("unchanged", &json!([warning])));
}

#[test]
fn pointers_that_overlap_lead_to_the_same_site() {
    let mut sites = Sites::default();
    assert_eq!(sites.add("example.com/Widget /spec/parts/0/image /spec/parts/*/image").kept(), []);
    let parts = |images: &[&str]| {
        let parts: Vec<_> = images.iter().map(|image| json!({ "image": image })).collect();
        json!({ "parts": parts })
    };
    let request = Request::update(&parts(&["a:1", "b:1"]), &parts(&["c:1", "b:1", "a:1"]));
    let world = World { sites: Arc::new(sites), ..request.world() };
    let answered = answer(&request.body(), &request.object, &world);
    assert_eq!(answered.paths, ["/spec/parts/0/image"]);
}

#[test]
fn a_pull_policy_is_no_image_even_if_a_pointer_leads_to_it() {
    let mut sites = Sites::default();
    assert_eq!(sites.add("example.com/Widget /spec/* /spec/*/*").kept(), []);
    let request = Request::create(&json!({
        "a": { "image": "nginx:1", "imagePullPolicy": "Always" },
        "b": { "image": "nginx:1", "imagePullPolicy": "Never" },
    }));
    let world = World { sites: Arc::new(sites), ..request.world() };
    assert_eq!(answer(&request.body(), &request.object, &world).paths, ["/spec/a/image"]);
}

#[test]
fn a_kind_with_the_name_of_a_built_in_one_is_a_custom_resource() {
    let mut request = Request::create(&json!({ "image": "nginx:1" }));
    let owner = json!([{ "kind": "Parent", "controller": true }]);
    request.object["metadata"]["ownerReferences"] = owner;
    let body = request.body().replace("Widget", "Pod");
    let mut sites = Sites::default();
    assert_eq!(sites.add("example.com/Pod /spec/image").kept(), []);
    let world = World { sites: Arc::new(sites), ..request.world() };
    assert_eq!(answer(&body, &request.object, &world).outcome, "owned");
}

/// Returns the resources with their groups in the rules of a webhook or of a role.
fn resources(rules: &Value) -> Vec<String> {
    let rules = rules.as_array().unwrap().iter();
    let named = rules.flat_map(|rule| {
        let group = rule["apiGroups"][0].as_str().unwrap();
        let resources = rule["resources"].as_array().unwrap().iter();
        resources.map(move |resource| format!("{group}/{}", resource.as_str().unwrap()))
    });
    let mut named: Vec<_> = named.collect();
    named.sort_unstable();
    named
}

#[test]
fn component_and_role_name_the_resources_of_all_built_in_sites() {
    let template = include_str!("../../deploy/components/operators-sites/imageswap-mwc.yaml");
    let template: Value = serde_saphyr::from_str(template).unwrap();
    let roles = include_str!("../../deploy/plan-role.yaml");
    let role: Value = serde_saphyr::from_str(roles.split("\n---\n").last().unwrap()).unwrap();
    assert_eq!(role["metadata"]["name"], "imageswap-plan-sites");
    let kinds = BUILT_IN_SITES.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let kinds = kinds.map(|line| line.split_whitespace().next().unwrap().to_lowercase() + "s");
    let mut kinds: Vec<_> = kinds.collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(resources(&template["webhooks"][1]["rules"]), kinds);
    assert_eq!(resources(&role["rules"]), kinds);
}
