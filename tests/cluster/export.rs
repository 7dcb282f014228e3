//! `imageswap export --to kubernetes`: the policy decides as the map does, in the API server and without the webhook.

use std::{collections::BTreeMap, fs};

use imageswap::{
    admission::Scope,
    export::kubernetes::{
        self, ApiVersion, FailurePolicy, MAX_CONTAINERS, MAX_GLOBS, MAX_RULES, MAX_SUBSTRING_BYTES,
        MAX_SUBSTRINGS, PolicySettings,
    },
    image::{ImageReference, MAX_NAME_BYTES},
    rules::{MapFile, RuleSet},
};
use serde_json::{Value, json};
use support::{cases, grammar};
use tempfile::TempDir;

use crate::{
    Cluster, Feature, PLAIN, PODS, Step, eventually, expect,
    objects::{LABEL, images, pod_of},
};

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("exported policies decide like their maps", decisions),
    ("an exported policy rewrites what a request introduces", introduced),
    ("an exported policy of the maximum size stays within the limits", limits),
];

/// <https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/>
const MUTATING_POLICIES: Feature = ("mutating admission policies", 36);

/// A map that has been applied as a policy.
struct Policy<'c> {
    cluster: &'c Cluster,
    name: String,
}

/// Maps that have been applied as policies, by the same command.
struct Manifests<'c> {
    cluster: &'c Cluster,
    directory: TempDir,
}

impl<'c> Manifests<'c> {
    fn new(cluster: &'c Cluster) -> Self {
        Self { cluster, directory: tempfile::tempdir().unwrap() }
    }

    /// Adds a map as a policy for pods with the label `map=NAME` in all namespaces.
    fn add(&self, name: &str, rules: &RuleSet) -> Policy<'c> {
        let settings = PolicySettings {
            api_version: ApiVersion::V1,
            failure_policy: FailurePolicy::Fail,
            scope: Scope::default(),
        };
        let exported = kubernetes::export(rules, name, &settings).unwrap();
        let selector =
            format!("    namespaceSelector:\n      matchLabels:\n        \"{LABEL}\": enabled");
        let text = &exported.files[0].text;
        assert_eq!(text.matches(&selector).count(), 1);
        let of_pods = format!("    objectSelector:\n      matchLabels:\n        map: {name}");
        let text = text
            .replace(&selector, &of_pods)
            .replace("name: imageswap\n", &format!("name: {name}\n"))
            .replace("policyName: imageswap\n", &format!("policyName: {name}\n"));
        fs::write(self.directory.path().join(format!("{name}.yaml")), text).unwrap();
        Policy { cluster: self.cluster, name: name.to_owned() }
    }

    fn apply(&self) {
        self.cluster.control_plane.apply(&["-f", self.directory.path().to_str().unwrap()]);
    }
}

impl<'c> Policy<'c> {
    /// Applies a map as a policy.
    fn apply(cluster: &'c Cluster, name: &str, rules: &RuleSet) -> Self {
        let manifests = Manifests::new(cluster);
        let policy = manifests.add(name, rules);
        manifests.apply();
        policy
    }

    /// Returns a pod that the policy rewrites, in a namespace without the webhook.
    fn pod(&self, images: &[&str]) -> Value {
        let mut pod = pod_of(&self.name, images);
        pod["metadata"]["namespace"] = json!(PLAIN);
        pod["metadata"]["labels"] = json!({ "map": self.name });
        pod
    }

    /// Returns the images with which a pod would be stored.
    fn try_images(&self, pod: &Value) -> kube::Result<Vec<String>> {
        let path = format!("{}?dryRun=All", pods());
        Ok(images(&self.cluster.api.try_post(&path, pod)?))
    }

    /// Waits until a pod gets these images. The API server reads policies once a second.
    fn await_images(&self, pod: &Value, expected: &[String]) {
        eventually(&format!("the policy {}", self.name), || {
            let found = self.try_images(pod).map_err(|error| vec![error.to_string()])?;
            let pairs = found.iter().zip(expected).filter(|(found, expected)| found != expected);
            let wrong: Vec<_> =
                pairs.map(|(found, expected)| format!("{found}, not {expected}")).collect();
            expect(wrong, &Vec::<String>::new())
        });
    }
}

impl Drop for Policy<'_> {
    fn drop(&mut self) {
        for resources in ["mutatingadmissionpolicies", "mutatingadmissionpolicybindings"] {
            let path = format!("/apis/admissionregistration.k8s.io/v1/{resources}/{}", self.name);
            self.cluster.api.delete(&path);
        }
    }
}

fn pods() -> String {
    PODS.replace("swapped", PLAIN)
}

fn compile(map: &str) -> RuleSet {
    RuleSet::compile(MapFile::parse(map).0).unwrap()
}

/// Returns the image by the map, as a policy decides: it leaves an image alone that is no valid reference.
fn decided(rules: &RuleSet, image: &str) -> String {
    let is_shorthand = ImageReference::parse(image).is_shorthand();
    let normalized = format!("{}{image}", if is_shorthand { "docker.io/" } else { "" });
    // A policy does not measure the name of an image, only that of the new one.
    if grammar::is_reference(&normalized) || normalized.len() > MAX_NAME_BYTES {
        rules.decide(image).result(image)
    } else {
        image.to_owned()
    }
}

/// Returns images as `images` returns those of a pod.
fn named(images: impl IntoIterator<Item = String>) -> Vec<String> {
    let named = images.into_iter().enumerate().map(|(index, image)| match index {
        0 => format!("app={image}"),
        _ => format!("app{index}={image}"),
    });
    named.collect()
}

fn decisions(cluster: &Cluster) {
    if !cluster.has(MUTATING_POLICIES) {
        return;
    }
    cluster.clear_state();
    // The API server refuses images with white space around them, and pods without images.
    let usable = |image: &str| !image.is_empty() && image.trim() == image;
    let mut maps: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for case in cases::all().filter(|case| usable(case.image)) {
        maps.entry(case.map).or_default().push(case.image);
    }
    let every: Vec<_> = cases::all().map(|case| case.image).filter(|image| usable(image)).collect();
    let manifests = Manifests::new(cluster);
    let applied: Vec<_> = maps
        .into_iter()
        .zip(0..)
        .map(|((map, images), number)| {
            let rules = compile(map);
            let policy = manifests.add(&format!("map-{number}"), &rules);
            (policy, rules, map, images)
        })
        .collect();
    manifests.apply();
    for (number, (policy, rules, map, images)) in applied.iter().enumerate() {
        // The images of the cases of this map, and some of all others.
        let others = every.iter().skip(number % 7).step_by(7).take(MAX_CONTAINERS - images.len());
        let images = images.iter().chain(others).copied();
        // The API server may evaluate a policy again, so the result of a chain can be that of its second rule.
        let is_chained = |image: &&str| {
            let once = decided(rules, image);
            decided(rules, &once) != once
        };
        let images: Vec<_> = images.filter(|image| !is_chained(image)).collect();
        let expected = named(images.iter().map(|image| decided(rules, image)));
        eprintln!("      {} images, {map:?}", images.len());
        policy.await_images(&policy.pod(&images), &expected);
    }
}

fn introduced(cluster: &Cluster) {
    if !cluster.has(MUTATING_POLICIES) {
        return;
    }
    cluster.clear_state();
    let rules = compile("default::d.io\nkept.io::");
    let policy = Policy::apply(cluster, "introduced", &rules);
    policy.await_images(&policy.pod(&["nginx"]), &named(["d.io/nginx".to_owned()]));
    let mut pod = policy.pod(&["nginx:1", "kept.io/a:1", "nginx:2", "nginx:3"]);
    pod["metadata"]["annotations"] = json!({ "k8s.twr.io/imageswap-skip": "app3, volumes/kept" });
    pod["spec"]["containers"][2]["imagePullPolicy"] = json!("Never");
    pod["spec"]["initContainers"] = json!([{ "name": "init", "image": "busybox" }]);
    pod["spec"]["volumes"] = json!([
        { "name": "scratch", "emptyDir": {} },
        { "name": "model", "image": { "reference": "ghcr.io/acme/model:v3" } },
        { "name": "never", "image": { "reference": "q.io/model:1", "pullPolicy": "Never" } },
        { "name": "kept", "image": { "reference": "q.io/model:2" } },
    ]);
    let stored = [
        "init=d.io/busybox",
        "app=d.io/nginx:1",
        "app1=kept.io/a:1",
        "app2=nginx:2",
        "app3=nginx:3",
        "model=d.io/acme/model:v3",
        "never=q.io/model:1",
        "kept=q.io/model:2",
    ];
    assert_eq!(policy.try_images(&pod).unwrap(), stored);
    let disabled = |mut pod: Value| {
        pod["metadata"]["labels"][LABEL] = json!("disabled");
        pod
    };
    assert_eq!(policy.try_images(&disabled(policy.pod(&["nginx"]))).unwrap(), ["app=nginx"]);
    let mut mirror = policy.pod(&["nginx"]);
    mirror["metadata"]["annotations"] = json!({ "kubernetes.io/config.mirror": "x" });
    mirror["spec"]["nodeName"] = json!("node");
    let mirrored = policy.try_images(&mirror).map_err(|error| error.to_string());
    // Only the kubelet may create one, so either it is refused or it keeps its image.
    assert!(mirrored.as_ref().map_or(true, |found| found == &["app=nginx"]), "{mirrored:?}");
    updated(&policy);
}

/// Checks that an update rewrites only what it introduces.
fn updated(policy: &Policy<'_>) {
    let api = &policy.cluster.api;
    let mut pod = policy.pod(&["nginx:1", "redis:1"]);
    pod["metadata"]["name"] = json!("updated");
    // Without the label of the policy, so that it is stored as it is.
    pod["metadata"]["labels"] = json!({});
    api.post(&pods(), &pod);
    let path = format!("{}/updated", pods());
    let label = json!({ "metadata": { "labels": { "map": policy.name } } });
    assert_eq!(images(&api.patch(&path, &label)), ["app=nginx:1", "app1=redis:1"]);
    let containers =
        json!([{ "name": "app", "image": "nginx:2" }, { "name": "app1", "image": "redis:1" }]);
    let update = json!({ "spec": { "containers": containers } });
    let set = ["patch", "pod", "updated", "-n", PLAIN, "-p", &update.to_string()];
    policy.cluster.control_plane.kubectl(&set);
    let stored = api.get(&path).unwrap();
    assert_eq!(images(&stored), ["app=d.io/nginx:2", "app1=redis:1"]);
    for (name, expected) in [
        ("debug", vec!["app=d.io/nginx:2", "app1=redis:1", "debug=d.io/busybox"]),
        (
            "more",
            vec!["app=d.io/nginx:2", "app1=redis:1", "debug=d.io/busybox", "more=d.io/busybox"],
        ),
    ] {
        let debug = ["debug", "updated", "-n", PLAIN, "--container", name, "--image=busybox"];
        policy.cluster.control_plane.kubectl(&debug);
        assert_eq!(images(&api.get(&path).unwrap()), expected);
    }
    api.delete(&path);
}

/// Returns a map of the maximum size, in which an image is compared with as many rules as possible.
fn largest_map() -> String {
    let registries = (0..MAX_RULES - MAX_GLOBS - 2).map(|number| {
        format!("docker.io/organization/repository-{number}::registry.example.com/hub-{number}")
    });
    let globs = (0..MAX_GLOBS).map(|number| {
        format!("[REPLACE]*/org*/other-{number:03}*:*::registry.example.com/{number}")
    });
    let substrings = (0..MAX_SUBSTRINGS).map(|number| format!("mirror-{number:03}.example.com"));
    let substrings = substrings.map(|text| text[..MAX_SUBSTRING_BYTES / MAX_SUBSTRINGS].to_owned());
    let wildcards = format!("noswap_wildcards::{}", substrings.collect::<Vec<_>>().join(","));
    let rest = ["default::registry.example.com".to_owned(), wildcards];
    registries.chain(globs).chain(rest).collect::<Vec<_>>().join("\n")
}

fn limits(cluster: &Cluster) {
    if !cluster.has(MUTATING_POLICIES) {
        return;
    }
    cluster.clear_state();
    let rules = compile(&largest_map());
    assert_eq!(rules.rules().len(), MAX_RULES);
    let policy = Policy::apply(cluster, "largest", &rules);
    policy.await_images(&policy.pod(&["nginx"]), &named(["registry.example.com/nginx".to_owned()]));
    let digest = "@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7";
    let long = format!("organization/{}:1.2.3{digest}", "a".repeat(159));
    assert_eq!(long.len(), 250);
    for images in [vec![&*long; MAX_CONTAINERS], vec!["nginx:1.27"; 2 * MAX_CONTAINERS]] {
        let expected = named(images.iter().map(|image| decided(&rules, image)));
        assert_eq!(policy.try_images(&policy.pod(&images)).unwrap(), expected);
    }
}
