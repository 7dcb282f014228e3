//! `imageswap check`.

use imageswap::rules::diagnostic::MAX_KEPT_DIAGNOSTICS;
use serde_json::{Value, json};

use crate::{Finished, Workspace};

pub(crate) const FIELDS: [&str; 9] =
    ["file", "line", "column", "severity", "code", "message", "hint", "text", "related_line"];

#[test]
fn the_fields_of_json_are_documented() {
    assert_eq!(imageswap::commands::check::FIELDS.map(|field| field.name), FIELDS);
}

const CLEAN: &str = "default::d.io\n";
const WARNINGS: &str = "default:d.io\n";
const ERRORS: &str = "default::d.io\nbroken\n";

/// Line (0 for the whole file), code, and the related line (0 for none).
pub(crate) type Finding = (u64, &'static str, u64);

/// Returns the findings about `file` in the JSON output, and checks the fields that do not depend on the case.
pub(crate) fn findings(run: &Finished, file: &str, map: &str) -> Vec<(u64, String, u64)> {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let lines: Vec<_> = map.trim_start_matches('\u{feff}').lines().collect();
    let records = run.records(&FIELDS);
    let records = records.iter().filter(|record| record["file"] == file);
    records
        .map(|record| {
            let line = number(&record["line"]);
            let code = record["code"].as_str().unwrap();
            let errors = [
                "invalid-rule",
                "invalid-site",
                "invalid-target",
                "missing-default",
                "no-rules",
                "not-a-map",
            ];
            let severity = match code {
                "library-dropped" => "note",
                code if errors.contains(&code) => "error",
                _ => "warning",
            };
            assert_eq!(record["severity"], severity, "{record}");
            match usize::try_from(line).unwrap().checked_sub(1) {
                Some(index) => assert_eq!(record["text"], lines[index], "{record}"),
                None => assert!(record["text"].is_null() && record["column"].is_null(), "{record}"),
            }
            for sentence in ["message", "hint"] {
                assert!(!record[sentence].as_str().unwrap().is_empty(), "{record}");
            }
            (line, code.to_owned(), number(&record["related_line"]))
        })
        .collect()
}

#[track_caller]
pub(crate) fn assert_found(seen: &[(u64, String, u64)], expected: &[Finding], name: &str) {
    let seen: Vec<_> = seen.iter().map(|(line, code, other)| (*line, &**code, *other)).collect();
    assert_eq!(seen, expected, "{name}");
}

#[test]
fn check_finds_every_kind_of_mistake() {
    let map = "\
# Nothing is wrong with a comment.
[EXACT]a.io/x:1::b.io/y:1
[EXACT]b.io/y:1::c.io/z:1

q.io:d.io # an old line
  q.io::e.io
no separator
k.io:::d.io
a.io::b.io::c.io
a.io:8443:b.io
::d.io
r.io::Not/Valid
team::d.io/team
";
    let workspace = Workspace::new(&[("map", map)]);
    let run = workspace.imageswap(&["check", "--output", "json", "map"]).run();
    let expected: [Finding; 11] = [
        (0, "missing-default", 0),
        (2, "chain", 3),
        (5, "deprecated-separator", 0),
        (6, "duplicate-key", 5),
        (7, "invalid-rule", 0),
        (8, "invalid-rule", 0),
        (9, "invalid-rule", 0),
        (10, "invalid-rule", 0),
        (11, "invalid-rule", 0),
        (12, "invalid-target", 0),
        (13, "never-matches", 0),
    ];
    assert_found(&findings(&run, "map", map), &expected, "every kind");
    assert_eq!((run.code, &*run.stderr), (Some(1), ""));
    let columns: Vec<_> =
        run.records(&FIELDS).into_iter().map(|record| record["column"].clone()).collect();
    let expected = [0, 18, 1, 3, 1, 1, 1, 1, 1, 7, 1];
    assert_eq!(
        columns,
        expected.map(|column| if column == 0 { Value::Null } else { json!(column) })
    );
}

#[test]
fn check_finds_mistakes_between_rules() {
    let cases: [(&str, &str, &[Finding]); 25] = [
        ("clean", "default::d.io\nq.io::d.io/q\n", &[]),
        ("clean-crlf-with-byte-order-mark", "\u{feff}default::d.io\r\nq.io::\r\n", &[]),
        (
            "mistake-after-the-byte-order-mark",
            "\u{feff}default:d.io",
            &[(1, "deprecated-separator", 0)],
        ),
        ("empty", "", &[(0, "no-rules", 0)]),
        ("only-comments", "# a\n\n  # b\n", &[(0, "no-rules", 0)]),
        ("no-default", "q.io::d.io\n", &[(0, "missing-default", 0)]),
        ("default-without-effect", "default::https//d.io/A\n", &[(1, "invalid-target", 0)]),
        (
            "manifest",
            "# apply me\napiVersion: v1\nkind: ConfigMap\ndata:\n  maps: |\n    default::d.io\n",
            &[(2, "not-a-map", 0)],
        ),
        ("chain-of-registries", "default::d.io\na.io::b.io\nb.io::c.io\n", &[(2, "chain", 3)]),
        ("chain-to-a-glob", "default::\na.io::h.io/p\n[REPLACE]h.io/*::g.io\n", &[(2, "chain", 3)]),
        ("chain-to-an-exact-image", "default::d.io\n[EXACT]d.io/x::e.io/x\n", &[(1, "chain", 2)]),
        (
            "glob-over-glob",
            "default::\n[REPLACE]a.io/*::d.io\n[REPLACE]a.io/x*::e.io\n",
            &[(3, "never-matches", 2)],
        ),
        (
            "glob-over-all",
            "[REPLACE]*::d.io\nq.io::\ndefault::\n",
            &[(2, "never-matches", 1), (3, "never-matches", 1)],
        ),
        ("reversed-range", "default::\n[REPLACE]a[z-a]*::d.io\n", &[(2, "never-matches", 0)]),
        ("wildcard-in-exact", "default::\n[EXACT]a.io/*::d.io/x\n", &[(2, "never-matches", 0)]),
        ("small-letters", "default::\n[exact]a.io/x::d.io/x\n", &[(2, "never-matches", 0)]),
        (
            "small-letters-and-a-tag",
            "default::\n[exact]a.io/x:1::d.io/x:1\n",
            &[(2, "invalid-target", 0)],
        ),
        ("unknown-brackets", "default::\n[EXCLUDE]a.io::\n", &[(2, "never-matches", 0)]),
        ("tag-on-a-registry", "default::\na.io/x:1::d.io\n", &[(2, "never-matches", 0)]),
        (
            "other-name-of-docker-hub",
            "default::
index.docker.io::d.io
",
            &[(2, "library-dropped", 0)],
        ),
        (
            "glob-as-regular-expression",
            "default::
[REPLACE]^a.io/.*::
",
            &[(2, "never-matches", 0)],
        ),
        (
            "wildcards-as-globs",
            "default::
noswap_wildcards::a, *.b, c/*
",
            &[(2, "never-matches", 0); 2],
        ),
        (
            "ports-under-a-prefix",
            "default::
a.io:1::d.io/m-
a.io:2::d.io/m-
",
            &[(3, "port-dropped", 2)],
        ),
        (
            "registry-in-upper-case",
            "default::
MYREG::d.io
Myreg/x::d.io/x
",
            &[],
        ),
        (
            "domain",
            "default::
*.gcr.io::d.io/{registry}
*.pkg.dev:80/x::d.io/x
",
            &[],
        ),
    ];
    let workspace = Workspace::new(&cases.map(|(name, map, _)| (name, map)));
    // All files are checked in one run, so each diagnostic must name the right file.
    let files = cases.map(|(name, ..)| name);
    let run =
        workspace.imageswap(&[&["check", "--output", "json"], files.as_slice()].concat()).run();
    assert_eq!((run.code, &*run.stderr), (Some(1), ""));
    for (name, map, expected) in cases {
        assert_found(&findings(&run, name, map), expected, name);
    }
}

const MAP_WITH_MISTAKES: &str = "\
default::d.io
a.io::b.io/x   # moved
b.io::c.io
  é.io: q.io  # écrit
é.io::d.io
no separator
";

/// Text output for [`MAP_WITH_MISTAKES`].
const MISTAKES_AS_TEXT: &str = "\
warning[chain]: images that this rule makes are sent on to `c.io` by line 3
 --> map.conf:2:7
  |
2 | a.io::b.io/x   # moved
  |       ^^^^^^
  |
 ::: map.conf:3:1
  |
3 | b.io::c.io
  | ---------- this rule claims them on a second pass
  |
  = help: give the rule its final target, or narrow line 3

warning[deprecated-separator]: a single `:` between key and target is deprecated
 --> map.conf:4:3
  |
4 |   é.io: q.io  # écrit
  |   ^^^^^^^^^^
  |
  = help: write `::` between key and target

warning[duplicate-key]: the key `é.io` is already in the map
 --> map.conf:5:1
  |
5 | é.io::d.io
  | ^^^^^^^^^^
  |
 ::: map.conf:4:3
  |
4 |   é.io: q.io  # écrit
  |   ---------- this target is overridden
  |
  = help: the last target wins; remove one of the two lines

warning[never-matches]: no valid image is below `é.io`
 --> map.conf:5:1
  |
5 | é.io::d.io
  | ^^^^^^^^^^
  |
  = help: write `host[:port][/path]`, without a scheme, the path in lower case

error[invalid-rule]: there is no `::` between key and target
 --> map.conf:6:1
  |
6 | no separator
  | ^^^^^^^^^^^^
  |
  = help: write the key, `::` and the target

map.conf: 4 rules, 1 error, 4 warnings
";

#[test]
fn text_output_looks_like_compiler_errors() {
    let workspace = Workspace::new(&[("map.conf", MAP_WITH_MISTAKES)]);
    let run = workspace.imageswap(&["check", "map.conf"]).run();
    run.assert_exit(1, MISTAKES_AS_TEXT, "");
}

#[test]
fn the_exit_code_distinguishes_errors_from_warnings() {
    let workspace = Workspace::new(&[
        ("clean", CLEAN),
        ("warnings", WARNINGS),
        ("no-default", "[EXACT]a.io/x::d.io/x\n"),
        ("errors", ERRORS),
    ]);
    // files, exit code, exit code with --deny-warnings
    for (files, code, strict_code) in [
        (&["clean"][..], 0, 0),
        (&["clean", "clean"], 0, 0),
        (&["warnings"], 0, 1),
        (&["no-default"], 1, 1),
        (&["warnings", "clean"], 0, 1),
        (&["errors"], 1, 1),
        (&["errors", "clean"], 1, 1),
        (&["clean", "missing"], 2, 2),
        (&["missing", "errors"], 2, 2),
        (&["errors", "missing", "warnings"], 2, 2),
    ] {
        for output in ["text", "json"] {
            let check = ["check", "--output", output];
            let run = workspace.imageswap(&[check.as_slice(), files].concat()).run();
            assert_eq!(run.code, Some(code), "{}", run.description);
            let check = ["check", "--deny-warnings", "--output", output];
            let run = workspace.imageswap(&[check.as_slice(), files].concat()).run();
            assert_eq!(run.code, Some(strict_code), "{}", run.description);
        }
    }
}

#[test]
fn check_continues_after_a_missing_file() {
    let workspace = Workspace::new(&[("errors", ERRORS), ("clean", CLEAN)]);
    let run = workspace.imageswap(&["check", "errors", "missing", "clean"]).run();
    let summaries: Vec<_> = run.stdout.lines().filter(|line| line.contains(" rule, ")).collect();
    let expected = ["errors: 1 rule, 1 error, 0 warnings", "clean: 1 rule, 0 errors, 0 warnings"];
    assert_eq!(summaries, expected);
    run.assert_usage_error(&["missing: "]);
}

#[test]
fn the_sample_map_is_clean() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/config/imageswap-maps.conf");
    let workspace = Workspace::new::<&str>(&[]);
    let run = workspace.imageswap(&["check", "--deny-warnings", sample]).run();
    run.assert_success(&format!("{sample}: 11 rules, 0 errors, 0 warnings\n"));
}

#[test]
fn diagnostics_beyond_the_limit_are_counted() {
    let map = "broken\n".repeat(MAX_KEPT_DIAGNOSTICS + 500);
    let workspace = Workspace::new(&[("map", map)]);
    let run = workspace.imageswap(&["check", "map"]).run();
    let shown = run.stdout.lines().filter(|line| line.starts_with("error[invalid-rule]")).count();
    // One of the diagnostics is the error that the map has no rules.
    assert_eq!(shown, MAX_KEPT_DIAGNOSTICS - 1);
    let summary = "map: 0 rules, 1501 errors, 0 warnings (501 more not shown)";
    assert_eq!(run.stdout.lines().last(), Some(summary));
    assert_eq!((run.code, &*run.stderr), (Some(1), ""));
    let run = workspace.imageswap(&["check", "--output", "json", "map"]).run();
    assert_eq!(run.records(&FIELDS).len(), MAX_KEPT_DIAGNOSTICS);
    assert_eq!(run.code, Some(1));
}

#[test]
fn a_long_line_is_cut() {
    // A line is cut after 400 characters. The end of the rule and the start of the target may be on either side.
    for length in 390..410 {
        let key = "x".repeat(length);
        let map = format!("default::\n{key} # comment\n{key}.io::D.io/{key} # comment\n");
        let workspace = Workspace::new(&[("map", map)]);
        let run = workspace.imageswap(&["check", "map"]).run();
        assert_eq!((run.code, &*run.stderr), (Some(1), ""), "{length}");
        assert_eq!(run.stdout.matches("\n --> map:").count(), 3, "{length}: {}", run.stdout);
        let run = workspace.imageswap(&["check", "--output", "json", "map"]).run();
        assert_eq!((run.code, run.records(&FIELDS).len()), (Some(1), 3), "{length}");
    }
}

#[test]
fn a_byte_order_mark_counts_on_the_first_line_only() {
    let map = "\u{feff}default::d.io\n\u{feff}quay.io::q.io\n\u{feff}\u{85}\u{85}broken\n";
    let workspace = Workspace::new(&[("map", map)]);
    let run = workspace.imageswap(&["check", "--output", "json", "map"]).run();
    let found: Vec<_> = run
        .records(&FIELDS)
        .iter()
        .map(|record| {
            (record["line"].as_u64().unwrap(), record["code"].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(found, [(2, "never-matches".to_owned()), (3, "invalid-rule".to_owned())]);
    assert_eq!(workspace.imageswap(&["check", "map"]).run().code, Some(1));
}

#[test]
fn a_map_with_too_many_globs_to_compare_is_reported_as_partly_checked() {
    let globs: Vec<_> = (0..1500).map(|n| format!("[REPLACE]a{n}/*::d.io\n")).collect();
    let workspace = Workspace::new(&[("map", format!("default::\n{}", globs.concat()))]);
    let end = "map: 1501 rules, 0 errors, 0 warnings (too many rules to compare all of them)\n";
    for (options, code) in
        [(&[][..], 0), (&["--deny-warnings"], 1), (&["--deny-warnings", "--allow-partial"], 0)]
    {
        let run = workspace.imageswap(&[&["check", "map"], options].concat()).run();
        assert!(run.stdout.ends_with(end), "{}", run.stdout);
        assert_eq!(run.code, Some(code), "{options:?}");
    }
}

#[test]
fn notes_never_fail_the_check() {
    let map = "default::\ndocker.io::d.io/hub\n";
    let expected = "\
note[library-dropped]: `nginx` becomes `d.io/hub/nginx`, without `library/`
 --> map:2:12
  |
2 | docker.io::d.io/hub
  |            ^^^^^^^^
  |
  = help: if the mirror is a pull-through cache, add `docker.io/library::d.io/hub/library`, or write `docker.io::d.io/hub/{path}`

map: 2 rules, 0 errors, 0 warnings, 1 note
";
    let workspace = Workspace::new(&[("map", map)]);
    workspace.imageswap(&["check", "--deny-warnings", "map"]).run().assert_success(expected);
}

#[test]
fn the_map_is_named_as_in_the_other_commands() {
    let workspace = Workspace::new(&[("clean", CLEAN), ("errors", ERRORS)]);
    for option in ["--maps", "--maps-file"] {
        let named = workspace.imageswap(&["check", option, "errors"]).run();
        let plain = workspace.imageswap(&["check", "errors"]).run();
        assert_eq!((named.code, &named.stdout), (Some(1), &plain.stdout), "{option}");
    }
    let both = workspace.imageswap(&["check", "--maps", "clean", "errors"]).run();
    assert_eq!(both.stdout.matches("1 rule, ").count(), 2, "{}", both.stdout);
}
