//! Verified targets: the mirror decides which image of a pod runs.

use std::time::Instant;

use serde_json::Value;

use crate::{
    Part, Step, eventually, expect,
    installation::NAMESPACE,
    node::Node,
    pods::{image, name, pod},
    print_time,
};

pub(crate) const STEPS: &[Step] =
    &[("an image that the mirror lacks runs from its origin", kept, Part::Smoke)];

const PODS: &str = "/api/v1/namespaces/test1/pods";

/// Pods with their images, and the images that they get.
const IMAGES: [(&str, &str, &str); 2] = [
    ("at-mirror", "nginx:1.27", "registry.example.com/official/nginx:1.27"),
    ("at-origin", "origin.example.com/acme/tool:1", "origin.example.com/acme/tool:1"),
];

fn kept(node: &Node) {
    let begun = Instant::now();
    // The certificate of the mirror is signed by the CA of the cluster.
    let authority = node.disk("etc/kubernetes/ca.crt");
    node.documented(
        "kubectl create configmap imageswap-registry-ca --namespace imageswap-system --from-file=ca.crt=FILE",
        &[("FILE", authority.to_str().unwrap())],
    );
    let overlay = "deploy/overlays/verified-targets";
    node.kubectl(&["apply", "--server-side", "--kustomize", overlay]);
    let replicas = node.await_replicas(2);
    print_time("the overlay is rolled out", begun);
    for (name, written, expected) in IMAGES {
        let pod = pod(name, written);
        // On a busy machine the mirror may answer after the first review.
        eventually(expected, || {
            let would_be = node.api().try_post(&format!("{PODS}?dryRun=All"), &pod);
            let would_be = would_be.map_err(|error| error.to_string())?;
            expect(image(&would_be).to_owned(), expected)
        });
        assert_eq!(image(&node.api().post(PODS, &pod)), expected);
    }
    for (name, ..) in IMAGES {
        node.await_ready_pod("test1", name);
        print_time(&format!("the pod {name} is ready"), begun);
    }
    assert!(node.origin().has_served("acme/tool"));
    let absent = |replica: &Value| {
        node.metric(name(replica), "imageswap_target_checks_total{result=\"absent\"}")
    };
    assert!(replicas.iter().map(absent).sum::<f64>() >= 1.0, "no replica in {NAMESPACE} has asked");
    for (name, ..) in IMAGES {
        node.api().delete(&format!("{PODS}/{name}"));
    }
}
