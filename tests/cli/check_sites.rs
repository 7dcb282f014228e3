//! `check --sites`.

use crate::{
    Workspace,
    check::{assert_found, findings},
};

const SITES: &str = "\
# Ours.
example.com/Widget  /spec/image /spec/parts/*/image  # all parts
example.com/Widget  /spec/image
other.example.com/Gadget  /spec/image
";

#[test]
fn check_counts_sites_and_kinds() {
    let workspace = Workspace::new(&[("sites", SITES), ("map", "default::d.io")]);
    let expected = "sites: 3 sites of 2 kinds, 0 errors, 0 warnings\n";
    workspace.imageswap(&["check", "--sites", "sites"]).run().assert_success(expected);
    let both = format!("map: 1 rule, 0 errors, 0 warnings\n{expected}");
    workspace.imageswap(&["check", "--sites", "sites", "map"]).run().assert_success(&both);
}

#[test]
fn check_finds_mistakes_in_sites() {
    let text =
        "example.com/Widget spec.image\nWidget /spec/image\nexample.com/Widget /spec/image\n";
    let workspace = Workspace::new(&[("sites", text)]);
    let run = workspace.imageswap(&["check", "--output", "json", "--sites", "sites"]).run();
    assert_found(
        &findings(&run, "sites", text),
        &[(1, "invalid-site", 0), (2, "invalid-site", 0)],
        "sites",
    );
    assert_eq!(run.code, Some(1));
    let run = workspace.imageswap(&["check", "--sites", "sites"]).run();
    let expected = "\
error[invalid-site]: a JSON Pointer begins with `/`
 --> sites:1:20
  |
1 | example.com/Widget spec.image
  |                    ^^^^^^^^^^
  |
  = help: write the path of a field, such as /spec/image
";
    assert!(run.stdout.starts_with(expected), "{}", run.stdout);
    assert!(run.stdout.ends_with("sites: 1 site of 1 kind, 2 errors, 0 warnings\n"));
    let missing = workspace.imageswap(&["check", "--sites", "nowhere"]).run();
    assert!(missing.stderr.starts_with("error: nowhere: "), "{}", missing.stderr);
    assert_eq!(missing.code, Some(2));
}

#[test]
fn the_built_in_sites_pass() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/sites.conf");
    let workspace = Workspace::new::<&str>(&[]);
    let run = workspace.imageswap(&["check", "--deny-warnings", "--sites", file]).run();
    assert_eq!(run.code, Some(0), "{}", run.stdout);
}
