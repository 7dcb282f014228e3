//! Every notation of an image in YAML and JSON.

use std::fmt::Write;

use super::{problems, rewrite};

/// A pod whose container has this text behind `- name: a`.
fn pod(container: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n  - name: a\n{container}"
    )
}

#[test]
fn only_the_characters_of_the_image_change() {
    for (name, before, after) in [
        ("plain", "    image: nginx:1\n", "    image: d.io/nginx:1\n"),
        (
            "spaces and a comment",
            "    image:   nginx:1   # n\n",
            "    image:   d.io/nginx:1   # n\n",
        ),
        ("single quotes", "    image: 'nginx:1'\n", "    image: 'd.io/nginx:1'\n"),
        ("double quotes", "    image: \"nginx:1\"\n", "    image: \"d.io/nginx:1\"\n"),
        ("escapes", "    image: \"ng\\x69nx\"\n", "    image: \"d.io/nginx\"\n"),
        ("quoted key", "    \"image\": nginx\n", "    \"image\": d.io/nginx\n"),
        ("next line", "    image:\n      nginx\n", "    image:\n      d.io/nginx\n"),
        ("literal", "    image: |-\n      nginx\n", "    image: |-\n      d.io/nginx\n"),
        ("folded", "    image: >-\n\n      x\n", "    image: >-\n\n      x\n"),
        ("folded alone", "    image: >-\n      nginx\n", "    image: >-\n      d.io/nginx\n"),
        (
            "indentation indicator",
            "    image: |2-\n      nginx\n",
            "    image: |2-\n      d.io/nginx\n",
        ),
        ("line break in the block", "    image: |\n      nginx\n", "    image: |\n      nginx\n"),
        ("tag", "    image: !!str nginx\n", "    image: !!str d.io/nginx\n"),
        ("tag of an application", "    image: !x nginx\n", "    image: !x d.io/nginx\n"),
        ("tag of a type", "    image: !!binary bmdpbng=\n", "    image: !!binary bmdpbng=\n"),
        ("anchor", "    image: &i nginx\n", "    image: &i d.io/nginx\n"),
        ("number", "    image: 12\n", "    image: 12\n"),
        ("null", "    image:\n", "    image:\n"),
        ("empty", "    image: ''\n", "    image: ''\n"),
        ("template", "    image: '{{ .Values.image }}'\n", "    image: '{{ .Values.image }}'\n"),
        ("variable", "    image: $(params.image)\n", "    image: $(params.image)\n"),
        ("no end of line", "    image: nginx", "    image: d.io/nginx"),
        ("literal without an end", "    image: |\n      nginx", "    image: |\n      d.io/nginx"),
        ("explicit key", "    ? image\n    : nginx\n", "    ? image\n    : d.io/nginx\n"),
        ("tabs before a comment", "    image: nginx\t# n\n", "    image: d.io/nginx\t# n\n"),
        ("twice", "    image: a\n    image: b\n", "    image: a\n    image: d.io/b\n"),
    ] {
        assert_eq!(rewrite(&pod(before)).text, pod(after), "{name}");
    }
}

#[test]
fn a_text_in_flow_style_or_json_stays_one() {
    for (before, after) in [
        (
            "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: nginx:1}, {image: x}]}}",
            "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: d.io/nginx:1}, {image: d.io/x}]}}",
        ),
        (
            "{\n\t\"apiVersion\":\"v1\",\t\"kind\":\"Pod\",\n\t\"spec\":{\"containers\":[{\"image\":\"nginx\"}]}\n}\n",
            "{\n\t\"apiVersion\":\"v1\",\t\"kind\":\"Pod\",\n\t\"spec\":{\"containers\":[{\"image\":\"d.io/nginx\"}]}\n}\n",
        ),
        (
            "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"x\":\"\\ud83d\\ude00\\/\",\"spec\":{\"volumes\":[{\"image\":{\"reference\":\"m\"}}]}}",
            "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"x\":\"\\ud83d\\ude00\\/\",\"spec\":{\"volumes\":[{\"image\":{\"reference\":\"d.io/m\"}}]}}",
        ),
    ] {
        assert_eq!(rewrite(before).text, after);
    }
}

#[test]
fn json_objects_in_a_row_are_documents() {
    let pod = |image: &str, name: &str| {
        let spec = format!("{{\n  \"containers\": [{{\"image\": \"{image}\"}}]}}");
        format!(
            "{{\"kind\": \"Pod\", \"apiVersion\": \"v1\", \"spec\": {spec},\n\"é\": \"{name}\"}}"
        )
    };
    for separator in ["\n", "\r\n\n", "\n---\n"] {
        let text = |images: [&str; 3]| {
            format!("\u{feff}{}", images.map(|image| pod(image, "ü")).join(separator))
        };
        let (before, after) =
            (text(["a", "quay.io/b", "c"]), text(["d.io/a", "q.io/proxy/b", "d.io/c"]));
        let rewritten = rewrite(&before);
        assert_eq!(rewritten.text, after, "{separator:?}");
        let lines: Vec<_> = rewritten.changes.iter().map(|change| change.line).collect();
        let expected: Vec<_> = before
            .lines()
            .zip(1..)
            .filter_map(|(line, number)| line.contains("image").then_some(number))
            .collect();
        assert_eq!(lines, expected, "{separator:?}");
    }
    // It takes no quadratic time.
    let many = "{}\n".repeat(100_000) + &pod("a", "ü");
    assert_eq!(rewrite(&many).changes[0].line, 100_002);
}

#[test]
fn line_breaks_byte_order_marks_and_separators_stay() {
    let text = |image: &str| pod(&format!("    image: {image}\n"));
    for wrap in [
        |text: String| text.replace('\n', "\r\n"),
        |text: String| format!("\u{feff}{text}"),
        |text: String| format!("%YAML 1.2\n---\n{text}...\n# end\n"),
        |text: String| format!("---\n# nothing\n---\n{text}---\n---\n{text}"),
        |text: String| format!("--- # first\n{text}"),
    ] {
        assert_eq!(rewrite(&wrap(text("nginx"))).text, wrap(text("d.io/nginx")));
    }
}

#[test]
fn an_anchor_is_rewritten_if_each_of_its_places_needs_the_same_image() {
    let text = |image: &str| {
        pod(&format!("    image: &i {image}\n  - name: b\n    image: *i\n  - image: *i\n"))
    };
    let rewritten = rewrite(&text("nginx")).text.into_owned();
    assert_eq!(rewritten, text("d.io/nginx"));
    let merged = |image: &str| {
        pod(&format!(
            "    <<: &c {{image: {image}}}\n  - <<: *c\n    name: b\n  - <<: [*c, {{image: x}}]\n    image: left.io/y\n"
        ))
    };
    let text = merged("nginx");
    let rewritten = rewrite(&text);
    assert_eq!(rewritten.text, merged("d.io/nginx"));
    assert_eq!(problems(&rewritten), [""; 0]);
}

#[test]
fn an_anchor_stays_if_one_of_its_places_needs_another_text() {
    for container in [
        "    image: &i nginx\n    env: [{name: IMAGE, value: *i}]\n",
        "    image: &i nginx\n  - image: *i\n    imagePullPolicy: Never\n",
        "    image: &i nginx\n    args:\n    - ? *i\n      : x\n",
    ] {
        let text = pod(container);
        let rewritten = rewrite(&text);
        assert_eq!(rewritten.text, text);
        assert_eq!(
            problems(&rewritten),
            [
                "8: `nginx` stays, because its anchor is also used where it must not become `d.io/nginx`; write the \
                 image out in each place"
            ]
        );
        assert!(rewritten.notes[0].problem.is_incomplete());
    }
}

#[test]
fn merged_keys_count_in_the_order_of_the_text() {
    for (before, after) in [
        ("    <<: {image: x}\n", "    <<: {image: d.io/x}\n"),
        ("    <<: {image: x}\n    image: z\n", "    <<: {image: x}\n    image: d.io/z\n"),
        (
            "    <<: {image: x}\n    <<: {image: z}\n",
            "    <<: {image: x}\n    <<: {image: d.io/z}\n",
        ),
        ("    <<: [{image: x}, {image: z}]\n", "    <<: [{image: d.io/x}, {image: z}]\n"),
        ("    <<: {a: &b {image: x}, <<: *b}\n", "    <<: {a: &b {image: x}, <<: *b}\n"),
        ("    image: x\n    <<: {other: z}\n", "    image: d.io/x\n    <<: {other: z}\n"),
        ("    '<<': {image: x}\n", "    '<<': {image: x}\n"),
    ] {
        assert_eq!(rewrite(&pod(before)).text, pod(after));
    }
}

#[test]
fn a_document_that_readers_understand_in_different_ways_stays() {
    for container in ["    image: x\n    <<: {image: y}\n", "    <<: {image: x, <<: {image: y}}\n"]
    {
        let text = pod(container);
        let rewritten = rewrite(&text);
        assert_eq!(rewritten.text, text);
        let problems = problems(&rewritten);
        assert!(problems[0].contains("the merge key `<<` sets a key"), "{problems:?}");
        assert!(rewritten.notes[0].problem.is_incomplete());
    }
    let hidden = pod("    # a comment\u{2028}    image: nginx\n");
    let world = super::world(super::MAP);
    let error = super::rewriting(&world).rewrite(&hidden).unwrap_err();
    assert_eq!((error.line, error.column), (8, 16), "{error}");
    assert!(rewrite(&pod("    description: 'a\u{2028}b'\n    image: x\n")).changes.len() == 1);
}

#[test]
fn many_keys_and_long_shared_texts_take_no_long_time() {
    let mut keys = String::new();
    for number in 0..20_000 {
        writeln!(keys, "k{number}: 1").unwrap();
    }
    let images = "  - image: x\n".repeat(2_000);
    let text = format!("{keys}kind: Pod\napiVersion: v1\nspec:\n  containers:\n{images}");
    assert_eq!(rewrite(&text).changes.len(), 2_000);
    let sources = vec!["{}"; 20_000].join(", ");
    let text =
        format!("<<: [{sources}]\nkind: Pod\napiVersion: v1\nspec:\n  containers:\n{images}");
    assert_eq!(rewrite(&text).changes.len(), 2_000);
    let long = "a".repeat(1024 * 1024);
    let items = "- {apiVersion: v1, kind: Pod, spec: {x: *a}}\n".repeat(500);
    let text = format!("x: &a {long}\napiVersion: v1\nkind: List\nitems:\n{items}");
    let problems = problems(&rewrite(&text));
    assert!(problems[0].contains("stand for more than 32 MiB"), "{problems:?}");
}

#[test]
fn a_text_that_stands_for_a_huge_one_ends_soon() {
    let mut text = pod("    image: nginx\n  x0: &x0 [nginx]\n");
    for level in 1..40 {
        let item = format!("*x{}", level - 1);
        writeln!(text, "  x{level}: &x{level} [{}]", vec![item; 10].join(", ")).unwrap();
    }
    let rewritten = rewrite(&text);
    assert_eq!(rewritten.text, text);
    assert!(
        problems(&rewritten)[0].contains("more than a million values"),
        "{:?}",
        problems(&rewritten)
    );
    let mut chain = pod("    image: nginx\n");
    for level in 0..3_000 {
        let merged = if level == 0 { String::new() } else { format!("<<: *m{}", level - 1) };
        writeln!(chain, "  m{level}: &m{level} {{{merged}}}").unwrap();
    }
    // It ends, and does not exhaust the stack.
    rewrite(&chain);
}

#[test]
fn a_syntax_error_has_its_line_and_column() {
    let world = super::world(super::MAP);
    for (text, line, column) in [
        ("a: [\n", 1, 4),
        ("a: b: c\n", 1, 5),
        ("image: {{ .Values.image }}\n", 1, 9),
        ("a: 1\n b: 2\n", 2, 3),
        ("a: *unknown\n", 1, 4),
        ("a: &a [*a]\n", 1, 8),
        ("{a: 1}\n{b: 2}\n{d: *unknown}\n", 3, 5),
        ("{a: 1}\n{b: 2} {c: 3}\n", 2, 8),
        // kubectl ignores what follows in these, so it must not be read as an object.
        ("# comment\n{a: 1}\n{b: 2}\n", 3, 1),
        ("---\n{a: 1}\n{b: 2}\n", 3, 1),
        ("a: 1\n---\n{a: 1}\n{b: 2}\n", 4, 1),
        ("{a: 1} # comment\n{b: 2}\n", 2, 1),
        ("{a: 1}\n{b: 2}\n{c: 3\n}, 1\n", 4, 2),
        ("{a: 1}\n[1]\n", 2, 1),
        ("[1]\n{a: 1}\n", 2, 1),
    ] {
        let error = super::rewriting(&world).rewrite(text).unwrap_err();
        assert_eq!((error.line, error.column), (line, column), "{text} {error}");
    }
}
