//! Pods and workloads that users create and change, and the images that are stored.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use imageswap::settings::SAMPLE_MAP;
use serde_json::{Value, json};
use support::recipes::recipes;

use crate::{
    Cluster, IMAGE_VOLUMES, MAP, PLAIN, PODS, SELF_REVIEWS, SWAPPED, Step, eventually, expect,
    kubectl::parsed,
    objects::{LABEL, images, pod_of, template_of, workload},
    webhook::{Files, Webhook},
};

/// Another map.
const OTHER_MAP: &str = "default::two.example.com";

pub(crate) const STEPS: &[Step<Swapping>] = &[
    ("the administrator has a certificate and a token", administrators),
    ("all images of a pod are swapped", pod),
    ("pods in a namespace without the label are not swapped", other_namespace),
    ("a pod with the disable label is not swapped", disable_label),
    ("the pods of workloads are swapped, and their templates are not", workloads),
    ("a new label does not change the images of a stored pod", label_of_a_stored_pod),
    ("only the new image of one container is swapped", image_of_a_stored_pod),
    ("only a new ephemeral container is swapped", ephemeral_container),
    ("no creation fails while the map changes", creations_while_the_map_changes),
    ("no creation fails while one instance replaces another", takeover),
    ("the sample map and recipes rewrite the images of created pods", documented_maps),
    ("the webhook logged no warning", no_warnings),
];

/// A cluster with a running webhook and its files.
pub(crate) struct Swapping {
    pub(crate) cluster: Cluster,
    pub(crate) files: Files,
    pub(crate) webhook: Webhook,
}

impl AsRef<Cluster> for Swapping {
    fn as_ref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Swapping {
    /// Starts a webhook in a cluster.
    pub(crate) fn start(cluster: Cluster) -> Self {
        let files = Files::new(MAP);
        let webhook = cluster.managed(&files).start_ready();
        cluster.service.set_endpoints(&[&webhook]);
        let swapping = Self { cluster, files, webhook };
        swapping.await_swap_to("one.example.com");
        swapping
    }

    /// Waits until the images of a pod would be swapped to a host.
    fn await_swap_to(&self, host: &str) {
        let swapped = format!("app={host}/probe:1");
        eventually(&format!("images from {host}"), || {
            expect(self.cluster.probe(), &[swapped.as_str()])
        });
    }

    /// Calls `run` while the other map is in use.
    fn with_other_map(&self, run: impl FnOnce()) {
        self.files.write("maps.conf", OTHER_MAP);
        self.await_swap_to("two.example.com");
        run();
        self.files.write("maps.conf", MAP);
        self.await_swap_to("one.example.com");
    }

    /// Returns the images of a stored pod.
    fn images_of(&self, pod: &str) -> Vec<String> {
        images(&self.cluster.control_plane.stored(&["pod", pod, "-n", SWAPPED]))
    }

    /// Returns the images of the template of a stored object.
    pub(crate) fn template_images_of(&self, object: &str) -> Vec<String> {
        images(template_of(&self.cluster.control_plane.stored(&[object, "-n", SWAPPED])))
    }
}

fn administrators(swapping: &Swapping) {
    if !swapping.cluster.has(SELF_REVIEWS) {
        return;
    }
    for (kubeconfig, name) in [("admin.kubeconfig", "admin"), ("token.kubeconfig", "token-admin")] {
        let kubeconfig = format!("--kubeconfig={kubeconfig}");
        let who =
            swapping.cluster.control_plane.kubectl(&["auth", "whoami", "-o=json", &kubeconfig]);
        let user = &parsed(&who)["status"]["userInfo"];
        assert_eq!(user["username"], name);
        assert!(user["groups"].as_array().unwrap().contains(&json!("system:masters")), "{user}");
    }
}

fn pod(swapping: &Swapping) {
    let mut pod = pod_of("all", &["nginx:1.27", "quay.io/prometheus/node-exporter:v1"]);
    pod["spec"]["initContainers"] = json!([{ "name": "init", "image": "busybox" }]);
    let mut expected = vec![
        "init=one.example.com/busybox",
        "app=one.example.com/nginx:1.27",
        "app1=one.example.com/prometheus/node-exporter:v1",
    ];
    let mut volumes = vec![json!({ "name": "scratch", "emptyDir": {} })];
    if swapping.cluster.has(IMAGE_VOLUMES) {
        let image = json!({ "reference": "ghcr.io/acme/model:v3" });
        volumes.push(json!({ "name": "model", "image": image }));
        expected.push("model=one.example.com/acme/model:v3");
    }
    pod["spec"]["volumes"] = volumes.into();
    swapping.cluster.control_plane.create(&pod);
    assert_eq!(swapping.images_of("all"), expected);
}

fn other_namespace(swapping: &Swapping) {
    let mut pod = pod_of("plain", &["nginx:1.27"]);
    pod["metadata"]["namespace"] = json!(PLAIN);
    assert_eq!(images(&swapping.cluster.control_plane.create(&pod)), ["app=nginx:1.27"]);
}

fn disable_label(swapping: &Swapping) {
    let mut pod = pod_of("disabled", &["nginx:1.27"]);
    pod["metadata"]["labels"] = json!({ LABEL: "disabled" });
    assert_eq!(images(&swapping.cluster.control_plane.create(&pod)), ["app=nginx:1.27"]);
}

fn workloads(swapping: &Swapping) {
    let control_plane = &swapping.cluster.control_plane;
    let job = ["create", "job", "nightly-1", "--from=cronjob/nightly", "-n", SWAPPED];
    // The second pod of a StatefulSet waits until the first one runs, but no pod runs here.
    for (api_version, kind, name, label, pods) in [
        ("apps/v1", "Deployment", "web", "app=web", 2),
        ("apps/v1", "StatefulSet", "store", "app=store", 1),
        ("batch/v1", "CronJob", "nightly", "job-name=nightly-1", 1),
    ] {
        control_plane.create(&workload(api_version, kind, name));
        if kind == "CronJob" {
            control_plane.kubectl(&job);
        }
        let template = swapping.template_images_of(&format!("{kind}/{name}"));
        assert_eq!(template, ["app=nginx:1.27"], "{kind}");
        let label = format!("-l={label}");
        let pods = eventually(&format!("the pods of the {kind}"), || {
            let found = control_plane.stored(&["pods", "-n", SWAPPED, &label]);
            let found = found["items"].as_array().unwrap().clone();
            if found.len() == pods { Ok(found) } else { Err(found) }
        });
        for pod in pods {
            assert_eq!(images(&pod), ["app=one.example.com/nginx:1.27"], "{kind}");
        }
    }
}

fn label_of_a_stored_pod(swapping: &Swapping) {
    swapping.cluster.control_plane.create(&pod_of("labelled", &["nginx:1.27"]));
    swapping.with_other_map(|| {
        swapping.cluster.control_plane.kubectl(&[
            "label",
            "pod",
            "labelled",
            "-n",
            SWAPPED,
            "stage=test",
        ]);
        let stored = swapping.cluster.control_plane.stored(&["pod", "labelled", "-n", SWAPPED]);
        assert_eq!(stored["metadata"]["labels"]["stage"], "test");
        assert_eq!(images(&stored), ["app=one.example.com/nginx:1.27"]);
    });
}

fn image_of_a_stored_pod(swapping: &Swapping) {
    swapping.cluster.control_plane.create(&pod_of("updated", &["nginx:1.27", "redis:7"]));
    swapping.with_other_map(|| {
        let set = ["set", "image", "pod/updated", "app=nginx:1.28", "-n", SWAPPED];
        swapping.cluster.control_plane.kubectl(&set);
        assert_eq!(
            swapping.images_of("updated"),
            ["app=two.example.com/nginx:1.28", "app1=one.example.com/redis:7"]
        );
    });
}

fn ephemeral_container(swapping: &Swapping) {
    swapping.cluster.control_plane.create(&pod_of("debugged", &["nginx:1.27"]));
    let debug = |name: &str| {
        let name = format!("--container={name}");
        let image = "--image=quay.io/tools/debug:1";
        swapping.cluster.control_plane.kubectl(&["debug", "debugged", &name, image, "-n", SWAPPED]);
    };
    debug("first");
    swapping.with_other_map(|| debug("second"));
    assert_eq!(
        swapping.images_of("debugged"),
        [
            "app=one.example.com/nginx:1.27",
            "first=one.example.com/tools/debug:1",
            "second=two.example.com/tools/debug:1",
        ]
    );
}

fn creations_while_the_map_changes(swapping: &Swapping) {
    /// Number of pods that are created in parallel.
    const CREATIONS: usize = 32;
    /// Number of the first pod that is created only after the change of the map.
    const LATE: usize = 24;
    /// Minimum number of pods that are stored before the map changes.
    const EARLY: usize = 4;

    let (changed, finished) = (AtomicBool::new(false), AtomicUsize::new(0));
    let name = |number: usize| format!("parallel-{number}");
    thread::scope(|scope| {
        for number in 0..CREATIONS {
            let (changed, finished) = (&changed, &finished);
            scope.spawn(move || {
                if number >= LATE {
                    eventually("the new map", || expect(changed.load(Ordering::SeqCst), &true));
                }
                swapping.cluster.create(&pod_of(&name(number), &["nginx:1.27"]));
                finished.fetch_add(1, Ordering::SeqCst);
            });
        }
        eventually("the first creations", || {
            let finished = finished.load(Ordering::SeqCst);
            if finished >= EARLY { Ok(()) } else { Err(finished) }
        });
        swapping.with_other_map(|| {
            changed.store(true, Ordering::SeqCst);
            eventually("all creations", || expect(finished.load(Ordering::SeqCst), &CREATIONS));
        });
    });
    let old = ["app=one.example.com/nginx:1.27"];
    let new = ["app=two.example.com/nginx:1.27"];
    let mut of_old = 0;
    for number in 0..CREATIONS {
        let path = format!("{PODS}/{}", name(number));
        let images = images(&swapping.cluster.api.get(&path).unwrap());
        assert!(images == new || (number < LATE && images == old), "{number}: {images:?}");
        of_old += usize::from(images == old);
    }
    assert!(of_old >= EARLY, "{of_old}");
}

fn takeover(swapping: &Swapping) {
    let Swapping { cluster, webhook: standing, .. } = swapping;
    // Each instance has its own map, so an image shows which instance was called.
    let [first_files, second_files] =
        ["first", "second"].map(|name| Files::new(&format!("default::{name}.example.com")));
    // The connection of the API server stays with the first instance until that stops. Then it connects to the second.
    let delay = |files: &Files| cluster.managed(files).with("IMAGESWAP_SHUTDOWN_DELAY", "3s");
    let mut first = delay(&first_files).start_ready();
    cluster.service.set_endpoints(&[&first]);
    cluster.service.cut();
    cluster.await_probe("app=first.example.com/probe:1");
    let second = delay(&second_files).start_ready();
    cluster.service.set_endpoints(&[&second]);
    let create = |name: String| images(&cluster.create(&pod_of(&name, &["nginx:1.27"]))).remove(0);
    first.terminate();
    assert_eq!(create("takeover-signalled".into()), "app=first.example.com/nginx:1.27");
    let mut number = 0;
    eventually("images from the second instance", || {
        number += 1;
        let image = create(format!("takeover-{number}"));
        expect(image, &"app=second.example.com/nginx:1.27")
    });
    assert_eq!(first.await_end().code(), Some(0));
    assert_eq!(create("takeover-ended".into()), "app=second.example.com/nginx:1.27");
    cluster.service.set_endpoints(&[standing]);
    cluster.service.cut();
    cluster.await_probe("app=one.example.com/probe:1");
    for webhook in [&first, &second] {
        webhook.assert_no_warnings();
    }
}

fn documented_maps(swapping: &Swapping) {
    const TITLES: [&str; 3] =
        ["Amazon ECR", "Google Artifact Registry", "Keep the registry in the path"];

    let sample = [
        ("nginx:1.27", "registry.example.com/official/nginx:1.27"),
        ("nvcr.io/nvidia/cuda:12.4", "registry.example.com/gpu/cuda:12.4"),
        ("gcr.io/google/pause:3", "registry.example.com/mirror-gcr.io/google/pause:3"),
        ("eu.gcr.io/acme/app:1", "registry.example.com/gcr/eu.gcr.io/acme/app:1"),
        ("public.ecr.aws/a/b", "public.ecr.aws/a/b"),
    ]
    .map(|(image, result)| (image.to_owned(), result.to_owned()));
    let mut maps = vec![(SAMPLE_MAP.to_owned(), sample.to_vec())];
    for recipe in recipes().into_iter().filter(|recipe| TITLES.contains(&&*recipe.title)) {
        let images = recipe.images.into_iter();
        let images = images.map(|(image, result)| (image.clone(), result.unwrap_or(image)));
        maps.push((recipe.map, images.collect()));
    }
    assert_eq!(maps.len(), 1 + TITLES.len());
    for (number, (map, images)) in maps.into_iter().enumerate() {
        swapping.files.write("maps.conf", &map);
        let (written, expected): (Vec<_>, Vec<_>) = images.into_iter().unzip();
        let pod =
            pod_of(&format!("map-{number}"), &written.iter().map(|it| &**it).collect::<Vec<_>>());
        let would_be = || swapping.cluster.api.try_post(&format!("{PODS}?dryRun=All"), &pod);
        eventually(&format!("map {number}"), || {
            expect(images_alone(&would_be().unwrap()), &expected)
        });
        swapping.cluster.control_plane.create(&pod);
        let stored = swapping.cluster.control_plane.stored(&[
            "pod",
            &format!("map-{number}"),
            "-n",
            SWAPPED,
        ]);
        assert_eq!(images_alone(&stored), expected, "map {number}");
    }
    swapping.files.write("maps.conf", MAP);
    swapping.await_swap_to("one.example.com");
}

/// Returns the images of a pod, without the names of the containers.
fn images_alone(pod: &Value) -> Vec<String> {
    let images = images(pod).into_iter();
    images.map(|image| image.split_once('=').unwrap().1.to_owned()).collect()
}

fn no_warnings(swapping: &Swapping) {
    swapping.webhook.assert_no_warnings();
}
