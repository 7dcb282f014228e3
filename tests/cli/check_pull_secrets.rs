//! Pull secrets in `check`.

use crate::{
    Workspace,
    check::{Finding, assert_found, findings},
};

#[test]
fn check_finds_mistakes_in_pull_secrets() {
    let cases: [(&str, &str, &[Finding]); 2] = [
        (
            "pull-secrets",
            "default::d.io
[PULLSECRET]d.io/x::a
[PULLSECRET]e.io::a
[PULLSECRET]D.io/x/::b
[PULLSECRET]d.io::A
q.io/a::
[PULLSECRET]q.io::a
[PULLSECRET]q.io/a/b::a
",
            &[(3, "unused-pull-secret", 0), (4, "duplicate-key", 2), (5, "invalid-rule", 0)],
        ),
        ("pull-secrets-beside-images-left-alone", "default::\n[PULLSECRET]e.io::a\n", &[]),
    ];
    for (name, map, expected) in cases {
        let workspace = Workspace::new(&[(name, map)]);
        let run = workspace.imageswap(&["check", "--output", "json", name]).run();
        assert_found(&findings(&run, name, map), expected, name);
    }
}

#[test]
fn the_summary_counts_lines_of_pull_secrets() {
    let map = "default::d.io\n[PULLSECRET]d.io::a\n[PULLSECRET]d.io/x::b\n";
    let workspace = Workspace::new(&[("map", map)]);
    let expected = "map: 1 rule, 2 [PULLSECRET] lines, 0 errors, 0 warnings\n";
    workspace.imageswap(&["check", "map"]).run().assert_success(expected);
}
