//! `imageswap check -`.

use imageswap::rules::MAX_MAP_BYTES;

use crate::{Workspace, check::FIELDS};

const CLEAN: &str = "default::d.io\n";
const ERRORS: &str = "default::d.io\nbroken\n";

#[test]
fn a_dash_stands_for_standard_input() {
    let workspace = Workspace::new(&[("clean", CLEAN), ("errors", ERRORS)]);
    let run = workspace.imageswap(&["check", "-"]).input(ERRORS).run();
    let expected = "\
error[invalid-rule]: there is no `::` between key and target
 --> <stdin>:2:1
  |
2 | broken
  | ^^^^^^
  |
  = help: write the key, `::` and the target

<stdin>: 1 rule, 1 error, 0 warnings
";
    run.assert_exit(1, expected, "");
    let run = workspace.imageswap(&["check", "clean", "-", "errors"]).input(CLEAN).run();
    let summaries: Vec<_> = run.stdout.lines().filter(|line| line.contains(" rule, ")).collect();
    let expected = ["clean: 1 rule", "<stdin>: 1 rule", "errors: 1 rule"];
    for (summary, expected) in summaries.iter().zip(expected) {
        assert!(summary.starts_with(expected), "{summary}");
    }
    assert_eq!((run.code, summaries.len()), (Some(1), 3));
    let run = workspace.imageswap(&["check", "--output", "json", "-"]).input(ERRORS).run();
    let records = run.records(&FIELDS);
    assert_eq!((&records[0]["file"], &records[0]["line"]), (&"<stdin>".into(), &2.into()));
    // A file of that name must be given with its directory.
    let named = Workspace::new(&[("-", CLEAN)]);
    let run = named.imageswap(&["check", "./-"]).input(ERRORS).run();
    run.assert_success("./-: 1 rule, 0 errors, 0 warnings\n");
}

#[test]
fn standard_input_has_the_limits_of_a_file() {
    let workspace = Workspace::new(&[("clean", CLEAN)]);
    let too_large = vec![b'#'; MAX_MAP_BYTES + 1];
    for (input, error) in [
        (&too_large[..], format!("<stdin>: larger than {MAX_MAP_BYTES} bytes")),
        (
            b"default::d.io\n\xff",
            "<stdin>:2: not valid UTF-8 at byte 14 of the file, counted from 0".to_owned(),
        ),
    ] {
        let run = workspace.imageswap(&["check", "-", "clean"]).input(input).run();
        run.assert_exit(2, "clean: 1 rule, 0 errors, 0 warnings\n", &format!("error: {error}\n"));
    }
    let largest = &too_large[1..];
    let run = workspace.imageswap(&["check", "-"]).input(largest).run();
    assert_eq!((run.code, &*run.stderr), (Some(1), ""), "a map without rules");
}
