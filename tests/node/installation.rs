//! Installation and uninstallation, by the commands of the documents.

use std::{fs, time::Instant};

use serde_json::Value;

use crate::{
    Part, Step, eventually,
    node::Node,
    pods::{condition, image, name, pod},
    print_time,
};

/// The namespace of the webhook.
pub(crate) const NAMESPACE: &str = "imageswap-system";

pub(crate) const DEPLOYMENT: &str =
    "/apis/apps/v1/namespaces/imageswap-system/deployments/imageswap";

/// The sample map, with which the webhook is installed.
const MAP: &str = "config/imageswap-maps.conf";

const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/imageswap-webhook";

/// Lets the kubelet bring a changed map at once.
pub(crate) const APPLY_MAP_NOW: &str = "kubectl annotate pods --namespace imageswap-system --selector app=imageswap --overwrite map-edit=1";

pub(crate) const STEPS: &[Step] = &[("the webhook is installed", install, Part::Smoke)];

pub(crate) const LAST_STEPS: &[Step] =
    &[("nothing remains after the uninstallation", uninstall, Part::Smoke)];

/// Follows the quick start, with the sample map, whose registry is that of the node. The map comes last, after the pods
/// have started without it.
fn install(node: &Node) {
    let begun = Instant::now();
    node.documented("kubectl apply --server-side -f deploy/install.yaml", &[]);
    eventually("the rollout", || {
        let command = "kubectl rollout status deployment/imageswap --namespace imageswap-system";
        node.try_documented(command, &[])
    });
    print_time("the replicas are available, without a map", begun);
    node.documented("kubectl get mutatingwebhookconfiguration imageswap-webhook", &[]);
    let replicas = node.await_replicas(2);
    node.documented("kubectl create namespace test1", &[]);
    node.documented("kubectl label namespace test1 k8s.twr.io/imageswap=enabled", &[]);
    let account = "/api/v1/namespaces/test1/serviceaccounts/default";
    eventually("the default account", || node.api().get(account).ok_or("missing"));
    let early = node.api().post("/api/v1/namespaces/test1/pods", &pod("early", "nginx:1.27"));
    assert_eq!(image(&early), "nginx:1.27");
    node.api().delete("/api/v1/namespaces/test1/pods/early");
    let built_in = |replica: &Value| node.metric(name(replica), "imageswap_map_builtin");
    assert!(replicas.iter().all(|replica| built_in(replica) > 0.0));
    node.documented(
        "kubectl create configmap imageswap-maps --namespace imageswap-system --from-file=maps=FILE",
        &[("FILE", MAP)],
    );
    node.documented(APPLY_MAP_NOW, &[]);
    eventually("the map in both replicas", || {
        let without: Vec<_> = replicas.iter().filter(|it| built_in(it) > 0.0).map(name).collect();
        if without.is_empty() { Ok(()) } else { Err(without) }
    });
    print_time("both replicas have the map", begun);
    node.documented("kubectl run web --namespace test1 --image=nginx:1.27", &[]);
    let web = node.await_ready_pod("test1", "web");
    assert_eq!(image(&web), "registry.example.com/official/nginx:1.27");
    print_time("a swapped pod is ready", begun);
}

fn uninstall(node: &Node) {
    let begun = Instant::now();
    node.documented("kubectl delete mutatingwebhookconfiguration imageswap-webhook", &[]);
    // With the file in place of the overlay, as for the installation.
    node.kubectl(&["delete", "--filename", "deploy/install.yaml", "--wait=false"]);
    node.documented("kubectl label namespace --all k8s.twr.io/imageswap-", &[]);
    let mut pod = pod("after", "nginx:1.27");
    let created = node.api().post("/api/v1/namespaces/test1/pods", &pod);
    assert_eq!(image(&created), "nginx:1.27");
    eventually("the deletion of the namespace", || {
        match node.api().get(&format!("/api/v1/namespaces/{NAMESPACE}")) {
            None => Ok(()),
            Some(namespace) => Err(namespace["status"].to_string()),
        }
    });
    print_time("the namespace is deleted", begun);
    pod["metadata"]["name"] = "later".into();
    let created = node.api().post("/api/v1/namespaces/test1/pods", &pod);
    assert_eq!(image(&created), "nginx:1.27");
    assert_eq!(node.api().get(CONFIGURATION), None);
    assert_eq!(node.left_of_webhook(), Vec::<String>::new());
}

impl Node {
    /// Runs a command that a document shows, after replacing its placeholders.
    pub(crate) fn documented(&self, command: &str, replaced: &[(&str, &str)]) -> String {
        self.try_documented(command, replaced).unwrap()
    }

    fn try_documented(&self, command: &str, replaced: &[(&str, &str)]) -> Result<String, String> {
        let documents =
            ["quick-start", "install", "operations", "configuration", "helm", "verified-targets"];
        let shown = format!("$ {command}\n");
        let is_shown = |document: &&str| {
            fs::read_to_string(format!("docs/{document}.md")).unwrap().contains(&shown)
        };
        assert!(documents.iter().any(is_shown), "no document shows {shown}");
        let mut command = command.to_owned();
        for (placeholder, value) in replaced {
            command = command.replace(placeholder, value);
        }
        let mut words = command.split_whitespace();
        let program = words.next();
        let arguments: Vec<_> = words.collect();
        match program {
            Some("helm") => self.try_helm(&arguments),
            Some("kubectl") => self.try_kubectl(&arguments, None),
            other => panic!("{other:?}"),
        }
    }

    /// Returns all objects of the cluster but events that have the name or the label of the webhook.
    pub(crate) fn left_of_webhook(&self) -> Vec<String> {
        let kinds = self.kubectl(&["api-resources", "--verbs=list", "--output=name"]);
        let kinds: Vec<_> = kinds.lines().filter(|kind| !kind.starts_with("events")).collect();
        let kinds = kinds.join(",");
        let get = ["get", &kinds, "--all-namespaces", "--output=name"];
        let all = self.kubectl(&get);
        let labelled = self.kubectl(&[&get[..], &["--selector=app=imageswap"]].concat());
        let mut left: Vec<_> = all.lines().filter(|name| name.contains("imageswap")).collect();
        left.extend(labelled.lines());
        left.sort_unstable();
        left.dedup();
        left.into_iter().map(str::to_owned).collect()
    }

    /// Waits until a pod in a namespace would be swapped.
    pub(crate) fn await_swaps_in(&self, namespace: &str) {
        let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        eventually("a swapped pod", || {
            let probe = self.api().try_post(&path, &pod("probe", "nginx:1.27"));
            let image = image(&probe.map_err(|error| error.to_string())?).to_owned();
            if image.starts_with("registry.example.com/") { Ok(()) } else { Err(image) }
        });
    }

    /// Waits until the webhook has only this number of replicas, all of them new and ready, and returns them.
    pub(crate) fn await_replicas(&self, count: u64) -> Vec<Value> {
        eventually(&format!("{count} replicas"), || {
            let get = |path: &str| self.api().try_get(path).map_err(|error| error.to_string());
            let deployment = get(DEPLOYMENT)?.ok_or("there is no Deployment")?;
            let status = &deployment["status"];
            let observed = status["observedGeneration"] == deployment["metadata"]["generation"];
            let available = ["replicas", "updatedReplicas", "availableReplicas"]
                .iter()
                .all(|field| status[field] == count);
            let pods = get(&format!("/api/v1/namespaces/{NAMESPACE}/pods"))?.unwrap();
            let pods = pods["items"].as_array().unwrap();
            let ready = pods.iter().filter(|pod| condition(pod, "Ready")).count() as u64;
            if observed && available && pods.len() as u64 == count && ready == count {
                return Ok(pods.clone());
            }
            Err(format!("{ready} of {} pods are ready; {status}", pods.len()))
        })
    }
}
