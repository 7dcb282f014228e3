//! The decisions on the images of an object, as the webhook would make them if the object were created now.

use std::convert::Infallible;

use serde_json::value::RawValue;

use crate::{
    admission::{Creation, Outcome, Review, ReviewError, World, images_of, plan_with_decisions},
    kubernetes::Resource,
};

/// An object in the form in which the webhook would be asked about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReviewedObject<'a> {
    /// The resource, whose group and kind decide where the images are.
    pub(super) resource: &'a Resource,
    /// The namespace.
    pub(super) namespace: &'a str,
    /// The whole object in JSON.
    pub(super) text: &'a RawValue,
}

/// An image of an object, with the decision on it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Planned {
    /// The image in the object.
    pub(super) image: String,
    /// The image after the decision.
    pub(super) result: String,
    /// The reason of the decision, or the outcome if the object is left alone as a whole.
    pub(super) reason: &'static str,
    /// The rule that decided.
    pub(super) rule: Option<PlannedRule>,
    /// True if a registry can be asked for the new image, because its host stands in the map.
    pub(super) is_verifiable: bool,
}

/// A rule that decided.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct PlannedRule {
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) key: String,
}

/// Returns the decisions on the images of an object, in the order of the object.
///
/// # Errors
/// If the object cannot be read as part of a review.
pub(super) fn of(object: &ReviewedObject<'_>, world: &World) -> Result<Vec<Planned>, ReviewError> {
    let Resource { group, kind, .. } = object.resource;
    let creation = Creation { group, kind, namespace: object.namespace };
    let mut body = Vec::new();
    let Ok(()) = creation.write(&mut body, |body| {
        body.extend_from_slice(object.text.get().as_bytes());
        Ok::<_, Infallible>(())
    });
    let review = Review::with_sites(&body, &world.sites)?;
    let plan = plan_with_decisions(&review, world);
    if let Outcome::Disabled | Outcome::MirrorPod | Outcome::Owned = plan.outcome {
        let reason = plan.outcome.as_str();
        let left_alone = images_of(&review).into_iter().map(|image| Planned {
            image: image.to_owned(),
            result: image.to_owned(),
            reason,
            rule: None,
            is_verifiable: false,
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
        is_verifiable: considered.decision.swapped.is_some_and(|image| image.has_fixed_host()),
    });
    Ok(planned.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, value::to_raw_value};

    use super::*;
    use crate::{
        admission::AdmissionSettings,
        rules::{LoadedMap, Policy},
    };

    fn planned(resource: &Resource, object: &Value) -> Vec<String> {
        let map = LoadedMap::from_text("default::d.io\npublic.ecr.aws::").unwrap();
        let world = World::new(Policy::Maps(Box::new(map.rules)), AdmissionSettings::default());
        let text = to_raw_value(object).unwrap();
        let object = ReviewedObject { resource, namespace: "shop", text: &text };
        let shown = |planned: Planned| {
            let line = planned.rule.map_or(0, |rule| rule.line);
            format!("{} {} {line}", planned.result, planned.reason)
        };
        of(&object, &world).unwrap().into_iter().map(shown).collect()
    }

    fn resource(kind: &str) -> Resource {
        let all = Resource::workloads().into_iter().chain([Resource::pods()]);
        all.into_iter().find(|resource| resource.kind == kind).unwrap()
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
        assert_eq!(planned(&Resource::pods(), &pod), expected);
    }

    #[test]
    fn images_are_where_the_kind_has_them() {
        let spec = json!({ "containers": [{ "name": "web", "image": "nginx:1" }] });
        let template = json!({ "template": { "spec": spec } });
        let cluster = Resource::new("postgresql.cnpg.io", "v1", "clusters", "Cluster");
        for (resource, object) in [
            (resource("Deployment"), json!({ "spec": template })),
            (resource("CronJob"), json!({ "spec": { "jobTemplate": { "spec": template } } })),
            (cluster, json!({ "spec": { "imageName": "nginx:1" } })),
        ] {
            let kind = &resource.kind;
            assert_eq!(planned(&resource, &object), ["d.io/nginx:1 default 1"], "{kind}");
        }
    }

    #[test]
    fn an_object_that_is_left_alone_as_a_whole_says_why() {
        let pod = |kind: &str, metadata: Value| {
            let containers = json!({ "containers": [{ "name": "web", "image": "nginx:1" }] });
            let spec = match kind {
                "Pod" => containers,
                _ => json!({ "template": { "spec": containers } }),
            };
            planned(&resource(kind), &json!({ "metadata": metadata, "spec": spec }))
        };
        let disabled = json!({ "labels": { "k8s.twr.io/imageswap": "disabled" } });
        assert_eq!(pod("Pod", disabled), ["nginx:1 disabled 0"]);
        let mirror = json!({ "annotations": { "kubernetes.io/config.mirror": "x" } });
        assert_eq!(pod("Pod", mirror), ["nginx:1 mirror-pod 0"]);
        let owned = json!({ "ownerReferences": [{ "controller": true }] });
        assert_eq!(pod("StatefulSet", owned), ["nginx:1 owned 0"]);
    }
}
