//! Maps of namespaces in `swap`, `explain` and `check`.

use std::fs;

use crate::{RULES, Workspace};

/// Returns a workspace with a map of the cluster, and maps of namespaces in the directory `maps`.
fn workspace(maps: &[(&str, &str)]) -> Workspace {
    let workspace = Workspace::new(&[("rules", RULES)]);
    let directory = workspace.0.path().join("maps");
    fs::create_dir(&directory).unwrap();
    for (name, text) in maps {
        fs::write(directory.join(name), text).unwrap();
    }
    workspace
}

const SHOP: &str = "q.io::shop.io/q\noff.io::shop.io/off\nnoswap_wildcards::local-only\n";

#[test]
fn swap_asks_the_map_of_the_namespace_first() {
    let workspace = workspace(&[("shop.conf", SHOP)]);
    let swap = |namespace: &str, images: &[&str]| {
        let flags =
            ["swap", "--maps", "rules", "--namespace-maps", "maps", "--namespace", namespace];
        workspace.imageswap(&[&flags[..], images].concat()).run()
    };
    let images = ["q.io/a", "off.io/a", "nginx", "shop.io/q/a", "x/local-only"];
    let expected = "shop.io/q/a\nshop.io/off/a\nd.io/nginx\nshop.io/q/a\nx/local-only\n";
    swap("shop", &images).assert_success(expected);
    let other = swap("other", &["q.io/a"]);
    assert_eq!((other.code, &*other.stdout), (Some(0), "d.io/q/a\n"));
    let warning = "warning: maps/other.conf: no such file; the map of the cluster decides\n";
    assert_eq!(other.stderr, warning);
    let invalid = swap("A b", &["q.io/a"]);
    assert_eq!(invalid.code, Some(2));
    assert!(
        invalid.stderr.contains("--namespace: `A b` is not valid; expected"),
        "{}",
        invalid.stderr
    );
    let by_variable =
        workspace.imageswap(&["swap", "--maps", "rules", "--namespace", "shop", "q.io/a"]);
    by_variable
        .variable("IMAGESWAP_NAMESPACE_MAPS_DIR", "maps")
        .run()
        .assert_success("shop.io/q/a\n");
}

#[test]
fn a_map_of_a_namespace_that_the_webhook_would_refuse_is_an_error() {
    let workspace = workspace(&[("shop.conf", "nothing"), ("team.conf", "kind: ConfigMap\n")]);
    for (namespace, reason) in [
        ("shop", "maps/shop.conf: the map has no rules"),
        ("team", "maps/team.conf: the file is a YAML or JSON manifest"),
    ] {
        let flags =
            ["swap", "--maps", "rules", "--namespace-maps", "maps", "--namespace", namespace, "a"];
        let run = workspace.imageswap(&flags).run();
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        let context = format!("the map of the namespace {namespace} cannot be used");
        assert!(run.stderr.contains(&context) && run.stderr.contains(reason), "{}", run.stderr);
    }
}

#[test]
fn explain_names_both_maps() {
    let workspace = workspace(&[("shop.conf", SHOP)]);
    let explain = |image: &str| {
        let flags =
            ["explain", "--maps", "rules", "--namespace-maps", "maps", "--namespace", "shop"];
        workspace.imageswap(&[&flags[..], &[image]].concat()).run()
    };
    explain("q.io/a").assert_success(
        "\
image     q.io/a
registry  q.io
path      a
rules     maps/shop.conf, then rules
  namespace map    is asked first
  [EXACT]          the map has none
  [REPLACE]        the map has none
  registry         line 1 `q.io::shop.io/q` has the longest prefix
result    shop.io/q/a (registry, line 1)
again     shop.io/q/a is left alone (already-swapped, line 1)
",
    );
    explain("nginx").assert_success(
        "\
image     nginx
registry  docker.io (none is written, so Docker Hub)
path      nginx (library/nginx to registry rules)
rules     maps/shop.conf, then rules
  namespace map    is asked first
  [EXACT]          the map has none
  [REPLACE]        the map has none
  registry         no rule for docker.io/library/nginx or a part of it
  noswap_wildcards the image contains none
  cluster map      is asked, as no rule of the namespace matches
  [EXACT]          none of 1 is this image
  [REPLACE]        none of 1 matches
  registry         no rule for docker.io/library/nginx or a part of it
  noswap_wildcards the image contains none
  default          line 1 `default::d.io` applies
result    d.io/nginx (default, line 1)
again     d.io/nginx is left alone (already-swapped, line 1)
",
    );
}

#[test]
fn check_compares_each_map_with_that_of_the_cluster() {
    let maps = [
        ("chain.conf", "d.io::e.io\n"),
        ("fine.conf", "q.io::\n"),
        ("wrong.conf", "q.io:::e.io\n"),
        ("Shop.conf", "q.io::\n"),
    ];
    let workspace = workspace(&maps);
    let check = |flags: &[&str]| {
        let arguments = [&["check", "--namespace-maps", "maps"], flags, &["rules"]].concat();
        workspace.imageswap(&arguments).run()
    };
    let run = check(&["--output", "json"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let records: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found = |file: &str| {
        let of_file = records.iter().filter(|record| record["file"] == file);
        of_file.map(|record| record["code"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(found("maps/fine.conf"), [""; 0]);
    assert_eq!(found("maps/wrong.conf"), ["no-rules", "invalid-rule"]);
    assert!(found("maps/chain.conf").contains(&"chain"), "{records:#?}");
    let is_chain = |record: &&serde_json::Value| {
        record["file"] == "maps/chain.conf" && record["code"] == "chain"
    };
    let chain = records.iter().find(is_chain).unwrap();
    let message = "images that rules:1 makes, in the map of the cluster, are sent on to `e.io`";
    assert_eq!(chain["message"], message);
    let warning =
        "warning: maps: Shop.conf: name the file as the namespace, with the ending .conf\n";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
    fs::remove_file(workspace.0.path().join("maps/wrong.conf")).unwrap();
    assert_eq!(check(&[]).code, Some(0));
    assert_eq!(check(&["--deny-warnings"]).code, Some(1));
    let large = format!("q.io::\n# {}\n", "x".repeat(901 * 1024));
    fs::write(workspace.0.path().join("maps/large.conf"), large).unwrap();
    let run = check(&[]);
    assert!(run.stderr.contains("a ConfigMap holds 1024"), "{}", run.stderr);
    let two = workspace.imageswap(&["check", "--namespace-maps", "maps", "rules", "rules"]).run();
    assert_eq!(two.code, Some(2));
    assert!(two.stderr.contains("--namespace-maps-dir needs one FILE"), "{}", two.stderr);
    let none = workspace.imageswap(&["check", "--namespace-maps", "nowhere", "rules"]).run();
    assert_eq!(none.code, Some(2), "{}", none.stderr);
}

#[test]
fn the_example_of_the_repository_has_no_mistake() {
    let config = |name: &str| format!("{}/config/{name}", env!("CARGO_MANIFEST_DIR"));
    let (maps, map) = (config("namespace-maps"), config("imageswap-maps.conf"));
    let arguments = ["check", "--deny-warnings", "--namespace-maps", &maps, &map];
    let run = Workspace::new::<&str>(&[]).imageswap(&arguments).run();
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let expected = "shop.conf: 2 rules, 1 [PULLSECRET] line, 0 errors, 0 warnings\n";
    assert!(run.stdout.ends_with(expected), "{}", run.stdout);
}
