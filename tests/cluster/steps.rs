//! The steps of the test: what a cluster's users do, and what has to be stored then.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use serde_json::json;

use crate::{
    Cluster, PLAIN, SWAPPED,
    control_plane::parsed,
    eventually, expect,
    objects::{images, pod_of, workload},
    webhook::{Files, LABEL, Webhook, rule},
};

pub(crate) fn administrators(cluster: &Cluster) {
    for (kubeconfig, name) in [("admin.kubeconfig", "admin"), ("token.kubeconfig", "token-admin")] {
        let kubeconfig = format!("--kubeconfig={kubeconfig}");
        let who = cluster.control_plane.kubectl(&["auth", "whoami", "-o=json", &kubeconfig]);
        let user = &parsed(&who)["status"]["userInfo"];
        assert_eq!(user["username"], name);
        assert!(user["groups"].as_array().unwrap().contains(&json!("system:masters")), "{user}");
    }
}

pub(crate) fn pod(cluster: &Cluster) {
    let mut pod = pod_of("all", &["nginx:1.27", "quay.io/prometheus/node-exporter:v1"]);
    pod["spec"]["initContainers"] = json!([{ "name": "init", "image": "busybox" }]);
    pod["spec"]["volumes"] = json!([
        { "name": "scratch", "emptyDir": {} },
        { "name": "model", "image": { "reference": "ghcr.io/acme/model:v3" } },
    ]);
    cluster.control_plane.create(&pod);
    assert_eq!(
        cluster.images_of("all"),
        [
            "init=one.example.com/busybox",
            "app=one.example.com/nginx:1.27",
            "app1=one.example.com/prometheus/node-exporter:v1",
            "model=one.example.com/acme/model:v3",
        ]
    );
}

pub(crate) fn other_namespace(cluster: &Cluster) {
    let mut pod = pod_of("plain", &["nginx:1.27"]);
    pod["metadata"]["namespace"] = json!(PLAIN);
    assert_eq!(images(&cluster.control_plane.create(&pod)), ["app=nginx:1.27"]);
}

pub(crate) fn disable_label(cluster: &Cluster) {
    let mut pod = pod_of("disabled", &["nginx:1.27"]);
    pod["metadata"]["labels"] = json!({ LABEL: "disabled" });
    assert_eq!(images(&cluster.control_plane.create(&pod)), ["app=nginx:1.27"]);
}

pub(crate) fn deployment(cluster: &Cluster) {
    cluster.control_plane.create(&workload("apps/v1", "Deployment", "web"));
    assert_eq!(cluster.template_images_of("deployment/web"), ["app=nginx:1.27"]);
    let pods = eventually("the pods of the Deployment", || {
        let pods = cluster.control_plane.stored(&["pods", "-n", SWAPPED, "-l=app=web"]);
        let pods = pods["items"].as_array().unwrap().clone();
        if pods.len() == 2 { Ok(pods) } else { Err(pods) }
    });
    for pod in pods {
        assert_eq!(images(&pod), ["app=one.example.com/nginx:1.27"]);
    }
}

pub(crate) fn templates(cluster: &Cluster) {
    let control_plane = &cluster.control_plane;
    let rules = json!([
        rule("apps", &["daemonsets", "deployments", "replicasets", "statefulsets"]),
        rule("batch", &["cronjobs", "jobs"]),
    ]);
    let address = cluster.webhook.address();
    control_plane.create(&cluster.files.configuration("imageswap-workloads", address, &rules));
    let template = workload("apps/v1", "Deployment", "probe");
    eventually("templates are swapped", || {
        let dry_run = ["create", "--dry-run=server", "-f=-", "-o=json"];
        let answer = control_plane.try_kubectl(&dry_run, Some(&template)).unwrap();
        let swapped = ["app=one.example.com/nginx:1.27"];
        expect(images(&parsed(&answer)["spec"]["template"]), &swapped)
    });
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
            let images = cluster.template_images_of(&object);
            assert_eq!(images, ["app=one.example.com/nginx:1.27"], "{object}");
            generations.push(generation());
        }
        assert_eq!(generations[0], generations[1], "{object}");
    }
    control_plane.kubectl(&["delete", "mutatingwebhookconfiguration", "imageswap-workloads"]);
}

pub(crate) fn label_of_a_stored_pod(cluster: &Cluster) {
    cluster.control_plane.create(&pod_of("labelled", &["nginx:1.27"]));
    cluster.with_other_map(|| {
        cluster.control_plane.kubectl(&["label", "pod", "labelled", "-n", SWAPPED, "stage=test"]);
        let stored = cluster.control_plane.stored(&["pod", "labelled", "-n", SWAPPED]);
        assert_eq!(stored["metadata"]["labels"]["stage"], "test");
        assert_eq!(images(&stored), ["app=one.example.com/nginx:1.27"]);
    });
}

pub(crate) fn image_of_a_stored_pod(cluster: &Cluster) {
    cluster.control_plane.create(&pod_of("updated", &["nginx:1.27", "redis:7"]));
    cluster.with_other_map(|| {
        let set = ["set", "image", "pod/updated", "app=nginx:1.28", "-n", SWAPPED];
        cluster.control_plane.kubectl(&set);
        assert_eq!(
            cluster.images_of("updated"),
            ["app=two.example.com/nginx:1.28", "app1=one.example.com/redis:7"]
        );
    });
}

pub(crate) fn ephemeral_container(cluster: &Cluster) {
    cluster.control_plane.create(&pod_of("debugged", &["nginx:1.27"]));
    let debug = |name: &str| {
        let name = format!("--container={name}");
        let image = "--image=quay.io/tools/debug:1";
        cluster.control_plane.kubectl(&["debug", "debugged", &name, image, "-n", SWAPPED]);
    };
    debug("first");
    cluster.with_other_map(|| debug("second"));
    assert_eq!(
        cluster.images_of("debugged"),
        [
            "app=one.example.com/nginx:1.27",
            "first=one.example.com/tools/debug:1",
            "second=two.example.com/tools/debug:1",
        ]
    );
}

pub(crate) fn creations_while_the_map_changes(cluster: &Cluster) {
    /// So many are created at once, and those of them from the last on only with the new map.
    const CREATIONS: usize = 32;
    const LATE: usize = 24;
    /// So many have to be stored before the map changes.
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
                cluster.control_plane.create(&pod_of(&name(number), &["nginx:1.27"]));
                finished.fetch_add(1, Ordering::SeqCst);
            });
        }
        eventually("the first creations", || {
            let finished = finished.load(Ordering::SeqCst);
            if finished >= EARLY { Ok(()) } else { Err(finished) }
        });
        cluster.with_other_map(|| {
            changed.store(true, Ordering::SeqCst);
            eventually("all creations", || expect(finished.load(Ordering::SeqCst), &CREATIONS));
        });
    });
    let old = ["app=one.example.com/nginx:1.27"];
    let new = ["app=two.example.com/nginx:1.27"];
    let mut of_old = 0;
    for number in 0..CREATIONS {
        let images = cluster.images_of(&name(number));
        assert!(images == new || (number < LATE && images == old), "{number}: {images:?}");
        of_old += usize::from(images == old);
    }
    assert!(of_old >= EARLY, "{of_old}");
}

pub(crate) fn takeover(cluster: &Cluster) {
    // Each instance has a map of its own, so that an image tells which of them was asked.
    let first_files = Files::new("default::first.example.com");
    let second_files = Files::new("default::second.example.com");
    let (mut first, second) = (Webhook::start(&first_files), Webhook::start(&second_files));
    let register = |files: &Files, webhook: &Webhook| {
        let rules = json!([rule("", &["pods", "pods/ephemeralcontainers"])]);
        let configuration = files.configuration("imageswap-webhook", webhook.address(), &rules);
        cluster.control_plane.try_kubectl(&["replace", "-f=-"], Some(&configuration)).unwrap();
    };
    let create = |name: &str| {
        images(&cluster.control_plane.create(&pod_of(name, &["nginx:1.27"]))).remove(0)
    };
    register(&first_files, &first);
    cluster.await_swap_to("first.example.com");
    first.terminate();
    assert_eq!(create("takeover-signalled"), "app=first.example.com/nginx:1.27");
    register(&second_files, &second);
    cluster.await_swap_to("second.example.com");
    assert_eq!(create("takeover-both"), "app=second.example.com/nginx:1.27");
    let status = eventually("the end of the first instance", || first.ended().ok_or("it runs"));
    assert_eq!(status.code(), Some(0));
    assert_eq!(create("takeover-second"), "app=second.example.com/nginx:1.27");
    for webhook in [&first, &second] {
        assert!(webhook.complaints().is_empty(), "{:?}", webhook.complaints());
    }
    register(&cluster.files, &cluster.webhook);
    cluster.await_swap_to("one.example.com");
}
