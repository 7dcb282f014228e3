//! The decisions on the images of a pod, as the webhook would make them if the pod were created now.

use serde_json::json;

use crate::{
    admission::{Operation, Outcome, Review, ReviewError, World, plan_with_decisions},
    kubernetes::Pod,
};

/// An image of a pod, with the decision on it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Planned {
    /// The image in the pod.
    pub(super) image: String,
    /// The image after the decision.
    pub(super) result: String,
    /// The reason of the decision, or the outcome if the pod is left alone as a whole.
    pub(super) reason: &'static str,
    /// The rule that decided.
    pub(super) rule: Option<PlannedRule>,
}

/// A rule that decided.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct PlannedRule {
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) key: String,
}

/// Returns the decisions on the images of a pod.
///
/// # Errors
/// If the pod cannot be read as part of a review.
pub(super) fn of(pod: &Pod, world: &World) -> Result<Vec<Planned>, ReviewError> {
    let request = json!({
        "uid": "plan",
        "kind": { "group": "", "version": "v1", "kind": "Pod" },
        "namespace": pod.metadata.namespace,
        "operation": Operation::Create.as_str(),
        "object": pod,
    });
    let body = json!({ "request": request }).to_string();
    let review = Review::from_slice(body.as_bytes())?;
    let plan = plan_with_decisions(&review, world);
    if let Outcome::Disabled | Outcome::MirrorPod = plan.outcome {
        let reason = plan.outcome.as_str();
        let left_alone = pod.images().map(|image| Planned {
            image: image.to_owned(),
            result: image.to_owned(),
            reason,
            rule: None,
        });
        return Ok(left_alone.collect());
    }
    let decisions = plan.decisions.into_iter().flatten();
    let planned = decisions.map(|considered| Planned {
        image: considered.image.to_owned(),
        result: considered.decision.result(considered.image),
        reason: considered.decision.reason.as_str(),
        rule: considered.decision.rule.map(|rule| PlannedRule {
            file: rule.file.to_string(),
            line: rule.line,
            key: rule.key.to_string(),
        }),
    });
    Ok(planned.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admission::AdmissionSettings,
        rules::{LoadedMap, Policy},
    };

    fn planned(pod: &serde_json::Value) -> Vec<String> {
        let map = LoadedMap::from_text("default::d.io\npublic.ecr.aws::").unwrap();
        let world = World::new(Policy::Maps(Box::new(map.rules)), AdmissionSettings::default());
        let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
        let shown = |planned: Planned| {
            let line = planned.rule.map_or(0, |rule| rule.line);
            format!("{} {} {line}", planned.result, planned.reason)
        };
        of(&pod, &world).unwrap().into_iter().map(shown).collect()
    }

    #[test]
    fn each_image_has_the_decision_of_the_webhook() {
        let pod = json!({
            "metadata": {
                "name": "a",
                "namespace": "shop",
                "annotations": { "k8s.twr.io/imageswap-skip": "sidecar, both" },
                "labels": null,
            },
            "spec": {
                "containers": [
                    { "name": "web", "image": "nginx:1" },
                    { "name": "sidecar", "image": "nginx:1" },
                    { "name": "local", "image": "public.ecr.aws/a:1", "imagePullPolicy": "Never" },
                    { "name": "both", "image": "nginx:2", "imagePullPolicy": "Never" },
                    { "name": "left", "image": "public.ecr.aws/a:1" },
                ],
                "initContainers": null,
                "volumes": [
                    { "name": "model", "image": { "reference": "q.io/model:1" } },
                    { "name": "other", "emptyDir": {} },
                ],
            },
        });
        let expected = [
            "d.io/nginx:1 default 1",
            "nginx:1 excluded 0",
            "public.ecr.aws/a:1 never-pulled 0",
            "nginx:2 excluded 0",
            "public.ecr.aws/a:1 registry 2",
            "d.io/model:1 default 1",
        ];
        assert_eq!(planned(&pod), expected);
    }

    #[test]
    fn a_pod_that_is_left_alone_as_a_whole_says_why() {
        let pod = |metadata: serde_json::Value| {
            planned(&json!({
                "metadata": metadata,
                "spec": { "containers": [{ "name": "web", "image": "nginx:1" }] },
            }))
        };
        let disabled = json!({ "labels": { "k8s.twr.io/imageswap": "disabled" } });
        assert_eq!(pod(disabled), ["nginx:1 disabled 0"]);
        let mirror = json!({ "annotations": { "kubernetes.io/config.mirror": "x" } });
        assert_eq!(pod(mirror), ["nginx:1 mirror-pod 0"]);
    }
}
