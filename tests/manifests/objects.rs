//! Every kind of object, and what excludes its images.

use super::{MAP, problems, rewrite, rewriting, with_namespace, world};

/// Returns the images that change in a text.
fn changed(text: &str) -> Vec<String> {
    rewrite(text).changes.into_iter().map(|change| change.from).collect()
}

#[test]
fn the_images_of_workloads_and_sites_are_found() {
    let template = "{metadata: {labels: {a: b}}, spec: {initContainers: [{image: i}], containers: [{image: c}]}}";
    for (name, text) in [
        ("Deployment", format!("{{apiVersion: apps/v1, kind: Deployment, spec: {{template: {template}}}}}")),
        (
            "CronJob",
            format!(
                "{{apiVersion: batch/v1, kind: CronJob, spec: {{jobTemplate: {{spec: {{template: {template}}}}}}}}}"
            ),
        ),
        ("PodTemplate", format!("{{apiVersion: v1, kind: PodTemplate, template: {template}}}")),
        ("Rollout", format!("{{apiVersion: argoproj.io/v1alpha1, kind: Rollout, spec: {{template: {template}}}}}")),
        (
            "Pod",
            "{apiVersion: v1, kind: Pod, spec: {initContainers: [{image: i}], containers: [{image: c}]}}".to_owned(),
        ),
    ] {
        assert_eq!(changed(&text), ["i", "c"], "{name}");
        let list = format!("apiVersion: v1\nkind: List\nitems:\n- {text}\n- {{kind: x}}\n- {text}\n");
        assert_eq!(changed(&list), ["i", "c", "i", "c"], "{name}");
    }
    let cluster =
        "apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nspec:\n  imageName: postgres:17\n";
    assert_eq!(changed(cluster), ["postgres:17"]);
    let pods = "apiVersion: v1\nkind: PodList\nitems:\n- spec: {containers: [{image: a}]}\n";
    assert_eq!(changed(pods), ["a"]);
    let functions = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n- apiVersion: v1\n  kind: Pod\n  spec: {containers: [{image: a}]}\n";
    assert_eq!(changed(functions), ["a"]);
}

#[test]
fn lists_may_be_in_lists() {
    let open: String = (0..20).map(|_| "{apiVersion: v1, kind: List, items: [").collect();
    let pod = "{apiVersion: v1, kind: Pod, spec: {containers: [{image: a}]}}";
    assert_eq!(changed(&format!("{open}{pod}{}", "]}".repeat(20))), ["a"]);
}

#[test]
fn what_is_not_an_object_stays() {
    for text in [
        "",
        "# nothing\n",
        "image: nginx\ncontainers: [{image: nginx}]\n",
        "kind: Pod\nspec: {containers: [{image: nginx}]}\n",
        "- apiVersion: v1\n  kind: Pod\n  spec: {containers: [{image: nginx}]}\n",
        "apiVersion: v1\nkind: ConfigMap\ndata:\n  image: nginx\n",
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages: [{name: nginx, newTag: '1'}]\n",
        "apiVersion: v1\nkind: List\nitems: {image: nginx}\n",
    ] {
        let rewritten = rewrite(text);
        assert!(matches!(rewritten.text, std::borrow::Cow::Borrowed(_)), "{text}");
        assert!(rewritten.changes.is_empty() && rewritten.notes.is_empty(), "{text}");
    }
}

#[test]
fn labels_annotations_owners_and_pull_policies_count_as_at_admission() {
    let pod = |metadata: &str, container: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, {metadata}}}\nspec:\n  containers:\n  - {{name: a, image: x, {container}}}\n  - {{name: b, image: z}}\n"
        )
    };
    for (metadata, container, expected) in [
        ("", "", &["x", "z"][..]),
        ("labels: {k8s.twr.io/imageswap: disabled}", "", &[]),
        ("labels: {k8s.twr.io/imageswap: enabled}", "", &["x", "z"]),
        ("annotations: {k8s.twr.io/imageswap-skip: a}", "", &["z"]),
        ("annotations: {kubernetes.io/config.mirror: abc}", "", &[]),
        ("", "imagePullPolicy: Never", &["z"]),
    ] {
        assert_eq!(changed(&pod(metadata, container)), expected, "{metadata} {container}");
    }
    let owned = "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {ownerReferences: [{controller: true}]}\nspec: {template: {spec: {containers: [{image: x}]}}}\n";
    assert_eq!(changed(owned), [""; 0]);
    let unknown = pod("annotations: {k8s.twr.io/imageswap-skip: other}", "");
    let rewritten = rewrite(&unknown);
    assert_eq!(
        problems(&rewritten),
        ["1: Pod p excludes `other` by an annotation, but has no such container or volume"]
    );
    assert!(!rewritten.notes[0].problem.is_incomplete());
}

#[test]
fn the_namespace_of_an_object_selects_its_map() {
    let world = with_namespace(world(MAP), "shop", "default::shop.io");
    let pod = |namespace: &str, image: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{{namespace}}}\nspec: {{containers: [{{image: {image}}}]}}\n"
        )
    };
    let rewritten = |namespace: &str, of_arguments| {
        let text = pod(namespace, "nginx");
        let mut rewriting = rewriting(&world);
        rewriting.namespace = of_arguments;
        rewriting.rewrite(&text).unwrap().text.into_owned()
    };
    for (namespace, of_arguments, image) in [
        ("namespace: shop", "default", "shop.io/nginx"),
        ("namespace: other", "shop", "d.io/nginx"),
        ("", "shop", "shop.io/nginx"),
        ("namespace: ''", "shop", "shop.io/nginx"),
        ("", "default", "d.io/nginx"),
    ] {
        assert_eq!(rewritten(namespace, of_arguments), pod(namespace, image));
    }
}

#[test]
fn an_object_with_too_many_images_stays() {
    let containers = "{image: x}, ".repeat(40_000);
    let text = format!("apiVersion: v1\nkind: Pod\nspec: {{containers: [{containers}]}}\n");
    let rewritten = rewrite(&text);
    assert_eq!(rewritten.text, text);
    let problems = problems(&rewritten);
    assert!(problems[0].starts_with("1: Pod without a name stays"), "{problems:?}");
    assert!(rewritten.notes[0].problem.is_incomplete());
}
