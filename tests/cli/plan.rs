//! `plan` without a cluster. `tests/cluster` runs it with one.

use crate::Workspace;

#[test]
fn without_a_cluster_the_error_says_how_to_reach_one() {
    let workspace = Workspace::new(&[("map", "default::d.io")]);
    let run = workspace
        .imageswap(&["plan", "--maps", "map"])
        .variable("KUBECONFIG", "nowhere.kubeconfig")
        .run();
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let error = "error: no way to reach a cluster: the kubeconfig nowhere.kubeconfig: No such file";
    assert!(run.stderr.starts_with(error), "{}", run.stderr);
    assert!(run.stderr.contains("set KUBECONFIG to a file that can be read"), "{}", run.stderr);
}

#[test]
fn a_map_that_cannot_be_used_is_reported_before_the_cluster_is_asked() {
    let workspace = Workspace::new(&[("map", "default::d.io"), ("broken", "")]);
    let run = workspace.imageswap(&["plan", "--maps", "broken"]).run();
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("broken"), "{}", run.stderr);
    let run = workspace.imageswap(&["plan", "--maps", "map", "--namespace-maps", "no"]).run();
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: --namespace-maps-dir: no: "), "{}", run.stderr);
    let run = workspace.imageswap(&["plan", "--maps", "map", "--namespace", "../x"]).run();
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: --namespace: `../x` is not valid"), "{}", run.stderr);
}

#[test]
fn manifests_are_read_instead_of_a_cluster() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {namespace: shop}\nspec: {containers: [{image: nginx}]}\n";
    let template = "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{image: nginx}, {image: left.io/a}]}}}\n";
    let both = format!("{pod}---\n{template}---\nkind: Note\n");
    let files = [
        ("map", "default::d.io\nleft.io::"),
        ("old", "default::d.io\nleft.io::e.io"),
        ("a.yaml", &both),
        ("same.yaml", "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: left.io/a}]}\n"),
        ("bad.yaml", "a: [\n"),
    ];
    let workspace = Workspace::new(&files);
    let run = workspace.imageswap(&["plan", "--maps", "map", "-f", "a.yaml"]).run();
    assert_eq!((run.code, &*run.stderr), (Some(3), ""));
    assert!(run.stdout.contains("1 pod and 1 workload in 2 namespaces: 1 image changes"));
    let run =
        workspace.imageswap(&["plan", "--maps", "map", "-f", "-", "-o", "json"]).input(&both).run();
    assert_eq!(run.code, Some(3));
    let records: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 2, "{}", run.stdout);
    assert_eq!(records[0]["result"], "d.io/nginx");
    assert_eq!((&records[0]["pods"], &records[0]["workloads"]), (&1.into(), &1.into()));
    let run = workspace.imageswap(&["plan", "--maps", "map", "-f", "same.yaml"]).run();
    assert_eq!((run.code, &*run.stderr), (Some(0), ""));
    let arguments = ["plan", "--maps", "map", "--against", "old", "-f", "same.yaml"];
    assert_eq!(workspace.imageswap(&arguments).run().code, Some(3));
    let arguments = ["plan", "--maps", "map", "-f", "bad.yaml", "-f", "no.yaml", "-f", "a.yaml"];
    let run = workspace.imageswap(&arguments).run();
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: bad.yaml:1:4: "), "{}", run.stderr);
    assert!(run.stderr.contains("error: no.yaml: No such file"), "{}", run.stderr);
    assert!(run.stdout.contains("1 image changes"), "{}", run.stdout);
    let run = workspace.imageswap(&["plan", "--maps", "map", "-f", "a.yaml", "-l", "a=b"]).run();
    assert_eq!(run.code, Some(2));
}

#[test]
fn manifests_without_images_are_reported() {
    let workspace = Workspace::new(&[("map", "default::d.io"), ("a.yaml", "a: b\n")]);
    let run = workspace.imageswap(&["plan", "--maps", "map", "-f", "a.yaml"]).run();
    let expected = (Some(0), "warning: no image was found in the manifests\n");
    assert_eq!((run.code, &*run.stderr), expected);
}

#[test]
fn a_map_to_compare_with_that_cannot_be_used_is_named_with_its_flag() {
    let workspace = Workspace::new(&[("map", "default::d.io"), ("empty", ""), ("a.yaml", "")]);
    for (file, error) in [("none", "No such file or directory"), ("empty", "the map has no rules")]
    {
        let arguments = ["plan", "--maps", "map", "--against", file, "-f", "a.yaml"];
        let run = workspace.imageswap(&arguments).run();
        let expected = format!("error: --against: {file}: {error}");
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.lines().any(|line| line.starts_with(&expected)), "{}", run.stderr);
    }
}
