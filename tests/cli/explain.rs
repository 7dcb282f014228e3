//! `imageswap explain`.

use imageswap::commands::{OUTCOME_FIELDS, explain::FIELDS};
use serde_json::json;

use crate::{RULES, Workspace};

/// Name, arguments, and standard output.
type Case = (&'static str, &'static [&'static str], &'static str);

const CASES: [Case; 15] = [
    (
        "with pull secrets",
        &["--maps", "pulls", "q.io/a/b:1"],
        "\
image     q.io/a/b:1
registry  q.io
path      a/b:1
rules     pulls
  [EXACT]          the map has none
  [REPLACE]        the map has none
  registry         no rule for q.io/a/b or a part of it
  noswap_wildcards the image contains none
  default          line 1 `default::d.io` applies
result    d.io/a/b:1 (default, line 1)
secrets   hub, own by pulls:2 `[PULLSECRET]d.io::hub,own`
secrets   own by pulls:4 `[PULLSECRET]d.io/a::own`
again     d.io/a/b:1 is left alone (already-swapped, line 1)
",
    ),
    (
        "by the default, after all else",
        &["--maps", "rules", "nginx:1.27"],
        "\
image     nginx:1.27
registry  docker.io (none is written, so Docker Hub)
path      nginx:1.27 (library/nginx:1.27 to registry rules)
rules     rules
  [EXACT]          none of 1 is this image
  [REPLACE]        none of 1 matches
  registry         no rule for docker.io/library/nginx or a part of it
  noswap_wildcards the image contains none
  default          line 1 `default::d.io` applies
result    d.io/nginx:1.27 (default, line 1)
again     d.io/nginx:1.27 is left alone (already-swapped, line 1)
",
    ),
    (
        "by a glob, before the registries are tried",
        &["--maps", "rules", "q.io/nvidia/cuda:12"],
        "\
image     q.io/nvidia/cuda:12
registry  q.io
path      nvidia/cuda:12
rules     rules
  [EXACT]          none of 1 is this image
  [REPLACE]        line 4 `[REPLACE]*/cuda:*::d.io/gpu` is the first that matches
result    d.io/gpu/cuda:12 (replace, line 4)
again     d.io/gpu/cuda:12 is left alone (already-swapped, line 4)
",
    ),
    (
        "left alone by a wildcard, so there is no second pass",
        &["--maps", "rules", "keep.io:8443/x"],
        "\
image     keep.io:8443/x
registry  keep.io:8443
path      x
rules     rules
  [EXACT]          none of 1 is this image
  [REPLACE]        none of 1 matches
  registry         no rule for keep.io:8443/x or a part of it
  noswap_wildcards the image contains `keep.io`
result    keep.io:8443/x is left alone (noswap-wildcard, line 2)
",
    ),
    (
        "already under a target",
        &["--maps", "rules", "d.io/q/x"],
        "\
image     d.io/q/x
registry  d.io
path      q/x
rules     rules
  [EXACT]          none of 1 is this image
  [REPLACE]        none of 1 matches
  registry         no rule for d.io/q/x or a part of it
  noswap_wildcards the image contains none
  default          the image is already under the target of line 1 `default::d.io`
result    d.io/q/x is left alone (already-swapped, line 1)
",
    ),
    (
        "a chain",
        &["--maps", "chain", "a.io/x"],
        "\
image     a.io/x
registry  a.io
path      x
rules     chain
  [EXACT]          the map has none
  [REPLACE]        the map has none
  registry         line 2 `a.io::b.io` has the longest prefix
result    b.io/x (registry, line 2)
again     c.io/x (registry, line 3)
          A second pass changes the image again: a chain, which `imageswap check` reports.
",
    ),
    (
        "a map without a default",
        &["--maps", "no-default", "q.io/x"],
        "\
image     q.io/x
registry  q.io
path      x
rules     no-default
  [EXACT]          the map has none
  [REPLACE]        the map has none
  default          the map has none, so registry rules do not apply
result    q.io/x is left alone (no-default)
",
    ),
    (
        "a target that makes no valid reference",
        &["--maps", "invalid", "q.io/x"],
        "\
image     q.io/x
registry  q.io
path      x
rules     invalid
  [EXACT]          the map has none
  [REPLACE]        the map has none
  registry         line 2 `q.io::https://d.io` has the longest prefix
result    q.io/x is left alone (invalid-target, line 2)
          The target of this rule makes no valid image reference; run `imageswap check` for details.
",
    ),
    (
        "Istio's placeholder",
        &["--maps", "rules", "auto"],
        "\
image     auto
registry  docker.io (none is written, so Docker Hub)
path      auto (library/auto to registry rules)
rules     rules
  [EXACT]          none of 1 is this image
result    auto is left alone (placeholder)
          Istio's injector replaces `auto` with its proxy image. An `[EXACT]auto` rule overrides this.
",
    ),
    (
        "a result that is no valid reference",
        &["--maps", "rules", "Nginx"],
        "\
image     Nginx
registry  docker.io (none is written, so Docker Hub)
path      Nginx (library/Nginx to registry rules)
rules     rules
  [EXACT]          none of 1 is this image
  [REPLACE]        none of 1 matches
  registry         no rule for docker.io/library/Nginx or a part of it
  noswap_wildcards the image contains none
  default          line 1 `default::d.io` applies
result    d.io/Nginx (default, line 1)
          The result is not a valid image reference, so no registry can serve it. The image is not one either.
again     d.io/Nginx is left alone (already-swapped, line 1)
",
    ),
    (
        "a target with placeholders",
        &["--maps", "placeholders", "Quay.io:8443/a/b:1"],
        "\
image     Quay.io:8443/a/b:1
registry  Quay.io:8443
path      a/b:1
rules     placeholders
  [EXACT]          the map has none
  [REPLACE]        the map has none
  registry         no rule for quay.io:8443/a/b or a part of it
  noswap_wildcards the image contains none
  default          line 1 `default::d.io/{registry}` applies
result    d.io/quay.io-8443/a/b:1 (default, line 1)
          {path} is a/b
          {registry} is quay.io-8443
again     d.io/quay.io-8443/a/b:1 is left alone (already-swapped, line 1)
",
    ),
    (
        "a wildcard host",
        &["--maps", "placeholders", "eu.gcr.io/p/app:1"],
        "\
image     eu.gcr.io/p/app:1
registry  eu.gcr.io
path      p/app:1
rules     placeholders
  [EXACT]          the map has none
  [REPLACE]        the map has none
  registry         line 2 `*.gcr.io::h.io/gcr` has the longest domain
result    h.io/gcr/p/app:1 (registry, line 2)
again     h.io/gcr/p/app:1 is left alone (already-swapped, line 1)
",
    ),
    (
        "an image that the target cannot hold",
        &["--maps", "placeholders", "[fd00::1]/x"],
        "\
image     [fd00::1]/x
registry  [fd00::1]
path      x
rules     placeholders
  [EXACT]          the map has none
  [REPLACE]        the map has none
  registry         no rule for [fd00::1]/x or a part of it
  noswap_wildcards the image contains none
  default          line 1 `default::d.io/{registry}` applies
result    [fd00::1]/x is left alone (unrepresentable, line 1)
          The new image would not be a valid reference: an IPv6 address would be part of its path.
",
    ),
    (
        "a broken line for this image",
        &["--maps", "broken", "q.io/x"],
        "\
image     q.io/x
registry  q.io
path      x
rules     broken
  [EXACT]          the map has none
  [REPLACE]        the map has none
  registry         no rule for q.io/x or a part of it
  noswap_wildcards the image contains none
  default          line 1 `default::d.io` applies
result    d.io/x (default, line 1)
          Line 2 `q.io;d.io/q` is not a rule and is skipped: there is no `::` between key and target.
again     d.io/x is left alone (already-swapped, line 1)
",
    ),
    (
        "LEGACY mode",
        &["--mode", "LEGACY", "--image-prefix", "d.io", "q.io/a/b:1"],
        "\
image     q.io/a/b:1
registry  q.io
path      a/b:1
rules     LEGACY mode
  prefix           `d.io`
result    d.io/b:1 (legacy)
again     d.io/b:1 is left alone (already-swapped)
",
    ),
];

#[test]
fn explain_prints_each_step() {
    let workspace = Workspace::new(&[
        ("rules", RULES),
        ("chain", "default::d.io\na.io::b.io\nb.io::c.io\n"),
        ("invalid", "default::d.io\nq.io::https://d.io\n"),
        ("no-default", "q.io::d.io\n"),
        ("placeholders", "default::d.io/{registry}\n*.gcr.io::h.io/gcr\n"),
        ("broken", "default::d.io\nq.io;d.io/q\n"),
        (
            "pulls",
            "default::d.io\n[PULLSECRET]d.io::hub, own\n[PULLSECRET]d.io/b::b\n[PULLSECRET]d.io/a::own\n",
        ),
    ]);
    for (name, arguments, expected) in CASES {
        let run = workspace.imageswap(&[&["explain"], arguments].concat()).run();
        assert_eq!(run.stdout, expected, "{name}");
        assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
    }
}

#[test]
fn the_environment_chooses_the_rules() {
    let workspace = Workspace::new(&[("rules", RULES)]);
    let by_flag = workspace.imageswap(&["explain", "--maps-file", "rules", "nginx"]).run();
    let by_variable = workspace.imageswap(&["explain", "nginx"]);
    by_variable.variable("IMAGESWAP_MAPS_FILE", "rules").run().assert_success(&by_flag.stdout);
    assert!(by_flag.stdout.contains("result    d.io/nginx (default, line 1)\n"));
}

#[test]
fn several_images_are_explained_in_their_order() {
    let workspace = Workspace::new(&[("rules", RULES)]);
    let explain = |images: &[&str]| {
        let arguments = [&["explain", "--maps", "rules"], images].concat();
        workspace.imageswap(&arguments).run()
    };
    let (first, second) = (explain(&["nginx"]).stdout, explain(&["d.io/q/x"]).stdout);
    explain(&["nginx", "d.io/q/x"]).assert_success(&format!("{first}\n{second}"));
}

#[test]
fn json_is_one_object_per_image_with_the_documented_fields() {
    let workspace =
        Workspace::new(&[("rules", RULES), ("chain", "default::d.io\na.io::b.io\nb.io::c.io\n")]);
    let json = ["explain", "--output", "json", "--maps"];
    let fields: Vec<_> = FIELDS.iter().chain(&OUTCOME_FIELDS).map(|field| field.name).collect();
    let top: Vec<_> = fields.iter().copied().filter(|name| !name.contains('.')).collect();
    let run = workspace.imageswap(&[&json[..], &["rules", "x/local:1", "auto"]].concat()).run();
    let records = run.records(&top);
    assert_eq!((run.code, records.len()), (Some(0), 2));
    let found = |step: &str, finding: &str| json!({"step": step, "finding": finding, "rule": null, "line": null});
    let expected = json!({
        "image": "x/local:1",
        "registry": "docker.io",
        "path": "x/local:1",
        "rules": "rules",
        "steps": [
            found("exact", "none of 1 is this image"),
            found("replace", "none of 1 matches"),
            found("registry", "no rule for docker.io/x/local or a part of it"),
            {
                "step": "noswap-wildcard",
                "finding": "the image contains `local`",
                "rule": "noswap_wildcards",
                "line": 2,
            },
        ],
        "result": "x/local:1",
        "swapped": false,
        "reason": "noswap-wildcard",
        "rule": "noswap_wildcards",
        "file": "rules",
        "line": 2,
        "placeholders": {},
        "pull_secrets": [],
        "remark": null,
        "second_pass": null,
    });
    assert_eq!(records[0], expected);
    assert_eq!(records[1]["reason"], "placeholder");
    assert!(records[1]["remark"].as_str().unwrap().contains("Istio"), "{}", records[1]);
    for name in fields.iter().filter_map(|name| name.strip_prefix("steps[].")) {
        assert!(expected["steps"][0].get(name).is_some(), "{name}");
    }

    let run = workspace.imageswap(&[&json[..], &["chain", "a.io/x"]].concat()).run();
    let again = &run.records(&top)[0]["second_pass"];
    let expected = json!({"result": "c.io/x", "swapped": true, "reason": "registry", "rule": "b.io", "file": "chain", "line": 3});
    assert_eq!(*again, expected);
}

#[test]
fn json_names_the_prefix_of_legacy_mode() {
    let workspace = Workspace::new::<&str>(&[]);
    let legacy = ["explain", "--output=json", "--mode=LEGACY", "--image-prefix=d.io", "q.io/a"];
    let run = workspace.imageswap(&legacy).run();
    let record: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let step = json!({"step": "prefix", "finding": "`d.io`", "rule": null, "line": null});
    assert_eq!((&record["rules"], &record["steps"]), (&json!("LEGACY mode"), &json!([step])));
}
