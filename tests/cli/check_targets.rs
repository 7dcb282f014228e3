//! The hints of `imageswap check` about targets, globs and wildcards.

use imageswap::rules::{Code, Severity};

use crate::check_hints::{Case, assert_all_work, assert_works, load, mistakes, proposed_rules};

#[test]
fn invalid_targets_are_replaced_by_targets_that_work() {
    assert_all_work(&[
        Case("q.io::https://t.io/x", "q.io::t.io/x", &[("q.io/a:1", "t.io/x/a:1")]),
        Case("q.io::https//t.io/x", "q.io::t.io/x", &[]),
        Case("q.io::oci://t.io:5000", "q.io::t.io:5000", &[]),
        Case("q.io::t.io/Proj/X-", "q.io::t.io/proj/x-", &[("q.io/a:1", "t.io/proj/x-q.io/a:1")]),
        Case(
            "[EXACT]q.io/a:V1::t.io/A:V1",
            "[EXACT]q.io/a:V1::t.io/a:V1",
            &[("q.io/a:V1", "t.io/a:V1")],
        ),
        Case("q.io::t.io/x/{path}:{tag}", "q.io::t.io/x/{path}", &[("q.io/a:1", "t.io/x/a:1")]),
        Case("q.io::t.io/x/{Path}", "q.io::t.io/x/{path}", &[("q.io/a:1", "t.io/x/a:1")]),
        Case("q.io::t.io/x/${path}", "q.io::t.io/x/{path}", &[]),
        Case("q.io::t.io/x/{{ path }}", "q.io::t.io/x/{path}", &[]),
        Case(
            "q.io::t.io/{host}/{repository}",
            "q.io::t.io/{registry}/{path}",
            &[("q.io/a", "t.io/q.io/a")],
        ),
        Case("q.io::t.io/{Registry}", "q.io::t.io/{registry}", &[]),
        Case("q.io::t.io/x/<path>", "q.io::t.io/x/{path}", &[]),
        Case(
            "[REPLACE]q.io/*::t.io/x/$1",
            "[REPLACE]q.io/*::t.io/x/{path}",
            &[("q.io/a/b:1", "t.io/x/a/b:1")],
        ),
        Case("q.io::t.io/{foo}", "", &[]),
        Case("q.io::t.io/{path", "", &[]),
        Case("q.io::{registry}.t.io/{path}", "", &[]),
        Case("q.io::{registry}/{path}", "", &[]),
        Case("q.io::t.io/{path}/{path}", "q.io::t.io/{path}", &[("q.io/a", "t.io/a")]),
        Case(
            "q.io::t.io/{registry}{path}",
            "q.io::t.io/{registry}/{path}",
            &[("q.io/a", "t.io/q.io/a")],
        ),
        Case("q.io::t.io/{path}:1", "q.io::t.io/{path}", &[("q.io/a:2", "t.io/a:2")]),
        Case("q.io::t.io/{path}@sha256", "q.io::t.io/{path}", &[]),
        Case(
            "[EXACT]q.io/a/b:1::t.io/{path}",
            "[EXACT]q.io/a/b:1::t.io/a/b:1",
            &[("q.io/a/b:1", "t.io/a/b:1")],
        ),
        Case("[EXACT]q.io/a:1::t.io/{registry}/{Path}", "[EXACT]q.io/a:1::t.io/q.io/a:1", &[]),
        Case("q.io::t.io/x:1", "q.io::t.io/x", &[("q.io/a:2", "t.io/x/a:2")]),
        Case("q.io::t.io:latest", "q.io::t.io", &[]),
        Case("q.io::t.io:8443:", "q.io::t.io:8443", &[("q.io/a", "t.io:8443/a")]),
        Case("q.io::t.io:5000@", "q.io::t.io:5000", &[]),
        Case("q.io::t.io:5000:latest", "q.io::t.io:5000", &[]),
        Case("q.io::[fd00::5]:5000:latest", "q.io::[fd00::5]:5000", &[]),
        Case("q.io::t.io/x:1-", "", &[]),
        Case("q.io::t.io/x:1/y", "", &[]),
        Case("q.io::t.io/:5000", "q.io::t.io:5000", &[("q.io/a", "t.io:5000/a")]),
        Case("q.io::t.io/:5000/x", "q.io::t.io:5000/x", &[]),
        Case("q.io::t.io/$registry", "q.io::t.io/{registry}", &[("q.io/a", "t.io/q.io/a")]),
        Case("q.io::t.io:", "q.io::t.io", &[]),
        Case("q.io::t.io:/x", "q.io::t.io/x", &[]),
        Case("q.io::t.io/*", "q.io::t.io", &[("q.io/a", "t.io/a")]),
        Case("q.io::*.t.io", "", &[]),
        Case("q.io::/t.io//x", "q.io::t.io/x", &[]),
        Case("[EXACT]q.io/a::t.io/a/", "[EXACT]q.io/a::t.io/a", &[]),
        Case("q.io::'t.io/x'", "q.io::t.io/x", &[]),
        Case("q.io::t.io\u{200b}/x", "q.io::t.io/x", &[]),
        Case("q.io::t.io/x_", "", &[]),
        Case("q.io::t.io,u.io", "", &[]),
        Case("index.docker.io/x::https://t.io", "index.docker.io/x::t.io", &[("x/a", "t.io/a")]),
    ]);
}

#[test]
fn hints_about_targets_name_each_mistake() {
    for (target, parts) in [
        ("https://T.io/X:1", &["no scheme", "lower case", "no tag", "write `q.io::T.io/x`"][..]),
        ("t.io/{tag}", &["`{registry}` and `{path}`", "tag and digest are always kept", "write"]),
        ("{registry}/x", &["only after the first `/`", "write `host[:port][/path]`"]),
        ("t.io/{path}/{path}", &["each placeholder may occur only once; write"]),
        (
            "t.io/{registry}{path}",
            &["two placeholders need a text between them, such as `/`; write"],
        ),
        ("t.io/{foo}", &["tag and digest are always kept; write"]),
        ("t.io/x:", &["no tag"]),
        ("t.io/\u{e9}", &["U+00E9"]),
        ("[fd00::zz]", &["the text between the brackets is not an IPv6 address"]),
        ("t.io/x_", &["begins and ends with a letter or a digit"]),
    ] {
        let map = load(&["default::", &format!("q.io::{target}")]);
        let found = mistakes(&map);
        assert_eq!((found.len(), found[0].code), (1, Code::InvalidTarget), "{target}");
        for part in parts {
            assert!(found[0].hint.contains(part), "{part} in {}", found[0].hint);
        }
    }
}

#[test]
fn globs_that_no_image_matches_are_replaced_by_globs_that_work() {
    assert_all_work(&[
        Case(
            "[REPLACE]^docker.io/.*::t.io/x",
            "[REPLACE]docker.io/*::t.io/x",
            &[("docker.io/a/b:1", "t.io/x/b:1")],
        ),
        Case(
            "[REPLACE]docker.io/.*::t.io/{path}",
            "[REPLACE]docker.io/*::t.io/{path}",
            &[("docker.io/a/b:1", "t.io/a/b:1")],
        ),
        Case(
            "[REPLACE]^quay\\.io/a$::t.io/{path}",
            "[REPLACE]quay.io/a::t.io/{path}",
            &[("quay.io/a", "t.io/a")],
        ),
        Case("[REPLACE]^quay\\.io/a::", "[REPLACE]quay.io/a*::", &[("quay.io/a:1", "quay.io/a:1")]),
        Case(
            "[REPLACE](gcr|quay).io/*::t.io/{path}",
            "[REPLACE]gcr.io/*::t.io/{path}  [REPLACE]quay.io/*::t.io/{path}",
            &[("gcr.io/a/b", "t.io/a/b"), ("quay.io/a/b", "t.io/a/b")],
        ),
        Case("[REPLACE]{gcr,quay}.io/*::", "[REPLACE]gcr.io/*::  [REPLACE]quay.io/*::", &[]),
        Case("[REPLACE]gcr.io/*|quay.io/*::", "[REPLACE]gcr.io/*::  [REPLACE]quay.io/*::", &[]),
        Case("[REPLACE]https://quay.io/*::", "[REPLACE]quay.io/*::", &[]),
        Case("[REPLACE]^quay.io/[^/]+/x:\\d+$::", "[REPLACE]quay.io/*/x:*::", &[]),
        Case(
            "[REPLACE]quay.io/::t.io",
            "[REPLACE]quay.io/*::t.io/{path}",
            &[("quay.io/a/b:1", "t.io/a/b:1")],
        ),
        Case("[REPLACE]quay.io::t.io", "[REPLACE]quay.io/*::t.io/{path}", &[]),
        Case(
            "[REPLACE]*.gcr.io::t.io",
            "[REPLACE]*.gcr.io/*::t.io/{path}",
            &[("eu.gcr.io/a/b:1", "t.io/a/b:1")],
        ),
        Case("[REPLACE]quay.io/::", "[REPLACE]quay.io/*::", &[]),
        Case("[REPLACE]\u{e9}.io/*::t.io", "", &[]),
        Case("[REPLACE]((a|b)|c)/*::t.io", "", &[]),
    ]);
    for line in ["[REPLACE](.*)::t.io/$1", "[REPLACE]*::t.io/$1"] {
        assert_works(line, "default::t.io/{path}", &[("q.io/a/b:1", "t.io/a/b:1")], &[]);
    }
    for line in ["[REPLACE]^(.*)$::t.io/$1", "\"q.io\"::\"t.io\""] {
        let map = load(&[line]);
        assert_eq!(mistakes(&map).len(), 1, "{line}: {:?}", mistakes(&map));
        assert_eq!(mistakes(&map)[0].severity(), Severity::Error, "{line}");
    }
    let legal = [
        "[REPLACE]Quay.IO/*::t.io/{path}",
        "[REPLACE]quay.io/a+b[x::t.io/{path}",
        "[REPLACE][[]fd00*::",
        "noswap_wildcards::Internal.Corp, localhost:, @sha256:, [fd00, a+b,",
    ];
    let map = load(&[&["default::"], legal.as_slice()].concat());
    assert!(mistakes(&map).is_empty(), "{:?}", mistakes(&map));
}

/// A text of `noswap_wildcards`, the proposal for it, and an image that must be left alone.
const WILDCARDS: [(&str, &str, &str); 9] = [
    ("*.corp.example.com", ".corp.example.com", "edge.corp.example.com/a:1"),
    ("corp.io/*", "corp.io/", "corp.io/a:1"),
    ("*corp*", "corp", "x.corp.io/a"),
    ("^corp.io", "corp.io", "corp.io/a:1"),
    ("^corp\\.io/.*$", "corp.io/", "corp.io/a:1"),
    ("*.corp.*", ".corp.", "x.corp.io/a"),
    ("(gcr|quay).io/", "gcr.io/,quay.io/", "quay.io/a"),
    ("https://corp.io", "corp.io", "corp.io/a"),
    (":1.2.*", ":1.2.", "x/y:1.2.3"),
];

#[test]
fn wildcards_that_no_image_contains_are_replaced_by_texts_that_work() {
    for (text, proposal, image) in WILDCARDS {
        let map = load(&["default::t.io/m", &format!("noswap_wildcards::a.b,{text},c.d")]);
        let found = mistakes(&map);
        assert_eq!((found.len(), found[0].code), (1, Code::NeverMatches), "{text}");
        let hint = &found[0].hint;
        assert!(hint.ends_with(&format!("; write `{proposal}`")), "{text}: {hint}");
        let map = load(&["default::t.io/m", &format!("noswap_wildcards::a.b,{proposal},c.d")]);
        assert!(mistakes(&map).is_empty(), "{text}");
        assert_eq!(map.rules.decide(image).result(image), image, "{text}");
    }
    for (text, part) in [
        ("quay.io ghcr.io", "write `quay.io,ghcr.io`, with a comma"),
        ("*", "remove it; to leave all other images alone, write `default::`"),
        ("a.*.corp", "write `[REPLACE]*a.*.corp*::` in a line of its own"),
        ("{registry}", "placeholders stand only in targets"),
        ("\u{e9}", "these texts have no wildcards; write a part of the image"),
    ] {
        let map = load(&["default::t.io/m", &format!("noswap_wildcards::{text}")]);
        let hint = &mistakes(&map)[0].hint;
        assert!(hint.contains(part), "{text}: {hint}");
    }
    let map = load(&["default::t.io/m", "[REPLACE]*a.*.corp*::"]);
    assert_eq!(map.rules.decide("x.a.b.corp/c").result("x.a.b.corp/c"), "x.a.b.corp/c");
}

#[test]
fn registries_that_differ_only_in_the_port_need_different_targets() {
    let lines = ["default::", "q.io:80::t.io/m-", "q.io::t.io/m-", "q.io:81/x::t.io/m-"];
    let map = load(&lines);
    let found = mistakes(&map);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].code, found[0].line), (Code::PortDropped, Some(3)));
    assert_eq!(found[0].related.as_ref().map(|related| related.line), Some(2));
    let rules = proposed_rules(&found[0].hint);
    assert_eq!(rules, ["q.io::t.io/m-{registry}"]);
    let map = load(&[&lines[..2], &rules].concat());
    assert!(mistakes(&map).is_empty());
    for (image, result) in [("q.io/a", "t.io/m-q.io/a"), ("q.io:82/a", "t.io/m-q.io-82/a")] {
        assert_eq!(map.rules.decide(image).result(image), result);
    }
    for lines in [
        ["q.io:80::t.io/m-", "q.io:81::t.io/n-"],
        ["q.io:80::t.io/m/{registry}", "q.io:81::t.io/m/{registry}"],
        ["q.io:80::t.io/m", "q.io:81::t.io/m"],
        ["q.io:80/x::t.io/m-", "q.io:81/y::t.io/m-"],
        ["q.io:80::t.io/m-", "r.io:80::t.io/m-"],
    ] {
        let map = load(&[&["default::"], lines.as_slice()].concat());
        assert!(mistakes(&map).is_empty(), "{lines:?}");
    }
}

#[test]
fn a_mirror_of_docker_hub_without_library_is_remarked_on() {
    let images = ["nginx", "docker.io/nginx:1", "library/nginx", "bitnami/redis:7"];
    for (line, library, with_path, new) in [
        (
            "docker.io::t.io/hub",
            "docker.io/library::t.io/hub/library",
            "docker.io::t.io/hub/{path}",
            "t.io/hub/",
        ),
        (
            "index.docker.io::t.io",
            "docker.io/library::t.io/library",
            "docker.io::t.io/{path}",
            "t.io/",
        ),
        (
            "docker.io::t.io/m-",
            "docker.io/library::t.io/m-docker.io/library",
            "docker.io::t.io/m-docker.io/{path}",
            "t.io/m-docker.io/",
        ),
    ] {
        let map = load(&["default::", line]);
        let [note] = map.diagnostics.kept() else { panic!("{line}: {:?}", map.diagnostics) };
        assert_eq!((note.code, note.severity()), (Code::LibraryDropped, Severity::Note));
        assert_eq!((map.diagnostics.count(Severity::Note), note.line), (1, Some(2)));
        let rules = proposed_rules(&note.hint);
        assert_eq!(rules, [library, with_path], "{line}");
        for lines in [&["default::", line, library][..], &["default::", with_path]] {
            let map = load(lines);
            assert!(map.diagnostics.kept().is_empty(), "{lines:?}: {:?}", map.diagnostics);
            for image in images {
                let path = image.trim_start_matches("docker.io/");
                let organization = if path.contains('/') { "" } else { "library/" };
                let expected = format!("{new}{organization}{path}");
                assert_eq!(map.rules.decide(image).result(image), expected, "{lines:?}");
            }
        }
    }
    for lines in [
        &["docker.io::"][..],
        &["docker.io::docker.io"],
        &["docker.io::index.docker.io"],
        &["docker.io::t.io/{path}"],
        &["docker.io::t.io/library"],
        &["docker.io::t.io", "docker.io/library::"],
        &["docker.io/bitnami::t.io"],
        &["default::t.io/hub"],
    ] {
        let map = load(&[&["default::"], lines].concat());
        assert_eq!(map.diagnostics.count(Severity::Note), 0, "{lines:?}");
    }
}

#[test]
fn no_proposal_has_a_mistake_of_its_own() {
    let keys = [
        "q.io",
        "Q.io:80/x",
        "*.q.io",
        "*",
        "*q.io",
        "a.*.io",
        "q.io/x*",
        "q.io/*",
        "q.io/*/x",
        "*:80",
        "x",
        "x/y",
        "x*",
        "x/*",
        "docker.io/*",
        "docker.io/x*",
        "docker.io/library/x*",
        "https://q.io/x",
        "q.io/x:1",
        "x:1.2",
        "q.io/X",
        "q.io//x",
        "[exact]q.io/x:1",
        "[replace]q.io/*",
        "[EXACT]q.io/x:1",
        "[EXACT]q.io/*",
        "[EXACT]q.io/X",
        "[REPLACE]q.io/*",
        "[REPLACE]^q.io/.*",
        "[REPLACE](q|r).io/*",
        "[fd00::1]/x",
        "fd00::1",
        "Default",
        "noswap-wildcards",
        "default",
        "MYREG",
        "é.io",
        "q.io?",
        "q.io/x?",
        ".q.io",
        "*.*.q.io",
        "**",
        "*.x/y*:1",
    ];
    let targets = [
        "",
        "t.io",
        "t.io:80/x",
        "t.io/m-",
        "m-",
        "t.io/{registry}",
        "t.io/x-{path}",
        "https://t.io/X",
        "t.io/x:1",
        "t.io/{tag}",
        "{registry}/x",
        "t.io/{path}:1",
        "t.io/{path}{registry}",
        "t.io/*",
        "a,b",
        "fd00::2",
        "$1",
        "t.io/x_",
        "é",
        "t.io:",
        "x:80:y",
        "-",
    ];
    let separators = ["::", ":", "=", " -> ", ":::", ";", " "];
    for key in keys {
        for target in targets {
            for separator in separators {
                let line = format!("{key}{separator}{target}");
                let map = load(&[&line]);
                for found in mistakes(&map).into_iter().filter(|found| found.code != Code::Chain) {
                    let rules = proposed_rules(&found.hint);
                    let after = load(&rules);
                    let left = mistakes(&after);
                    let left: Vec<_> =
                        left.iter().filter(|left| left.code != Code::Chain).collect();
                    assert!(left.is_empty(), "{line}: {rules:?}: {left:?}");
                }
            }
        }
    }
}

#[test]
fn a_target_without_a_registry_is_reported() {
    for (rule, to) in [
        ("default::harbor", "harbor"),
        ("default::mirror/quay", "mirror/quay"),
        ("default::mirror/quay-", "mirror/quay-"),
        ("quay.io::quay-mirror", "quay-mirror"),
        ("quay.io::mirror/{path}", "mirror/{path}"),
        ("[REPLACE]*/app:*::mirror/", "mirror/"),
    ] {
        let map = load(&[rule]);
        let found: Vec<_> =
            mistakes(&map).into_iter().filter(|found| found.code == Code::NoRegistry).collect();
        let [found] = &found[..] else { panic!("{rule}: {found:?}") };
        assert_eq!((found.code, found.code.severity()), (Code::NoRegistry, Severity::Warning));
        let hint = format!("or write `docker.io/{to}` if this is meant");
        assert!(found.hint.ends_with(&hint), "{}", found.hint);
        let written_out = rule.replace(to, &format!("docker.io/{to}"));
        let map = load(&[&written_out]);
        assert!(mistakes(&map).iter().all(|found| found.code != Code::NoRegistry), "{rule}");
    }
    for rule in [
        "default::mirror-",
        "default::localhost",
        "default::localhost/a",
        "default::registry:5000",
        "default::Registry/a",
        "default::[fd00::1]:5000",
        "default::d.io/{registry}",
        "[EXACT]quay.io/a:1::nginx:1",
    ] {
        let map = load(&[rule]);
        assert!(mistakes(&map).iter().all(|found| found.code != Code::NoRegistry), "{rule}");
    }
}

#[test]
fn a_port_without_a_target_is_told_from_a_target() {
    for (rule, hint) in [
        ("quay.io:5000", "write `quay.io:5000::` to leave these images alone, or a target"),
        ("quay.io:a.io", "write `quay.io::a.io`"),
    ] {
        let map = load(&["default::", rule]);
        let found = mistakes(&map);
        assert!(found.len() == 1 && found[0].hint.starts_with(hint), "{found:?}");
    }
}
