//! The webhook disappears before its configuration: break glass without a replica, and a deleted namespace.

use serde_json::json;

use crate::{
    Cluster, MAP, Step, eventually,
    install::{AUTHORITY, CERTIFICATE, CONFIGURATION, NAMESPACE},
    webhook::Files,
};

const NAMESPACE_PATH: &str = "/api/v1/namespaces/imageswap-system";
const SERVICE: &str = "/api/v1/namespaces/imageswap-system/services/imageswap";

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("deleting the configuration helps without a replica", break_glass),
    ("a deleted namespace stops all pods until it is created again", namespace),
];

fn break_glass(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let mut webhook = cluster.managed(&files).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    webhook.kill();
    cluster.service.set_endpoints(&[]);
    cluster.service.cut();
    let refusal = cluster.try_probe().unwrap_err().to_string();
    assert!(refusal.contains("failed calling webhook"), "{refusal}");
    cluster.control_plane.kubectl(&["delete", "mutatingwebhookconfiguration", "imageswap-webhook"]);
    cluster.await_probe("app=probe:1");
    // The next replica creates it again.
    let webhook = cluster.managed(&files).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    webhook.assert_no_warnings();
}

fn namespace(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let mut webhook = cluster.managed(&files).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    let cluster_ip = cluster.api.get(SERVICE).unwrap()["spec"]["clusterIP"].clone();
    webhook.kill();
    cluster.control_plane.kubectl(&["delete", "namespace", NAMESPACE]);
    for path in [NAMESPACE_PATH, CERTIFICATE, AUTHORITY] {
        assert_eq!(cluster.api.get(path), None);
    }
    // The configuration stays, because the ClusterRole owns it.
    assert!(cluster.api.get(CONFIGURATION).is_some());
    eventually("a refusal", || match cluster.try_probe() {
        Err(error) if error.to_string().contains("service \"imageswap\" not found") => Ok(()),
        probed => Err(probed),
    });
    cluster.control_plane.create_namespace(NAMESPACE, &json!({}));
    // With the cluster IP of before, on which the test listens.
    cluster.api.post(
        &format!("{NAMESPACE_PATH}/services"),
        &json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": "imageswap" },
            "spec": { "clusterIP": cluster_ip, "ports": [{ "name": "https", "port": 443, "targetPort": 5000 }] },
        }),
    );
    // Everything is as after a first installation, apart from the caBundle, which still has the root of the old authority.
    cluster.control_plane.install();
    let webhook = cluster.managed(&files).start_ready();
    cluster.service.set_endpoints(&[&webhook]);
    cluster.await_probe("app=one.example.com/probe:1");
    let state = cluster.await_stable(std::slice::from_ref(&webhook));
    assert!(state.bundle().contains(&state.root()), "{:?}", state.bundle());
    // The old account was refused while its namespace was gone.
    cluster.control_plane.clear_audit();
}
