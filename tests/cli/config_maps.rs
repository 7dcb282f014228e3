//! `imageswap check --configmap-key`.

use std::fs::File;

use imageswap::rules::MAX_MAP_BYTES;

use crate::{Workspace, check::FIELDS};

const CONFIG_MAP: &str = "\
# Source: chart/templates/maps.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: imageswap-maps
data:
  maps: |
    # the mirror
    default::d.io
    broken
  other.conf: |
    default::e.io
";

const OTHERS: &str = "\
---
apiVersion: v1
kind: Secret
metadata: { name: s }
data: { maps: eA== }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: template }
data: { imageswap-mwc: 'kind: x', number: 5 }
binaryData: { binary: eA== }
---
# nothing
";

#[test]
fn the_map_in_a_config_map_is_checked() {
    let list = r#"{"kind": "List", "items": [{"kind": "ConfigMap", "data": {"maps": "default::d.io\n# a\nbroken"}}]}"#;
    let workspace = Workspace::new(&[
        ("cm.yaml", CONFIG_MAP),
        ("all.yaml", &[CONFIG_MAP, OTHERS].concat()),
        ("list.json", list),
    ]);
    let expected = "\
error[invalid-rule]: there is no `::` between key and target
 --> cm.yaml[maps]:3:1
  |
3 | broken
  | ^^^^^^
  |
  = help: write the key, `::` and the target

cm.yaml[maps]: 1 rule, 1 error, 0 warnings
";
    let check = ["check", "--configmap-key", "maps"];
    let run = |file| workspace.imageswap(&[check.as_slice(), &[file]].concat());
    run("cm.yaml").run().assert_exit(1, expected, "");
    for file in ["all.yaml", "list.json"] {
        let expected = expected.replace("cm.yaml", file);
        run(file).run().assert_exit(1, &expected, "");
    }
    let expected = expected.replace("cm.yaml", "<stdin>");
    run("-").input(CONFIG_MAP).run().assert_exit(1, &expected, "");
    let json = ["check", "--configmap-key", "maps", "--output", "json", "cm.yaml"];
    let records = workspace.imageswap(&json).run().records(&FIELDS);
    assert_eq!((&records[0]["file"], &records[0]["line"]), (&"cm.yaml[maps]".into(), &3.into()));
    let other = ["check", "--configmap-key", "other.conf", "cm.yaml"];
    let summary = "cm.yaml[other.conf]: 1 rule, 0 errors, 0 warnings\n";
    workspace.imageswap(&other).run().assert_success(summary);
}

#[test]
fn each_unusable_config_map_has_its_error() {
    let workspace = Workspace::new(&[
        ("all", [CONFIG_MAP, OTHERS].concat()),
        ("two", [CONFIG_MAP, "---\n", CONFIG_MAP].concat()),
        ("map", "default::d.io\n".to_owned()),
        ("secret", "kind: Secret\ndata: { maps: eA== }\n".to_owned()),
        ("empty", "kind: ConfigMap\n".to_owned()),
        ("broken", "kind: [\n".to_owned()),
        ("rules", "[EXACT]a.io/x:1::d.io/x:1\nq.io::d.io\n".to_owned()),
    ]);
    let keys = "`maps`, `other.conf`, `imageswap-mwc`, `number`, `binary`";
    for (file, key, error) in [
        ("all", "map", format!("all: no ConfigMap has the key `map`; its keys are: {keys}")),
        (
            "all",
            "number",
            "all: ConfigMap `template`: the value of `number` is not a string".into(),
        ),
        ("all", "binary", "all: ConfigMap `template` has `binary` in `binaryData`".into()),
        (
            "two",
            "maps",
            "two: more than one ConfigMap has the key `maps`: `imageswap-maps`, `imageswap-maps`"
                .into(),
        ),
        ("map", "maps", "map: not the manifest of a ConfigMap".into()),
        ("secret", "maps", "secret: not the manifest of a ConfigMap".into()),
        ("empty", "maps", "empty: no ConfigMap has the key `maps`; its keys are: none".into()),
        ("broken", "maps", "broken: not valid YAML or JSON: ".into()),
        (
            "rules",
            "maps",
            "at line 1, column 8; without --configmap-key, a file is checked as a map\n".into(),
        ),
        ("missing", "maps", "missing: No such file or directory".into()),
    ] {
        let run = workspace.imageswap(&["check", "--configmap-key", key, file]).run();
        run.assert_usage_error(&[&error]);
        assert_eq!(run.stdout, "", "{file}");
    }
    let large = File::create(workspace.0.path().join("large")).unwrap();
    large.set_len(MAX_MAP_BYTES as u64 + 1).unwrap();
    let run = workspace.imageswap(&["check", "--configmap-key", "maps", "large"]).run();
    run.assert_usage_error(&[&format!("large: larger than {MAX_MAP_BYTES} bytes")]);
}

#[test]
fn the_fields_of_a_manifest_that_were_pasted_with_a_map_have_one_hint() {
    let workspace = Workspace::new(&[("map", "data:\n  maps: |\n    default::d.io\n")]);
    let run = workspace.imageswap(&["check", "--output", "json", "map"]).run();
    let records = run.records(&FIELDS);
    let found: Vec<_> =
        records.iter().map(|record| (record["line"].as_u64(), record["code"].as_str())).collect();
    let expected = [
        (Some(1), Some("deprecated-separator")),
        (Some(2), Some("deprecated-separator")),
        (Some(2), Some("invalid-target")),
    ];
    assert_eq!(found, expected);
    for record in &records {
        let hint = record["hint"].as_str().unwrap();
        assert!(hint.starts_with("this line is a field of a manifest; remove it"), "{hint}");
    }
}

#[test]
fn a_manifest_in_place_of_a_map_is_one_error() {
    let expected = "\
error[not-a-map]: this is a manifest in YAML or JSON, not a map
 --> maps.yaml:2:1
  |
2 | apiVersion: v1
  | ^^^^^^^^^^^^^^
  |
  = help: use the map itself: `kubectl get configmap NAME -n NAMESPACE -o jsonpath='{.data.maps}' | imageswap check -`, or `imageswap check --configmap-key maps FILE`

maps.yaml: 0 rules, 1 error, 0 warnings
";
    let workspace = Workspace::new(&[("maps.yaml", CONFIG_MAP)]);
    workspace.imageswap(&["check", "maps.yaml"]).run().assert_exit(1, expected, "");
}
