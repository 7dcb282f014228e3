//! The rules that the hints of `imageswap check` propose.
//!
//! Each case is a line with a mistake. The proposed rules replace it, and images must then be rewritten as the author
//! of the line meant.

use imageswap::rules::{Diagnostic, LoadedMap, Severity};

/// A mistaken line, the proposal, and the images with the results that its author meant.
pub(crate) struct Case(
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static [(&'static str, &'static str)],
);

/// A digest, which is part of an image.
const IMAGE_BY_DIGEST: &str =
    "quay.io/a@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7";

/// Returns the texts in backquotes in a hint that are whole rules.
pub(crate) fn proposed_rules(hint: &str) -> Vec<&str> {
    let quoted = hint.split('`').skip(1).step_by(2);
    quoted.filter(|text| text.contains("::") && !text.starts_with("::")).collect()
}

pub(crate) fn load(lines: &[&str]) -> LoadedMap {
    LoadedMap::from_text(&lines.join("\n")).unwrap()
}

/// Returns the errors and warnings of a map, other than those about the whole file.
pub(crate) fn mistakes(map: &LoadedMap) -> Vec<&Diagnostic> {
    let kept = map.diagnostics.kept().iter();
    kept.filter(|found| found.line.is_some() && found.severity() > Severity::Note).collect()
}

/// Checks that the hint about the last line proposes `expected`, and that it works.
pub(crate) fn assert_works(line: &str, expected: &str, images: &[(&str, &str)], others: &[&str]) {
    let before = load(&[others, &[line]].concat());
    let found = mistakes(&before);
    assert!(!found.is_empty(), "{line}: no mistake");
    let last = found.last().unwrap();
    let rules = proposed_rules(&last.hint);
    assert_eq!(rules.join("  "), expected, "{line}: {}", last.hint);
    let after = load(&[others, &rules].concat());
    let left = mistakes(&after);
    assert!(left.is_empty(), "{line}: {rules:?}: {left:?}");
    for (image, result) in images {
        assert_eq!(after.rules.decide(image).result(image), *result, "{line}: {rules:?}");
    }
    // A [REPLACE] rule without `{path}` drops a part of the image, which has to be said.
    let drops = rules
        .iter()
        .any(|rule| rule.starts_with("[REPLACE]") && !rule.ends_with("::") && !rule.contains('{'));
    assert!(!drops || last.hint.contains("only the last path segment"), "{}", last.hint);
}

pub(crate) fn assert_all_work(cases: &[Case]) {
    for Case(line, expected, images) in cases {
        assert_works(line, expected, images, &["default::"]);
    }
}

#[test]
fn stars_in_keys_are_replaced_by_rules_that_keep_the_path() {
    assert_works(
        "*::t.io",
        "default::t.io",
        &[("nginx", "t.io/nginx"), ("quay.io/a/b:1", "t.io/a/b:1")],
        &[],
    );
    assert_works("*/*::t.io", "default::t.io", &[("quay.io/a", "t.io/a")], &[]);
    assert_all_work(&[
        Case(
            "docker.io/*::t.io",
            "docker.io::t.io",
            &[("nginx", "t.io/nginx"), ("docker.io/bitnami/redis:7", "t.io/bitnami/redis:7")],
        ),
        Case("Docker.io/**::", "docker.io::", &[("nginx", "nginx")]),
        Case("quay.io/org/*::t.io", "quay.io/org::t.io", &[("quay.io/org/x:1", "t.io/x:1")]),
        Case(
            "quay.io/a/b:*::t.io/a/b",
            "quay.io/a/b::t.io/a/b",
            &[("quay.io/a/b:1", "t.io/a/b:1")],
        ),
        Case(
            "quay.io/a/b@sha256:*::t.io/a/b",
            "quay.io/a/b::t.io/a/b",
            &[("quay.io/a/b:1", "t.io/a/b:1")],
        ),
        Case("nginx:*::t.io/nginx", "docker.io/library/nginx::t.io/nginx", &[]),
        Case("quay.io/a/b:1.*::t.io/a/b", "", &[]),
        Case("quay.io/*/*::t.io", "quay.io::t.io", &[("quay.io/a/b/c", "t.io/a/b/c")]),
        Case("quay.io*::t.io", "quay.io::t.io", &[("quay.io/a", "t.io/a")]),
        Case("quay.io:*::t.io/q", "quay.io::t.io/q", &[("quay.io:80/a", "t.io/q/a")]),
        Case("org/*::t.io", "docker.io/org::t.io", &[("org/x:1", "t.io/x:1")]),
        Case("*.gcr.io/*::t.io", "*.gcr.io::t.io", &[("eu.gcr.io/a/b", "t.io/a/b")]),
        Case("*.*.gcr.io::t.io", "*.gcr.io::t.io", &[("x.eu.gcr.io/a/b", "t.io/a/b")]),
        Case(
            "*gcr.io::t.io/{registry}",
            "*.gcr.io::t.io/{registry}  gcr.io::t.io/{registry}",
            &[
                ("eu.gcr.io/p/app:1", "t.io/eu.gcr.io/p/app:1"),
                ("gcr.io/p/app:1", "t.io/gcr.io/p/app:1"),
            ],
        ),
        Case("*io::t.io/{registry}", "*.io::t.io/{registry}", &[("q.io/a", "t.io/q.io/a")]),
        Case(
            "a.*.io::t.io/x",
            "[REPLACE]a.*.io/*::t.io/x/{path}",
            &[("a.b.io/c/d:1", "t.io/x/c/d:1")],
        ),
        Case("*:5000::t.io", "[REPLACE]*:5000/*::t.io/{path}", &[("h:5000/a/b", "t.io/a/b")]),
        Case(
            "*-docker.pkg.dev::t.io",
            "[REPLACE]*-docker.pkg.dev/*::t.io/{path}",
            &[("europe-docker.pkg.dev/a/b:1", "t.io/a/b:1")],
        ),
        Case(
            "quay.io/org*::t.io",
            "[REPLACE]quay.io/org*::t.io/{path}",
            &[("quay.io/org1/x:1", "t.io/org1/x:1"), ("quay.io/other/x", "quay.io/other/x")],
        ),
        Case(
            "quay.io/*/x::t.io/q/",
            "[REPLACE]quay.io/*/x::t.io/q/{path}  [REPLACE]quay.io/*/x[/:@]*::t.io/q/{path}",
            &[
                ("quay.io/a/x", "t.io/q/a/x"),
                ("quay.io/a/x:1", "t.io/q/a/x:1"),
                ("quay.io/a/x/y:1", "t.io/q/a/x/y:1"),
                ("quay.io/a/xy:1", "quay.io/a/xy:1"),
            ],
        ),
        Case(
            "quay.io/org*/x:1::t.io",
            "[REPLACE]quay.io/org*/x:1::t.io/{path}",
            &[("quay.io/org1/x:1", "t.io/org1/x:1"), ("quay.io/org1/x:10", "quay.io/org1/x:10")],
        ),
        Case(
            "docker.io/org/x*::t.io",
            "[REPLACE]org/x*::t.io/{path}  [REPLACE]docker.io/org/x*::t.io/{path}",
            &[("org/xy:1", "t.io/org/xy:1"), ("docker.io/org/xy", "t.io/org/xy")],
        ),
        Case("quay.io/org*::", "[REPLACE]quay.io/org*::", &[("quay.io/org1/x", "quay.io/org1/x")]),
        Case(
            "quay.io/org*::t.io/m-",
            "[REPLACE]quay.io/org*::t.io/m-{registry}/{path}",
            &[("quay.io/org1/x:1", "t.io/m-quay.io/org1/x:1")],
        ),
        Case(
            "quay.io/org*::t.io/{registry}",
            "[REPLACE]quay.io/org*::t.io/{registry}",
            &[("quay.io/org1/x:1", "t.io/quay.io/org1/x:1")],
        ),
        Case(
            "quay.io/org*::https://t.io",
            "[REPLACE]quay.io/org*::t.io/{path}",
            &[("quay.io/org1/x:1", "t.io/org1/x:1")],
        ),
        Case(
            "quay.io/org?::t.io",
            "[REPLACE]quay.io/org?::t.io/{path}  [REPLACE]quay.io/org?[/:@]*::t.io/{path}",
            &[("quay.io/org1/x:1", "t.io/org1/x:1")],
        ),
        // These cannot be written as one rule.
        Case("docker.io/ng*::t.io", "", &[]),
        Case("nginx*::t.io", "", &[]),
        Case("quay.io/org*::mirror-", "", &[]),
        Case("[fd00::*]:5000::t.io", "", &[]),
    ]);
}

#[test]
fn other_mistakes_in_keys_are_replaced_by_rules_that_work() {
    assert_works("Default::t.io", "default::t.io", &[("a", "t.io/a")], &[]);
    assert_works("deafult::t.io", "default::t.io", &[("a", "t.io/a")], &[]);
    assert_works("DEFAULT::t.io", "default::t.io", &[("a", "t.io/a")], &[]);
    assert_all_work(&[
        Case("noswap_wildcard::a,b", "noswap_wildcards::a,b", &[("a.io/x", "a.io/x")]),
        Case("noswap::q.io,b", "noswap_wildcards::q.io,b", &[("q.io/x", "q.io/x")]),
        Case("Exclude::q.io", "noswap_wildcards::q.io", &[("q.io/x", "q.io/x")]),
        Case("Default::t.io", "", &[]),
        Case("https://quay.io::t.io", "quay.io::t.io", &[("quay.io/a", "t.io/a")]),
        Case("https//quay.io/x::t.io", "quay.io/x::t.io", &[("quay.io/x/a", "t.io/a")]),
        Case("https:/quay.io::t.io", "quay.io::t.io", &[("quay.io/a", "t.io/a")]),
        Case(
            "https://index.docker.io/v1/::t.io/{path}",
            "docker.io::t.io/{path}",
            &[("nginx", "t.io/library/nginx")],
        ),
        Case("https://quay.io/v2/::t.io", "quay.io::t.io", &[]),
        Case("docker://quay.io:443/x::t.io/a", "quay.io:443/x::t.io/a", &[]),
        Case("\"quay.io\"::\"t.io\"", "quay.io::t.io", &[("quay.io/a", "t.io/a")]),
        Case("quay.io/ACME::t.io", "quay.io/acme::t.io", &[("quay.io/acme/a", "t.io/a")]),
        Case("quay.io//a::t.io", "quay.io/a::t.io", &[("quay.io/a/b", "t.io/b")]),
        Case(".gcr.io::t.io", "*.gcr.io::t.io", &[("eu.gcr.io/b", "t.io/b")]),
        Case(
            "nginx::t.io/nginx",
            "docker.io/library/nginx::t.io/nginx",
            &[("nginx:1", "t.io/nginx:1")],
        ),
        Case("nginx::", "docker.io/library/nginx::", &[("nginx:1", "nginx:1")]),
        Case("team::t.io/hub", "docker.io/team::t.io/hub", &[("team/a:1", "t.io/hub/a:1")]),
        Case("team/a::t.io/a", "docker.io/team/a::t.io/a", &[("team/a:1", "t.io/a:1")]),
        Case(
            "fd00:1:2:3:4:5:6:7::t.io",
            "[fd00:1:2:3:4:5:6:7]::t.io",
            &[("[fd00:1:2:3:4:5:6:7]/a", "t.io/a")],
        ),
        Case("quay.io/a:1::t.io", "[EXACT]quay.io/a:1::t.io/a:1", &[("quay.io/a:1", "t.io/a:1")]),
        Case(
            "quay.io/a:1::https://t.io/x",
            "[EXACT]quay.io/a:1::t.io/x:1",
            &[("quay.io/a:1", "t.io/x:1")],
        ),
        Case("quay.io/a:1::t.io/x:2", "[EXACT]quay.io/a:1::t.io/x:2", &[]),
        Case(
            "quay.io/a:1::t.io/m-",
            "[EXACT]quay.io/a:1::t.io/m-quay.io/a:1",
            &[("quay.io/a:1", "t.io/m-quay.io/a:1")],
        ),
        Case(
            "quay.io/a:1::t.io/{registry}",
            "[EXACT]quay.io/a:1::t.io/quay.io/a:1",
            &[("quay.io/a:1", "t.io/quay.io/a:1")],
        ),
        Case("quay.io/a:1::", "[EXACT]quay.io/a:1::", &[("quay.io/a:1", "quay.io/a:1")]),
        Case(
            "docker.io/library/nginx:1::t.io",
            "[EXACT]nginx:1::t.io/library/nginx:1  [EXACT]docker.io/nginx:1::t.io/library/nginx:1",
            &[("nginx:1", "t.io/library/nginx:1")],
        ),
        Case(
            "nginx:1.27::t.io/n",
            "[EXACT]nginx:1.27::t.io/n:1.27  [EXACT]docker.io/nginx:1.27::t.io/n:1.27",
            &[("nginx:1.27", "t.io/n:1.27")],
        ),
        Case("[exact]a.io/X:1::b.io/x:1", "", &[]),
        Case(
            "[exact]a.io/x:V1::b.io/x:1",
            "[EXACT]a.io/x:V1::b.io/x:1",
            &[("a.io/x:V1", "b.io/x:1")],
        ),
        Case("[Replace]a.io/*::", "[REPLACE]a.io/*::", &[("a.io/x:V1", "a.io/x:V1")]),
        Case(
            "[EXACT]a.io/*::b.io/x",
            "[REPLACE]a.io/*::b.io/x/{path}",
            &[("a.io/c/d:1", "b.io/x/c/d:1")],
        ),
        Case("[EXACT]a.io/x:*::b.io/x:1", "", &[]),
        Case("[EXACT]nginx*::t.io/nginx", "", &[]),
        Case(
            "[EXACT]nginx:*::t.io/nginx",
            "docker.io/library/nginx::t.io/nginx",
            &[("nginx:1", "t.io/nginx:1"), ("docker.io/nginx:1", "t.io/nginx:1")],
        ),
        Case("[EXACT]a.io/b/x:*::t.io/x", "a.io/b/x::t.io/x", &[("a.io/b/x:1", "t.io/x:1")]),
        Case("[EXACT]a.io/x:*::", "[REPLACE]a.io/x:*::", &[("a.io/x:1", "a.io/x:1")]),
        Case(
            "[EXACT]https://a.io/x:V1::b.io/x",
            "[EXACT]a.io/x:V1::b.io/x",
            &[("a.io/x:V1", "b.io/x")],
        ),
    ]);
    assert_works("::t.io", "default::t.io", &[("a", "t.io/a")], &[]);
    let digest = format!("{IMAGE_BY_DIGEST}::t.io/a");
    let new = IMAGE_BY_DIGEST.replace("quay.io", "t.io");
    let rule = format!("[EXACT]{IMAGE_BY_DIGEST}::{new}");
    assert_works(&digest, &rule, &[(IMAGE_BY_DIGEST, &*new)], &["default::"]);
}

#[test]
fn lines_without_a_clear_separator_are_replaced_by_rules_that_work() {
    assert_works("default=t.io", "default::t.io", &[("a", "t.io/a")], &[]);
    assert_all_work(&[
        Case("quay.io;t.io/q", "quay.io::t.io/q", &[("quay.io/a", "t.io/q/a")]),
        Case("quay.io = t.io", "quay.io::t.io", &[]),
        Case("quay.io -> t.io", "quay.io::t.io", &[("quay.io/a", "t.io/a")]),
        Case("quay.io=>t.io", "quay.io::t.io", &[]),
        Case("quay.io := t.io", "quay.io::t.io", &[]),
        Case("quay.io, t.io", "quay.io::t.io", &[]),
        Case("quay.io|t.io", "quay.io::t.io", &[]),
        Case("quay.io  t.io/q", "quay.io::t.io/q", &[("quay.io/a", "t.io/q/a")]),
        Case("noswap_wildcards = a, b", "noswap_wildcards::a,b", &[]),
        Case("team = t.io/hub", "docker.io/team::t.io/hub", &[("team/a", "t.io/hub/a")]),
        Case("quay.io // comment", "quay.io::", &[("quay.io/a", "quay.io/a")]),
        Case("quay.io", "quay.io::", &[("quay.io/a", "quay.io/a")]),
        Case("broken", "", &[]),
        Case("quay.io:t.io", "quay.io::t.io", &[]),
        Case("team:t.io/hub", "docker.io/team::t.io/hub", &[]),
        Case("quay.io:::t.io", "quay.io::t.io", &[]),
        Case("quay.io::::t.io", "quay.io::t.io", &[]),
        Case("quay.io:8443:t.io", "quay.io:8443::t.io", &[("quay.io:8443/a", "t.io/a")]),
        Case("quay.io:t.io:5000/q", "quay.io::t.io:5000/q", &[("quay.io/a", "t.io:5000/q/a")]),
        Case("quay.io::t.io::5000/q", "quay.io::t.io:5000/q", &[("quay.io/a", "t.io:5000/q/a")]),
        Case("quay.io:https://t.io", "quay.io::t.io", &[("quay.io/a", "t.io/a")]),
        Case("https://quay.io:t.io", "quay.io::t.io", &[("quay.io/a", "t.io/a")]),
        Case("quay.io::fd00::5", "quay.io::[fd00::5]", &[("quay.io/a", "[fd00::5]/a")]),
        Case("quay.io::fd00::5/x", "quay.io::[fd00::5]/x", &[("quay.io/a", "[fd00::5]/x/a")]),
        Case("fd00::5::t.io/q", "[fd00::5]::t.io/q", &[("[fd00::5]/a", "t.io/q/a")]),
        Case("a.io::b.io::c.io", "", &[]),
        Case("q.io::fd00::5:5000/m", "q.io::[fd00::5]:5000/m", &[("q.io/a", "[fd00::5]:5000/m/a")]),
        Case("fd00::5:5000::t.io", "[fd00::5]:5000::t.io", &[("[fd00::5]:5000/a", "t.io/a")]),
        Case("fd00:1:2:3:4:5:6:7:80::t.io", "[fd00:1:2:3:4:5:6:7]:80::t.io", &[]),
        Case("q.io::fd00::5:1", "q.io::[fd00::5:1]", &[]),
        Case("[REPLACE]*@sha256:*", "[REPLACE]*@sha256:*::", &[(IMAGE_BY_DIGEST, IMAGE_BY_DIGEST)]),
        Case("[EXACT]q.io/a:1", "[EXACT]q.io/a:1::", &[("q.io/a:1", "q.io/a:1")]),
        Case("!quay.io::", "quay.io::", &[("quay.io/a", "quay.io/a")]),
        Case("!quay.io", "quay.io::", &[]),
        Case("- quay.io::t.io", "quay.io::t.io", &[("quay.io/a", "t.io/a")]),
        Case("- *.gcr.io::t.io", "*.gcr.io::t.io", &[("eu.gcr.io/a", "t.io/a")]),
        Case("- quay.io: t.io", "quay.io::t.io", &[]),
    ]);
}

#[test]
fn several_keys_in_one_line_become_several_rules() {
    assert_all_work(&[
        Case(
            "quay.io,ghcr.io::t.io",
            "quay.io::t.io  ghcr.io::t.io",
            &[("quay.io/a", "t.io/a"), ("ghcr.io/a", "t.io/a")],
        ),
        Case("quay.io; ghcr.io::t.io/q", "quay.io::t.io/q  ghcr.io::t.io/q", &[]),
        Case("quay.io|ghcr.io::t.io:5000", "quay.io::t.io:5000  ghcr.io::t.io:5000", &[]),
        Case("*.gcr.io,gcr.io::t.io", "*.gcr.io::t.io  gcr.io::t.io", &[("a.gcr.io/a", "t.io/a")]),
        Case("gcr.io, *.gcr.io::t.io", "gcr.io::t.io  *.gcr.io::t.io", &[]),
        Case("quay.io/a,quay.io/b::t.io", "quay.io/a::t.io  quay.io/b::t.io", &[]),
        Case("quay.io,ghcr.io::", "quay.io::  ghcr.io::", &[("ghcr.io/a", "ghcr.io/a")]),
        Case("quay.io;t.io::5000/q", "quay.io::t.io:5000/q", &[("quay.io/a", "t.io:5000/q/a")]),
        Case("quay.io ghcr.io::t.io", "quay.io::t.io  ghcr.io::t.io", &[("ghcr.io/a", "t.io/a")]),
        Case("quay.io=ghcr.io::t.io", "", &[]),
    ]);
}

#[test]
fn hints_describe_the_form_where_no_rule_can_be_proposed() {
    for (line, hint) in [
        ("é.io::t.io", "write `host[:port][/path]`, without a scheme, the path in lower case"),
        ("Default::t.io", "`default` is already in line 1; change that line, and remove this one"),
        ("*gcr.io::é", "write a rule for each registry or repository, as `host[:port][/path]`"),
        (
            "docker.io/ng*::t.io",
            "write a rule for each registry or repository, as `host[:port][/path]`",
        ),
        (
            "[EXACT]a.io/x:*::b.io/x:1",
            "[EXACT] does not support wildcards; write a rule for each image",
        ),
        ("[EXACT]::b.io", "write the image or the glob between the bracket and the `::`"),
        ("[PullSecret]h.io::a", "write `[PULLSECRET]` in capitals, and the prefix after it"),
        ("[exact]::b.io", "write `[EXACT]` in capitals, and the image after it"),
        (
            "[SKIP]q.io::",
            "write `[EXACT]`, `[PULLSECRET]` or `[REPLACE]`, or the registry alone; an empty target leaves its images alone",
        ),
        (
            "[EXACT]nginx*::t.io/nginx",
            "[EXACT] does not support wildcards; write a rule for each image",
        ),
        (
            "[fd00::zz]:80::t.io",
            "the text between the brackets is not an IPv6 address; write `[address]` or `[address]:port`",
        ),
        (
            "[fd00::5:80::t.io",
            "the bracket of an IPv6 address is not closed; write `[address]` or `[address]:port`",
        ),
        ("quay.io/my team::t.io", "write one key without white space"),
        (
            "default::{registry}.t.io",
            "a placeholder may stand only after the first `/`; write one rule for each registry",
        ),
        (
            "default::$registry.t.io",
            "the only placeholders are `{registry}` and `{path}`, and tag and digest are always kept; write one rule for each registry",
        ),
        ("::", "write the registry that the rule is for before the `::`"),
        (":", "write the registry that the rule is for before the `::`"),
        ("// comment", "a comment starts with `#`"),
        ("quay.io:: t.io // comment", "a comment starts with `#`; write `quay.io::t.io`"),
        ("quay.io:: t.io//a", "one `/` stands between two segments; write `quay.io::t.io/a`"),
        (
            "nginx::t.io/nginx",
            "write `docker.io/library/nginx::t.io/nginx` for the official image, as `docker.io/nginx` is the organization, or add the port of the registry",
        ),
        ("no separator", "write the key, `::` and the target"),
        (
            "a.io::b.io::c.io",
            "write one `::` between key and target; a port follows after a single `:`",
        ),
    ] {
        let map = load(&["default::", line]);
        let found = mistakes(&map);
        assert_eq!(found.last().map(|found| &*found.hint), Some(hint), "{line}");
    }
}

#[test]
fn a_line_that_looks_like_the_default_is_named_in_place_of_a_new_one() {
    for line in [
        "default=h.io",
        "default h.io",
        "Default::h.io",
        "default:https://h.io",
        "default => h.io",
        " *::h.io",
        "* : h.io",
    ] {
        for lines in [&["q.io::h.io/q", line][..], &["# ours", line]] {
            let map = load(lines);
            let missing = map.diagnostics.kept().iter().find(|found| found.line.is_none());
            let hint = &missing.unwrap_or_else(|| panic!("{line}")).hint;
            assert_eq!(hint, "correct line 2, which looks like the `default`", "{line}");
        }
    }
    for line in
        ["default.io::h.io", "default/x::h.io", "defaults_x::h.io", "*.io::h.io", "# default::h.io"]
    {
        let map = load(&[line]);
        let hint = &map.diagnostics.kept()[0].hint;
        assert!(hint.starts_with("add `default::registry.example.com`"), "{line}: {hint}");
    }
}
