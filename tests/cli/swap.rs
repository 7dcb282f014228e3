//! `imageswap swap`.

use imageswap::{
    commands::{OUTCOME_FIELDS, swap::FIELDS as IMAGE},
    rules::Reason,
};
use serde_json::json;

use crate::{RULES, Workspace};

const FIELDS: [&str; 7] = ["image", "result", "swapped", "reason", "rule", "file", "line"];

#[test]
fn arguments_are_swapped_in_their_order() {
    let workspace = Workspace::new(&[("rules", RULES)]);
    let arguments = ["swap", "--maps", "rules", "nginx:1.27", "off.io/a", "", "q.io/a@sha256:ab"];
    let expected = "d.io/nginx:1.27\noff.io/a\n\nd.io/q/a@sha256:ab\n";
    workspace.imageswap(&arguments).run().assert_success(expected);
    // With images as arguments, standard input is not read.
    workspace.imageswap(&arguments).input("redis\n").run().assert_success(expected);
}

#[test]
fn the_standard_input_is_swapped_line_by_line() {
    let workspace = Workspace::new(&[("rules", RULES)]);
    for (name, input, expected) in [
        ("lines", "nginx\nq.io/a\n", "d.io/nginx\nd.io/q/a\n"),
        ("no trailing newline", "nginx\nq.io/a", "d.io/nginx\nd.io/q/a\n"),
        ("CRLF", "nginx\r\nq.io/a\r\n", "d.io/nginx\nd.io/q/a\n"),
        ("CRLF, no trailing newline", "nginx\r\nq.io/a\r", "d.io/nginx\nd.io/q/a\n"),
        ("blank lines stay", "\nnginx\n\n \t\r\nq.io/a\n\n", "\nd.io/nginx\n\n\nd.io/q/a\n\n"),
        ("byte order mark", "\u{feff}nginx\nq.io/a\n", "d.io/nginx\nd.io/q/a\n"),
        ("white space around", "  nginx\t\n", "d.io/nginx\n"),
        ("no line", "", ""),
    ] {
        let run = workspace.imageswap(&["swap", "--maps", "rules"]).input(input).run();
        assert_eq!(run.stdout, expected, "{name}");
        run.assert_success(expected);
    }
}

#[test]
fn json_output_is_one_record_a_line() {
    let workspace = Workspace::new(&[("rules", RULES)]);
    let json = ["swap", "--maps", "rules", "--output", "json"];
    workspace.imageswap(&json).input("x\r\n\n").run().assert_success(
        r#"{"image":"x","result":"d.io/x","swapped":true,"reason":"default","rule":"default","file":"rules","line":1}
{"image":"","result":"","swapped":false,"reason":"empty","rule":null,"file":null,"line":null}
"#,
    );
    // Quotes and control characters are escaped, so a record is always one line.
    let odd = "q.io/a\"\\\n\u{7}é";
    let run = workspace.imageswap(&[json.as_slice(), &[odd]].concat()).run();
    let records = run.records(&FIELDS);
    let documented: Vec<_> = IMAGE.iter().chain(&OUTCOME_FIELDS).map(|field| field.name).collect();
    assert_eq!(documented, FIELDS);
    assert_eq!(records.len(), 1);
    assert_eq!((&records[0]["image"], &records[0]["result"]), (&odd.into(), &odd.into()));
    assert_eq!(records[0]["reason"], "malformed");
}

/// Maps that give every reason.
const MAPS: [(&str, &str); 4] = [
    ("rules", RULES),
    ("invalid", "default::d.io\nq.io::https://d.io\n"),
    ("no-default", "q.io::d.io\n"),
    ("registry", "default::d.io/{registry}\n"),
];

#[test]
fn json_gives_each_reason_with_its_rule() {
    const LEGACY: &[(&str, &str)] = &[("IMAGESWAP_MODE", "LEGACY"), ("IMAGE_PREFIX", "d.io")];

    let long = "a".repeat(4097);
    let workspace = Workspace::new(&MAPS);
    // environment, map, image, result (`None`: left alone), reason, rule with its line
    let cases = [
        (&[][..], "rules", "d.io/x", None, "already-swapped", Some(("default", 1))),
        (&[], "rules", "nginx", Some("d.io/nginx"), "default", Some(("default", 1))),
        (&[], "rules", "", None, "empty", None),
        (&[], "rules", "e.io/x:1", Some("d.io/exact:2"), "exact", Some(("[EXACT]e.io/x:1", 3))),
        (LEGACY, "rules", "q.io/a/b:1", Some("d.io/b:1"), "legacy", None),
        (&[], "no-default", "q.io/a", None, "no-default", None),
        (&[], "rules", "x/local:1", None, "noswap-wildcard", Some(("noswap_wildcards", 2))),
        (&[], "rules", "q.io/a:1", Some("d.io/q/a:1"), "registry", Some(("q.io", 5))),
        (&[], "rules", "off.io/a", None, "registry", Some(("off.io", 6))),
        (
            &[],
            "rules",
            "n.io/a/cuda:12",
            Some("d.io/gpu/cuda:12"),
            "replace",
            Some(("[REPLACE]*/cuda:*", 4)),
        ),
        (&[], "rules", &long, None, "too-long", None),
        (&[], "rules", "$(params.image)", None, "malformed", None),
        (LEGACY, "rules", "{{image}}", None, "malformed", None),
        (&[], "rules", "auto", None, "placeholder", None),
        (LEGACY, "rules", "auto", None, "placeholder", None),
        (&[], "invalid", "q.io/a", None, "invalid-target", Some(("q.io", 2))),
        (&[], "registry", "[fd00::1]/a", None, "unrepresentable", Some(("default", 1))),
    ];
    for (variables, map, image, result, reason, rule) in &cases {
        let mut invocation = workspace
            .imageswap(&["swap", "--output", "json", image])
            .variable("IMAGESWAP_MAPS_FILE", map);
        for (name, value) in *variables {
            invocation = invocation.variable(name, value);
        }
        let run = invocation.run();
        assert_eq!(
            (run.code, run.stderr.is_empty()),
            (Some(0), ["rules", "registry"].contains(map)),
            "{reason}"
        );
        let expected = json!({
            "image": image,
            "result": result.unwrap_or(image),
            "swapped": result.is_some(),
            "reason": reason,
            "rule": rule.map(|(rule, _)| rule),
            "file": rule.map(|_| map),
            "line": rule.map(|(_, line)| line),
        });
        assert_eq!(run.records(&FIELDS), [expected], "{reason}");
    }
    // These reasons depend on the object or on a registry, not on the map.
    let of_admission = [Reason::Excluded, Reason::NeverPulled, Reason::TargetAbsent];
    for reason in Reason::ALL.into_iter().filter(|reason| !of_admission.contains(reason)) {
        assert!(cases.iter().any(|case| case.4 == reason.as_str()), "no case for {reason:?}");
    }
}

#[test]
fn map_errors_are_printed_as_warnings() {
    let broken = format!("default::d.io\n{}", "x;y.io\n".repeat(7));
    let six = "default::d.io\n".to_owned() + &"x;y.io\n".repeat(6);
    let workspace = Workspace::new(&[
        ("six", &*six),
        ("no-default", "[EXACT]a::d.io/a\nbroken\n"),
        ("invalid", "default::d.io\nq.io::https://d.io\n"),
        ("broken", &broken),
    ]);
    let missing = "the map has no `default`, so only [EXACT] and [REPLACE] rules apply; add \
                   `default::registry.example.com`, or `default::` to leave images alone that no other \
                   rule claims";
    let line = "there is no `::` between key and target; write the key, `::` and the target";
    let target = "`https://d.io` makes no valid image reference, so the images of this rule are left \
                  alone; a target has no scheme; write `q.io::d.io`";
    let semicolon = "there is no `::` between key and target; write `docker.io/x::y.io`";
    let several = [2, 3, 4, 5, 6].map(|line| format!("warning: broken:{line}: {semicolon}\n"));
    let several = several.concat();
    for (map, image, result, errors) in [
        (
            "no-default",
            "a",
            "d.io/a",
            format!("warning: no-default: {missing}\nwarning: no-default:2: {line}\n"),
        ),
        ("invalid", "q.io/a", "q.io/a", format!("warning: invalid:2: {target}\n")),
        (
            "broken",
            "nginx",
            "d.io/nginx",
            format!("{several}warning: broken: 2 more errors; `imageswap check` lists them all\n"),
        ),
        (
            "six",
            "nginx",
            "d.io/nginx",
            several.replace("broken:", "six:")
                + "warning: six: 1 more error; `imageswap check` lists them all\n",
        ),
    ] {
        let swap = workspace.imageswap(&["swap", "--maps", map, image]);
        swap.run().assert_exit(0, &format!("{result}\n"), &errors);
        let explain = workspace.imageswap(&["explain", "--maps", map, image]).run();
        assert_eq!((explain.code, &*explain.stderr), (Some(0), &*errors));
    }
}

#[test]
fn legacy_mode_is_set_by_the_environment() {
    let workspace = Workspace::new::<&str>(&[]);
    for (mode, prefix, image, expected) in [
        ("LEGACY", "d.io", "q.io/a/b:1", "d.io/b:1\n"),
        ("legacy", "d.io/", "nginx", "d.io/nginx\n"),
        ("LEGACY", "d.io/mirror-", "q.io/a", "d.io/mirror-q.io/a\n"),
        ("LEGACY", "d.io", "x/d.io/y", "x/d.io/y\n"),
        ("LEGACY", "", "nginx", "nginx\n"),
    ] {
        let swap = workspace.imageswap(&["swap", image]);
        swap.variable("IMAGESWAP_MODE", mode)
            .variable("IMAGE_PREFIX", prefix)
            .run()
            .assert_success(expected);
    }
}

#[test]
fn a_flag_wins_over_its_variable() {
    let maps = [("one", "default::one.io"), ("two", "default::two.io")];
    let workspace = Workspace::new(&maps);
    // The flags, and the result with `IMAGESWAP_MAPS_FILE=one`.
    for (flags, expected) in [
        (&[][..], "one.io/x\n"),
        (&["--maps", "two"], "two.io/x\n"),
        (&["--maps-file", "two"], "two.io/x\n"),
        (&["--maps-file=two"], "two.io/x\n"),
        (&["--mode", "LEGACY", "--image-prefix", "three.io"], "three.io/x\n"),
    ] {
        let swap = workspace.imageswap(&[&["swap", "x"], flags].concat());
        swap.variable("IMAGESWAP_MAPS_FILE", "one").run().assert_success(expected);
    }
    let swap = workspace.imageswap(&["swap", "--mode", "maps", "--maps", "one", "x"]);
    swap.variable("IMAGESWAP_MODE", "LEGACY").run().assert_success("one.io/x\n");
}

#[test]
fn an_unknown_mode_is_reported_with_variable_and_flag() {
    let workspace = Workspace::new(&[("rules", RULES)]);
    let expected =
        "error: IMAGESWAP_MODE (--mode): `FANCY` is not valid; expected MAPS or LEGACY\n";
    for command in ["swap", "explain"] {
        let flag = workspace.imageswap(&[command, "--maps", "rules", "--mode", "FANCY", "x"]);
        flag.run().assert_exit(2, "", expected);
        let variable = workspace.imageswap(&[command, "--maps", "rules", "x"]);
        variable.variable("IMAGESWAP_MODE", "FANCY").run().assert_exit(2, "", expected);
    }
}

#[test]
fn an_unreadable_line_is_reported_with_its_number() {
    let workspace = Workspace::new(&[("rules", RULES)]);
    let too_long = [b"nginx\n\n".as_slice(), &vec![b'a'; 1024 * 1024 + 1], b"\n"].concat();
    for (input, before, error) in [
        (
            b"nginx\nredis:\xff\nq.io/a\n".as_slice(),
            "d.io/nginx\n",
            "error: standard input, line 2: stream did not contain valid UTF-8\n",
        ),
        (&too_long, "d.io/nginx\n\n", "error: standard input, line 3: longer than 1048576 bytes\n"),
    ] {
        let swap = workspace.imageswap(&["swap", "--maps", "rules"]);
        swap.input(input).run().assert_exit(2, before, error);
    }
}
