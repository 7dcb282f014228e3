//! `plan --verify`: questions to a registry about the new images.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use serde_json::Value;

use crate::Workspace;

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: shop }
spec:
  containers:
    - { name: a, image: 'quay.io/present/a:1' }
    - { name: b, image: 'quay.io/absent/b:1' }
    - { name: c, image: 'quay.io/broken/c:1' }
    - { name: d, image: 'ghcr.io/d:1' }
";

/// Starts a registry over plain HTTP, and returns its address. It ends with the process of the test.
fn registry() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer(&stream.unwrap()));
        }
    });
    address
}

/// Answers the request of a connection, and closes it.
fn answer(mut stream: &TcpStream) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
    let (status, body) = match () {
        () if request.contains("absent") => (404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
        () if request.contains("broken") => (500, ""),
        () => (200, "{}"),
    };
    let shown = if request.starts_with("HEAD") { "" } else { body };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\nConnection: close");
    // The client may have gone.
    let _ = write!(stream, "{head}\r\n\r\n{shown}");
}

fn workspace(registry: &str, pod: &str) -> Workspace {
    let map = format!("default::mirror-\nquay.io::{registry}\n");
    Workspace::new(&[("map.conf", &*map), ("pod.yaml", pod)])
}

const ARGUMENTS: [&str; 6] = ["plan", "--verify", "--maps", "map.conf", "-f", "pod.yaml"];

#[test]
fn an_image_that_the_registry_does_not_have_is_shown_and_is_exit_code_4() {
    let registry = registry();
    let workspace = workspace(&registry, POD);
    let plain_http = ["--registry-plain-http", &registry];
    let run = workspace.imageswap(&[&ARGUMENTS[..], &plain_http].concat()).run();
    assert_eq!(run.code, Some(4), "{}{}", run.stdout, run.stderr);
    let row = |image: &str| run.stdout.lines().find(|line| line.starts_with(image)).unwrap();
    assert!(row("IMAGE").contains("  TARGET  "), "{}", run.stdout);
    assert!(row("quay.io/present/a:1").contains("  present  "), "{}", run.stdout);
    assert!(row("quay.io/absent/b:1").contains("  absent  "), "{}", run.stdout);
    assert!(row("quay.io/broken/c:1").contains("  unknown  "), "{}", run.stdout);
    let summary = "; targets: 1 present, 1 absent, 1 unknown, 1 not asked\n";
    let note = format!("{summary}note: {registry}: 1 target unknown, server-error: ");
    assert!(run.stdout.contains(&note), "{}", run.stdout);
    assert_eq!(run.stderr, "");
}

#[test]
fn records_say_what_the_registry_has() {
    let registry = registry();
    let workspace = workspace(&registry, POD);
    let more = ["--registry-plain-http", &registry, "--output", "json"];
    let run = workspace.imageswap(&[&ARGUMENTS[..], &more].concat()).run();
    let target = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        (record["image"].as_str().unwrap().to_owned(), record["target"].take())
    };
    let mut targets: Vec<_> = run.stdout.lines().map(target).collect();
    targets.sort_by(|(a, _), (b, _)| a.cmp(b));
    let expected = [
        // Its host is made of that of the image.
        ("ghcr.io/d:1", Value::Null),
        ("quay.io/absent/b:1", "absent".into()),
        ("quay.io/broken/c:1", "unknown".into()),
        ("quay.io/present/a:1", "present".into()),
    ];
    assert_eq!(targets, expected.map(|(image, target)| (image.to_owned(), target)));
}

#[test]
fn an_unknown_or_exempt_target_is_a_change_like_others() {
    let registry = registry();
    for (image, more) in [
        ("quay.io/broken/a:1", ["--registry-plain-http", &*registry]),
        ("quay.io/absent/a:1", ["--verify-except", &registry]),
        // The registry does not speak TLS.
        ("quay.io/absent/a:1", ["--registry-allowed-hosts", "a.io"]),
    ] {
        let pod = POD.split("    - ").next().unwrap().to_owned();
        let pod = format!("{pod}    - {{ name: a, image: '{image}' }}\n");
        let workspace = workspace(&registry, &pod);
        let run = workspace.imageswap(&[&ARGUMENTS[..], &more].concat()).run();
        assert_eq!(run.code, Some(3), "{more:?} {}{}", run.stdout, run.stderr);
    }
}

#[test]
fn a_file_or_flag_that_cannot_be_used_is_named() {
    let workspace = workspace("r.io", POD);
    for (more, expected) in [
        (["--registry-config", "absent.json"], "--registry-config: absent.json: No such file"),
        (["--registry-config", "pod.yaml"], "--registry-config: pod.yaml: "),
        (["--registry-ca-file", "pod.yaml"], "--registry-ca-file: pod.yaml: "),
        (
            ["--verify-except", "a/b"],
            "IMAGESWAP_VERIFY_EXCEPT (--verify-except): `a/b` is not valid",
        ),
    ] {
        let run = workspace.imageswap(&[&ARGUMENTS[..], &more].concat()).run();
        assert_eq!(run.code, Some(2), "{more:?} {}", run.stderr);
        assert!(run.stderr.contains(expected), "{more:?} {}", run.stderr);
    }
}
