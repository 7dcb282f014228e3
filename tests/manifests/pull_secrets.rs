//! Pull secrets in each notation of a pod spec.

use super::{problems, rewriting, world};
use imageswap::manifests::Rewritten;

const MAP: &str = "default::d.io\nleft.io::\n[PULLSECRET]d.io::one,two\n";

fn rewrite(text: &str) -> Rewritten<'static> {
    let world = world(MAP);
    let mut rewriting = rewriting(&world);
    rewriting.adds_pull_secrets = true;
    let Rewritten { text, changes, added, notes } = rewriting.rewrite(text).unwrap();
    let again = rewriting.rewrite(&text).unwrap();
    assert_eq!(again.text, text);
    Rewritten { text: text.into_owned().into(), changes, added, notes }
}

#[test]
fn missing_secrets_are_added_in_the_notation_of_the_list() {
    const HEAD: &str = "apiVersion: v1\nkind: Pod\nspec:\n";
    const CONTAINERS: &str = "  containers: [{image: d.io/a}]\n";
    for (name, before, after) in [
        ("missing", "", "  imagePullSecrets:\n  - name: one\n  - name: two\n"),
        (
            "block",
            "  imagePullSecrets:\n    - name: own # n\n\n",
            "  imagePullSecrets:\n    - name: own # n\n    - name: one\n    - name: two\n\n",
        ),
        (
            "one is there",
            "  imagePullSecrets:\n  - {name: two}\n",
            "  imagePullSecrets:\n  - {name: two}\n  - name: one\n",
        ),
        (
            "flow",
            "  imagePullSecrets: [{name: own}]\n",
            "  imagePullSecrets: [{name: own}, {\"name\": \"one\"}, {\"name\": \"two\"}]\n",
        ),
        (
            "empty",
            "  imagePullSecrets: []\n",
            "  imagePullSecrets: [{\"name\": \"one\"}, {\"name\": \"two\"}]\n",
        ),
        (
            "null",
            "  imagePullSecrets: ~\n",
            "  imagePullSecrets: [{\"name\": \"one\"}, {\"name\": \"two\"}]\n",
        ),
        (
            "no value",
            "  imagePullSecrets:\n",
            "  imagePullSecrets: [{\"name\": \"one\"}, {\"name\": \"two\"}]\n",
        ),
        (
            "an alias as the last item",
            "  x: &s {name: own}\n  imagePullSecrets:\n  - *s\n",
            "  x: &s {name: own}\n  imagePullSecrets:\n  - *s\n  - name: one\n  - name: two\n",
        ),
        (
            "an alias in flow style",
            "  x: &s {name: own}\n  imagePullSecrets: [*s]\n",
            "  x: &s {name: own}\n  imagePullSecrets: [*s, {\"name\": \"one\"}, {\"name\": \"two\"}]\n",
        ),
        (
            "all are there",
            "  imagePullSecrets: [{name: one}, {name: two}]\n",
            "  imagePullSecrets: [{name: one}, {name: two}]\n",
        ),
    ] {
        for wrap in [|text: String| text, |text: String| text.replace('\n', "\r\n")] {
            let rewritten = rewrite(&wrap(format!("{HEAD}{before}{CONTAINERS}")));
            assert_eq!(rewritten.text, wrap(format!("{HEAD}{after}{CONTAINERS}")), "{name}");
            assert_eq!(problems(&rewritten), [""; 0], "{name}");
        }
    }
}

#[test]
fn json_stays_json() {
    let before = r#"{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"image":"a"}]}}"#;
    let after = r#"{"apiVersion":"v1","kind":"Pod","spec":{"imagePullSecrets": [{"name": "one"}, {"name": "two"}], "containers":[{"image":"d.io/a"}]}}"#;
    assert_eq!(rewrite(before).text, after);
}

#[test]
fn the_first_secrets_of_a_template_are_told() {
    let text = |spec: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  template:\n    spec:\n{spec}      containers:\n      - image: d.io/a\n"
        )
    };
    let rewritten = rewrite(&text(""));
    let secrets = "      imagePullSecrets:\n      - name: one\n      - name: two\n";
    assert_eq!(rewritten.text, text(secrets));
    assert_eq!(
        problems(&rewritten),
        [
            "1: the template of Deployment web had no imagePullSecrets; with them, its pods no longer get those of their \
             service account"
        ]
    );
    let own = rewrite(&text("      imagePullSecrets: [{name: own}]\n"));
    assert_eq!(problems(&own), [""; 0]);
    assert_ne!(own.text, text("      imagePullSecrets: [{name: own}]\n"));
}

#[test]
fn a_spec_that_is_merged_into_another_one_gets_none() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  spec: &s {containers: [{image: d.io/a}]}\n- apiVersion: v1\n  kind: Pod\n  metadata: {labels: {k8s.twr.io/imageswap: disabled}}\n  spec: {<<: *s, hostNetwork: true}\n";
    let rewritten = rewrite(text);
    assert_eq!(rewritten.text, text);
    assert!(rewritten.notes[0].problem.is_incomplete());
}

#[test]
fn a_list_that_ends_with_a_block_stays() {
    for end in ["    x: |+\n      own\n\n", "    x: |\n      own", "    x: |-\n      own\n"] {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nspec:\n  containers: [{{image: d.io/a}}]\n  imagePullSecrets:\n  - name: own\n{end}"
        );
        let rewritten = rewrite(&text);
        if rewritten.text == text {
            assert!(rewritten.notes[0].problem.is_incomplete());
        } else {
            assert_eq!(rewritten.text, format!("{text}\n  - name: one\n  - name: two"));
        }
    }
}

#[test]
fn images_that_need_no_secret_get_none() {
    let text = "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: left.io/a}]}\n";
    assert_eq!(rewrite(text).text, text);
}

#[test]
fn a_list_in_a_notation_that_is_not_safe_to_change_stays() {
    for list in [
        "  imagePullSecrets:\n  - &own\n    name: own\n  other: *own\n",
        "  imagePullSecrets: &own [{name: own}]\n  other: *own\n",
        "  imagePullSecrets:\n  - name: |-\n      own\n",
        "  imagePullSecrets: none\n",
        "  imagePullSecrets: [{name: own}, !!str ]\n",
        "  imagePullSecrets: &own\n",
    ] {
        let text =
            format!("apiVersion: v1\nkind: Pod\nspec:\n{list}  containers: [{{image: d.io/a}}]\n");
        let rewritten = rewrite(&text);
        assert_eq!(rewritten.text, text);
        let problems = problems(&rewritten);
        assert!(
            problems[0].contains("/spec/imagePullSecrets of Pod without a name"),
            "{problems:?}"
        );
        assert!(rewritten.notes[0].problem.is_incomplete());
    }
}
