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
    assert!(run.stderr.starts_with("error: no way to reach a cluster: the kubeconfig: "));
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
