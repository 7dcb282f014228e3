//! The permissions of the service account: each one is needed, and no other is.

use serde_json::{Value, json};

use crate::{
    Cluster, MAP, Step,
    control_plane::ControlPlane,
    eventually,
    install::{AUTHORITY, CERTIFICATE, CONFIGURATION, NAMESPACE, ROTATE},
    modes::SIGNER,
    owner::assert_unowned,
    webhook::{Files, Webhook},
};

/// A separate account, because the installed account has to keep its permissions.
const ACCOUNT: &str = "restricted";

const ROLES: [&str; 2] = [
    "/apis/rbac.authorization.k8s.io/v1/namespaces/imageswap-system/roles/imageswap-ops",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/imageswap-write",
];

pub(crate) const STEPS: &[Step<Cluster>] = &[("each permission is needed", each_permission)];

/// A single permission.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Permission {
    verb: String,
    group: String,
    resource: String,
    name: Option<String>,
    is_namespaced: bool,
}

/// The failure without a permission.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Loss {
    /// The webhook does not become ready.
    Readiness,
    /// There is no webhook configuration.
    Configuration,
    /// A request for a new certificate is not handled.
    Renewal,
    /// The webhook configuration has no owner.
    Owner,
    /// A change is not seen at once, but with the next wake-up or after an hour.
    Notice,
}

/// The permission to create the webhook configuration, which is done by an apply.
const APPLIED: &str = "create mutatingwebhookconfigurations";

/// The message of an old API server that refuses to create it by an apply. It ends without a reason.
const REFUSED_APPLY: &str = "mutatingwebhookconfigurations.admissionregistration.k8s.io \"imageswap-webhook\" is forbidden: ";

/// The failure without each permission, which is identified by verb, resource and name.
const LOSSES: &[(&str, Loss)] = &[
    ("create secrets", Loss::Readiness),
    ("get secrets/imageswap-tls", Loss::Readiness),
    ("get secrets/imageswap-tls-ca", Loss::Readiness),
    ("update secrets/imageswap-tls", Loss::Renewal),
    ("update secrets/imageswap-tls-ca", Loss::Readiness),
    ("watch secrets/imageswap-tls", Loss::Notice),
    ("watch secrets/imageswap-tls-ca", Loss::Notice),
    (APPLIED, Loss::Configuration),
    ("get mutatingwebhookconfigurations/imageswap-webhook", Loss::Readiness),
    ("patch mutatingwebhookconfigurations/imageswap-webhook", Loss::Configuration),
    ("watch mutatingwebhookconfigurations/imageswap-webhook", Loss::Notice),
    ("get clusterroles/imageswap-write", Loss::Owner),
    ("get configmaps/kube-root-ca.crt", Loss::Readiness),
    ("watch configmaps/kube-root-ca.crt", Loss::Notice),
    ("create certificatesigningrequests", Loss::Readiness),
    ("get certificatesigningrequests", Loss::Readiness),
    ("update certificatesigningrequests/approval", Loss::Readiness),
    ("approve signers/kubernetes.io/kubelet-serving", Loss::Readiness),
];

fn each_permission(cluster: &Cluster) {
    cluster.allow_requests();
    let permissions: Vec<_> = ROLES.iter().flat_map(|role| permissions(cluster, role)).collect();
    let mut titles: Vec<_> = permissions.iter().map(Permission::title).collect();
    let mut expected: Vec<_> = LOSSES.iter().map(|(title, _)| (*title).to_owned()).collect();
    titles.sort();
    expected.sort();
    assert_eq!(titles, expected);
    let kubeconfig = cluster.control_plane.create_account(ACCOUNT);
    let files = Files::new(MAP);
    for missing in &permissions {
        let (_, loss) = LOSSES.iter().find(|(title, _)| *title == missing.title()).unwrap();
        cluster.clear_state();
        let left: Vec<_> = permissions.iter().filter(|permission| *permission != missing).collect();
        cluster.grant(&left);
        cluster.await_permissions(missing, &left);
        let mut launch = cluster.managed(&files).with_path("KUBECONFIG", kubeconfig.clone());
        if missing.is_for_requests() {
            launch = launch.with("IMAGESWAP_CSR_SIGNER_NAME", SIGNER);
        }
        let webhook = launch.start();
        cluster.await_refusal(&webhook, missing);
        cluster.assert_lost(&webhook, *loss);
        eprintln!("      without `{}` there is no {loss:?}", missing.title());
    }
}

/// Returns the single permissions of a role.
fn permissions(cluster: &Cluster, role: &str) -> Vec<Permission> {
    let role = cluster.api.get(role).unwrap();
    let mut permissions = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        let strings = |field: &str| -> Vec<String> {
            let entries = rule[field].as_array().into_iter().flatten();
            entries.map(|entry| entry.as_str().unwrap().to_owned()).collect()
        };
        let mut names: Vec<_> = strings("resourceNames").into_iter().map(Some).collect();
        if names.is_empty() {
            names.push(None);
        }
        for group in strings("apiGroups") {
            for resource in strings("resources") {
                for verb in strings("verbs") {
                    permissions.extend(names.iter().map(|name| Permission {
                        verb: verb.clone(),
                        group: group.clone(),
                        resource: resource.clone(),
                        name: name.clone(),
                        is_namespaced: role["kind"] == "Role",
                    }));
                }
            }
        }
    }
    permissions
}

impl Permission {
    fn title(&self) -> String {
        let name = self.name.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
        format!("{} {}{name}", self.verb, self.resource)
    }

    fn rule(&self) -> Value {
        json!({
            "apiGroups": [self.group],
            "resources": [self.resource],
            "resourceNames": self.name.iter().collect::<Vec<_>>(),
            "verbs": [self.verb],
        })
    }

    /// Returns true if only the mode with a signer needs the permission.
    fn is_for_requests(&self) -> bool {
        self.group == "certificates.k8s.io" || self.resource == "configmaps"
    }

    /// Returns a part of the API server's message about the missing permission.
    fn refusal(&self) -> String {
        if self.verb == "approve" {
            "user not permitted to approve requests with signerName".to_owned()
        } else {
            format!("cannot {} resource \"{}\"", self.verb, self.resource)
        }
    }
}

impl ControlPlane {
    /// Creates an account whose roles have its name, and returns its kubeconfig.
    pub(crate) fn create_account(&self, name: &str) -> std::path::PathBuf {
        let [namespace, role] = [format!("-n={NAMESPACE}"), format!("--role={name}")];
        let subject = format!("--serviceaccount={NAMESPACE}:{name}");
        let cluster_role = format!("--clusterrole={name}");
        self.kubectl(&["create", "serviceaccount", name, &namespace]);
        self.kubectl(&["create", "rolebinding", name, &role, &subject, &namespace]);
        self.kubectl(&["create", "clusterrolebinding", name, &cluster_role, &subject]);
        let token = self.kubectl(&["create", "token", name, &namespace]);
        self.identities().write_token_kubeconfig(name, token.trim())
    }
}

impl Cluster {
    /// Fails if the API server has refused a request of the installed account.
    pub(crate) fn assert_permitted(&self) {
        let account = format!("system:serviceaccount:{NAMESPACE}:imageswap-sa");
        let mut audit = self.control_plane.audit();
        audit.retain(|event| event["user"]["username"] == *account);
        audit.retain(|event| event["responseStatus"]["code"] == 403);
        assert!(audit.is_empty(), "{audit:#?}");
    }

    /// Grants the restricted account these permissions, and no others.
    fn grant(&self, permissions: &[&Permission]) {
        for (kind, namespace, list) in [
            (
                "Role",
                Some(NAMESPACE),
                "/apis/rbac.authorization.k8s.io/v1/namespaces/imageswap-system/roles",
            ),
            ("ClusterRole", None, "/apis/rbac.authorization.k8s.io/v1/clusterroles"),
        ] {
            let rules = permissions
                .iter()
                .filter(|permission| permission.is_namespaced == namespace.is_some());
            let role = json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": kind,
                "metadata": { "name": ACCOUNT, "namespace": namespace },
                "rules": rules.map(|permission| permission.rule()).collect::<Vec<_>>(),
            });
            let path = format!("{list}/{ACCOUNT}");
            match self.api.get(&path) {
                Some(_) => self.api.put(&path, &role),
                None => self.api.post(list, &role),
            };
        }
    }

    /// Waits until the restricted account has the permissions `left`, but not `missing`.
    fn await_permissions(&self, missing: &Permission, left: &[&Permission]) {
        eventually("the permissions", || {
            let wrong = left.iter().find(|permission| !self.may(permission));
            match wrong {
                None if !self.may(missing) => Ok(()),
                wrong => Err(format!("{wrong:?}")),
            }
        });
    }

    /// Returns true if the restricted account has a permission.
    fn may(&self, permission: &Permission) -> bool {
        let (resource, subresource) =
            permission.resource.split_once('/').unwrap_or((&permission.resource, ""));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}"),
                "resourceAttributes": {
                    "verb": permission.verb,
                    "group": permission.group,
                    "resource": resource,
                    "subresource": subresource,
                    "name": permission.name.as_deref().unwrap_or_default(),
                    "namespace": if permission.is_namespaced { NAMESPACE } else { "" },
                },
            },
        });
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        self.api.post(path, &review)["status"]["allowed"] == true
    }

    /// Triggers all actions of a webhook until it logs that a permission is missing.
    fn await_refusal(&self, webhook: &Webhook, missing: &Permission) {
        let mut is_requested = false;
        eventually(&missing.title(), || {
            // The configuration is created some seconds after the first successful probe.
            let _ = webhook.readiness();
            if !is_requested && self.api.get(CERTIFICATE).is_some() {
                let request = json!({ "metadata": { "annotations": { ROTATE: "now" } } });
                self.api.patch(CERTIFICATE, &request);
                is_requested = true;
            }
            let mut refusals = webhook.log_with(&missing.refusal());
            if missing.title() == APPLIED {
                refusals.extend(webhook.log_with(REFUSED_APPLY));
            }
            let name = missing.name.as_deref().filter(|_| missing.verb != "approve");
            let refusal = refusals.into_iter().find(|line| line.contains(name.unwrap_or_default()));
            refusal.map(drop).ok_or_else(|| webhook.log())
        });
    }

    fn assert_lost(&self, webhook: &Webhook, loss: Loss) {
        let request = |path: &str| {
            let secret = self.api.get(path);
            secret.is_some_and(|secret| !secret["metadata"]["annotations"][ROTATE].is_null())
        };
        match loss {
            Loss::Readiness => {
                let reason = webhook.readiness().unwrap_err();
                assert!(reason.contains("forbidden"), "{reason}");
            }
            Loss::Configuration => assert_eq!(self.api.get(CONFIGURATION), None),
            Loss::Renewal => assert!(request(CERTIFICATE) || request(AUTHORITY)),
            Loss::Owner => {
                self.await_configuration();
                assert_unowned(self, webhook);
            }
            Loss::Notice => {
                assert!(!webhook.log_with("cannot watch").is_empty());
                webhook.await_ready();
            }
        }
    }
}
