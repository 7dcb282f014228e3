//! The owner of the webhook configuration. It is optional, because the API server permits a change of the owner only to
//! clients that may also delete the object.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    Cluster, MAP, Step, eventually, expect,
    install::{CONFIGURATION, CONFIGURATIONS, NAMESPACE, repository},
    installation::configuration_of_the_original,
    proxy::{Handling, Proxy},
    stream::bundle,
    webhook::{Files, Webhook},
};

/// Flags of the API server.
pub(crate) const FLAGS: &[&str] =
    &["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"];

/// The ClusterRole that owns the configuration.
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/imageswap-write";

/// Log message about a missing owner.
const WARNING: &str = "owner of the webhook configuration not set";

/// The account with the permissions that the original has.
const ORIGINAL: &str = "original";

/// Timeout for a repair while the lookup of the owner gets no answer. It is shorter than the ten seconds that other
/// calls may take.
const SLOW_REPAIR: Duration = Duration::from_secs(8);

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("a configuration is taken over without an owner if the owner may not be set", take_over),
    ("the overlay for OpenShift sets the owner in a take-over", take_over_on_openshift),
    ("the permissions of the original suffice", permissions_of_the_original),
    ("an owner is kept while the lookup of it fails", carried_over),
    ("an unanswered lookup does not delay a repair", slow_lookup),
    ("a recreated owner is set by its new uid", recreated),
];

fn take_over(cluster: &Cluster) {
    cluster.clear_state();
    let original = configuration_of_the_original(cluster);
    cluster.api.post(&format!("{CONFIGURATIONS}?fieldManager=OpenAPI-Generator"), &original);
    let files = Files::new(MAP);
    let webhooks = [cluster.managed(&files).start_ready()];
    let after = cluster.await_stable(&webhooks);
    assert!(after.bundle().contains(&after.root()));
    assert_unowned(cluster, &webhooks[0]);
    let refusal = "cannot set an ownerRef on a resource you can't delete";
    assert_eq!(webhooks[0].log_with(refusal).len(), 1);
    // The refusals are the subject of this test.
    cluster.control_plane.clear_audit();
}

fn take_over_on_openshift(cluster: &Cluster) {
    cluster.clear_state();
    let overlay = repository("deploy/overlays/openshift");
    cluster.control_plane.apply(&["--kustomize", overlay.to_str().unwrap()]);
    let original = configuration_of_the_original(cluster);
    cluster.api.post(&format!("{CONFIGURATIONS}?fieldManager=OpenAPI-Generator"), &original);
    let files = Files::new(MAP);
    let webhook = cluster.managed(&files).start_ready();
    eventually("an owner", || {
        let owners = &cluster.await_configuration()["metadata"]["ownerReferences"];
        expect(owners[0]["name"].clone(), &json!("imageswap-write"))
    });
    webhook.assert_no_warnings();
    let base = repository("deploy/install.yaml");
    cluster.control_plane.apply(&["--filename", base.to_str().unwrap()]);
}

fn permissions_of_the_original(cluster: &Cluster) {
    cluster.clear_state();
    let account = cluster.account_of_the_original();
    let files = Files::new(MAP);
    let launch =
        |command| cluster.connected(command, &files).with_path("KUBECONFIG", account.clone());
    let mut init = launch("init").with_path("IMAGESWAP_TLS_DIR", files.path("")).spawn();
    assert_eq!(init.await_end().code(), Some(0), "{:?}", init.log());
    assert_eq!(init.log_with(WARNING).len(), 1);
    assert_eq!(cluster.await_configuration()["metadata"]["ownerReferences"], Value::Null);
    cluster.clear_state();
    let webhooks = [launch("serve").start_ready()];
    cluster.await_configuration();
    cluster.await_stable(&webhooks);
    assert_unowned(cluster, &webhooks[0]);
    webhooks[0].assert_no_warnings_except(&[WARNING]);
}

fn carried_over(cluster: &Cluster) {
    cluster.clear_state();
    let account = cluster.account_of_the_original();
    let files = Files::new(MAP);
    let owned = {
        let _webhook = cluster.managed(&files).start_ready();
        cluster.await_configuration()
    };
    let owners = &owned["metadata"]["ownerReferences"];
    assert_eq!(owners[0]["uid"], cluster.api.get(ROLE).unwrap()["metadata"]["uid"]);
    let webhook = cluster.managed(&files).with_path("KUBECONFIG", account).start_ready();
    for policy in ["Ignore", "Fail"] {
        cluster.assert_repaired(policy);
        assert_eq!(cluster.api.get(CONFIGURATION).unwrap()["metadata"]["ownerReferences"], *owners);
    }
    assert_eq!(webhook.log_with(WARNING).len(), 1);
    webhook.await_log("the existing owner is kept");
}

fn slow_lookup(cluster: &Cluster) {
    cluster.clear_state();
    let proxy = Proxy::start(cluster, &cluster.kubeconfig);
    proxy.handle_by(|method, path| {
        if method == Method::GET && path == ROLE { Handling::Ignore } else { Handling::Forward }
    });
    let files = Files::new(MAP);
    let webhook = cluster.managed(&files).with_path("KUBECONFIG", proxy.kubeconfig()).start_ready();
    let right = cluster.await_configuration();
    let mut webhooks = right["webhooks"].clone();
    webhooks[0]["clientConfig"]["caBundle"] = json!("");
    cluster.api.patch(CONFIGURATION, &json!({ "webhooks": webhooks }));
    let begun = Instant::now();
    eventually("a repair", || {
        expect(bundle(&cluster.api.get(CONFIGURATION).unwrap()), &bundle(&right))
    });
    let took = begun.elapsed();
    eprintln!("      repaired within {} ms", took.as_millis());
    assert!(took < SLOW_REPAIR, "{took:?}");
    assert_unowned(cluster, &webhook);
    webhook.assert_no_warnings_except(&[WARNING]);
    // After an answer, the next write contains the owner, which the API server refuses on an update.
    proxy.handle_by(|_, _| Handling::Forward);
    cluster.assert_repaired("Ignore");
    webhook.await_log("cannot set an ownerRef");
    cluster.control_plane.clear_audit();
}

fn recreated(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let webhook = launch.start_ready();
    cluster.await_configuration();
    cluster.control_plane.kubectl(&["delete", "clusterrole", "imageswap-write"]);
    // The garbage collector deletes the configuration, and a webhook that has seen it does not create it again.
    eventually("the deletion of the configuration", || match cluster.api.get(CONFIGURATION) {
        None => Ok(()),
        found => Err(found),
    });
    cluster
        .control_plane
        .apply(&["--filename", repository("deploy/install.yaml").to_str().unwrap()]);
    webhook.await_log("webhook configuration deleted");
    let created = {
        let _other = launch.start_ready();
        cluster.await_configuration()
    };
    let role = cluster.api.get(ROLE).unwrap();
    let owner = &created["metadata"]["ownerReferences"][0]["uid"];
    assert_eq!(*owner, role["metadata"]["uid"]);
    // The first webhook still remembers the old owner.
    cluster.assert_repaired("Ignore");
    let repaired = cluster.api.get(CONFIGURATION).unwrap();
    assert_eq!(repaired["metadata"]["ownerReferences"], created["metadata"]["ownerReferences"]);
    assert_eq!(webhook.log_with(WARNING), [""; 0]);
    cluster.control_plane.clear_audit();
}

/// Fails unless the configuration has no owner and is repaired, and one warning was logged.
pub(crate) fn assert_unowned(cluster: &Cluster, webhook: &Webhook) {
    cluster.assert_repaired("Ignore");
    let configuration = cluster.api.get(CONFIGURATION).unwrap();
    assert_eq!(configuration["metadata"]["ownerReferences"], Value::Null);
    cluster.rotate_certificate();
    assert_eq!(webhook.log_with(WARNING).len(), 1, "{:?}", webhook.warnings());
}

impl Cluster {
    /// Sets another `failurePolicy`, and waits until it is repaired. The caBundle may still lose roots of others.
    pub(crate) fn assert_repaired(&self, policy: &str) {
        let fields = || {
            let mut webhooks = self.api.get(CONFIGURATION).unwrap()["webhooks"].clone();
            webhooks[0]["clientConfig"].as_object_mut().unwrap().remove("caBundle");
            webhooks
        };
        let right = fields();
        let mut webhooks = self.api.get(CONFIGURATION).unwrap()["webhooks"].clone();
        webhooks[0]["failurePolicy"] = json!(policy);
        webhooks[0]["timeoutSeconds"] = json!(29);
        self.api.patch(CONFIGURATION, &json!({ "webhooks": webhooks }));
        eventually("a repair", || expect(fields(), &right));
    }

    /// Creates an account with exactly the permissions of the original: webhook configurations and certificate signing
    /// requests, but no roles.
    pub(crate) fn account_of_the_original(&self) -> PathBuf {
        let group = "rbac.authorization.k8s.io";
        let lists = format!("/apis/{group}/v1");
        let kinds = [
            (
                "ClusterRole",
                format!("{lists}/clusterroles"),
                json!([
                    {
                        "apiGroups": ["admissionregistration.k8s.io"],
                        "resources": ["mutatingwebhookconfigurations"],
                        "verbs": ["create", "get", "list", "patch", "update", "watch"],
                    },
                    {
                        "apiGroups": ["certificates.k8s.io"],
                        "resources": [
                            "certificatesigningrequests",
                            "certificatesigningrequests/approval",
                        ],
                        "verbs": ["create", "get", "list", "patch", "update", "watch"],
                    },
                ]),
            ),
            (
                "Role",
                format!("{lists}/namespaces/{NAMESPACE}/roles"),
                json!([{
                    "apiGroups": [""],
                    "resources": ["configmaps", "secrets"],
                    "verbs": ["create", "get", "list", "patch", "update", "watch"],
                }]),
            ),
        ];
        for (kind, list, rules) in kinds {
            if self.api.get(&format!("{list}/{ORIGINAL}")).is_none() {
                let role = json!({
                    "apiVersion": format!("{group}/v1"),
                    "kind": kind,
                    "metadata": { "name": ORIGINAL },
                    "rules": rules,
                });
                self.api.post(&list, &role);
            }
        }
        let kubeconfig = self.control_plane.file(&format!("{ORIGINAL}.kubeconfig"));
        if kubeconfig.exists() {
            return kubeconfig;
        }
        self.control_plane.create_account(ORIGINAL)
    }
}
