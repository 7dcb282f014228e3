//! The owner of the webhook configuration. It is optional: the API server lets only those change the owner
//! who may also delete the object.

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
    proxy::{Fate, Proxy},
    stream::bundle,
    webhook::{Files, Webhook},
};

/// The flags of the API server.
pub(crate) const FLAGS: &[&str] =
    &["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"];

/// The ClusterRole that owns the configuration.
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/imageswap-write";

/// What the log says of an owner that is not there.
const WARNING: &str = "owner of the webhook configuration not set";

/// The account with the rights that the original has.
const ORIGINAL: &str = "original";

/// Maximum time of a repair while the lookup of the owner gets no answer; less than the ten seconds that
/// other calls may take.
const SLOW_REPAIR: Duration = Duration::from_secs(8);

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("a configuration without an owner is taken over where its owner may not be set", take_over),
    ("the rights of the original suffice", rights_of_the_original),
    ("an owner stays while it cannot be looked up", carried_over),
    ("an unanswered lookup does not delay a repair", slow_lookup),
    ("an owner that was recreated is named by its new uid", made_anew),
];

fn take_over(cluster: &Cluster) {
    cluster.forget();
    let original = configuration_of_the_original(cluster);
    cluster.api.post(&format!("{CONFIGURATIONS}?fieldManager=OpenAPI-Generator"), &original);
    let files = Files::new(MAP);
    let webhooks = [cluster.managed(&files).start_ready()];
    let taken = cluster.await_settled(&webhooks);
    assert!(taken.bundle().contains(&taken.root()));
    assert_unowned(cluster, &webhooks[0]);
    let refusal = "cannot set an ownerRef on a resource you can't delete";
    assert_eq!(webhooks[0].log_with(refusal).len(), 1);
    // The refusals are what is tested.
    cluster.control_plane.clear_audit();
}

fn rights_of_the_original(cluster: &Cluster) {
    cluster.forget();
    let account = cluster.account_of_the_original();
    let files = Files::new(MAP);
    let launch =
        |command| cluster.connected(command, &files).with_path("KUBECONFIG", account.clone());
    let mut init = launch("init").with_path("IMAGESWAP_TLS_DIR", files.path("")).spawn();
    assert_eq!(init.await_end().code(), Some(0), "{:?}", init.log());
    assert_eq!(init.log_with(WARNING).len(), 1);
    assert_eq!(cluster.await_configuration()["metadata"]["ownerReferences"], Value::Null);
    cluster.forget();
    let webhooks = [launch("serve").start_ready()];
    cluster.await_configuration();
    cluster.await_settled(&webhooks);
    assert_unowned(cluster, &webhooks[0]);
    webhooks[0].assert_calm_but_for(&[WARNING]);
}

fn carried_over(cluster: &Cluster) {
    cluster.forget();
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
    webhook.await_log("the owner that it has is kept");
}

fn slow_lookup(cluster: &Cluster) {
    cluster.forget();
    let proxy = Proxy::start(cluster, &cluster.kubeconfig);
    proxy.judge_by(|method, path| {
        if method == Method::GET && path == ROLE { Fate::Silence } else { Fate::Forward }
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
    webhook.assert_calm_but_for(&[WARNING]);
    // With an answer, the next write has the owner, which the API server refuses on an update.
    proxy.judge_by(|_, _| Fate::Forward);
    cluster.assert_repaired("Ignore");
    webhook.await_log("cannot set an ownerRef");
    cluster.control_plane.clear_audit();
}

fn made_anew(cluster: &Cluster) {
    cluster.forget();
    let files = Files::new(MAP);
    let launch = cluster.managed(&files);
    let webhook = launch.start_ready();
    cluster.await_configuration();
    cluster.control_plane.kubectl(&["delete", "clusterrole", "imageswap-write"]);
    // The garbage collector deletes it, and a webhook that has seen it does not create it again.
    eventually("the end of the configuration", || match cluster.api.get(CONFIGURATION) {
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
    // What the first one remembers is the old owner.
    cluster.assert_repaired("Ignore");
    let repaired = cluster.api.get(CONFIGURATION).unwrap();
    assert_eq!(repaired["metadata"]["ownerReferences"], created["metadata"]["ownerReferences"]);
    assert_eq!(webhook.log_with(WARNING), [""; 0]);
    cluster.control_plane.clear_audit();
}

/// Fails unless the configuration has no owner, is kept right, and that was said once.
pub(crate) fn assert_unowned(cluster: &Cluster, webhook: &Webhook) {
    cluster.assert_repaired("Ignore");
    let configuration = cluster.api.get(CONFIGURATION).unwrap();
    assert_eq!(configuration["metadata"]["ownerReferences"], Value::Null);
    cluster.rotate_certificate();
    assert_eq!(webhook.log_with(WARNING).len(), 1, "{:?}", webhook.complaints());
}

impl Cluster {
    /// Sets another `failurePolicy`, and waits until it is put right.
    pub(crate) fn assert_repaired(&self, policy: &str) {
        let right = self.api.get(CONFIGURATION).unwrap()["webhooks"].clone();
        let mut webhooks = right.clone();
        webhooks[0]["failurePolicy"] = json!(policy);
        webhooks[0]["timeoutSeconds"] = json!(29);
        self.api.patch(CONFIGURATION, &json!({ "webhooks": webhooks }));
        eventually("a repair", || {
            expect(self.api.get(CONFIGURATION).unwrap()["webhooks"].clone(), &right)
        });
    }

    /// An account that has what the original may do, and nothing else: webhook configurations and
    /// requests for certificates, but nothing with roles.
    fn account_of_the_original(&self) -> PathBuf {
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
