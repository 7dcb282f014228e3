//! The status page: its two forms, its headers, and what it shows.

mod bounds;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::Path,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::{Method, Request, header::HOST};
use imageswap::{
    app::App,
    commands::{OUTCOME_FIELDS, explain},
    registry::ClientSettings,
    server::Limits,
    settings::{RegistrySettings, RuleSource, ServeSettings, VerifySettings},
    sources::FollowedFile,
    status_page::FIELDS,
};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use support::{
    body::Pieces,
    client::{Answer, Client, admin, admin_get, admin_get_json, admin_send},
    server::{await_ready, settings, started},
    tls::Protocol,
    volume::Volume,
    wait::eventually,
};

/// Fields whose texts the HTML form shows as they are.
const FACTS: [&str; 26] = [
    "candidate.differences.candidate",
    "candidate.differences.image",
    "candidate.differences.in_use",
    "candidate.differences.rule",
    "explanation.image",
    "explanation.reason",
    "explanation.result",
    "explanation.rules",
    "explanation.steps.finding",
    "followed.diagnostics.shown.code",
    "followed.diagnostics.shown.hint",
    "followed.diagnostics.shown.message",
    "followed.diagnostics.shown.severity",
    "followed.name",
    "followed.origin",
    "followed.summary",
    "images.reason",
    "mode.rules",
    "mode.source",
    "namespaces.shown.last_error",
    "namespaces.shown.namespace",
    "pod",
    "rules.shown.key",
    "rules.shown.target",
    "targets.registries.last_error",
    "targets.registries.registry",
];

/// Starts a server with the map in a file, and waits until it is ready.
async fn serve(map: &Path, change: impl FnOnce(&mut ServeSettings)) -> App {
    let mut settings = settings(RuleSource::MapFile(map.into()));
    change(&mut settings);
    let app = App::start(settings).await.unwrap();
    await_ready(app.admin_address()).await;
    app
}

/// Starts a server with a map.
async fn serve_text(map: &str) -> (App, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("maps.conf");
    fs::write(&file, map).unwrap();
    (serve(&file, |_| {}).await, directory)
}

/// Returns settings with which no registry of a name is asked.
fn verify_only_the_closed_port() -> VerifySettings {
    let absent = || FollowedFile::Default("/nonexistent/registry".into());
    let except = ["d.io", "q.io", "shop.io"].map(|host| host.parse().unwrap());
    let registry = RegistrySettings {
        config: absent(),
        ca: absent(),
        except: except.into(),
        client: ClientSettings::default(),
    };
    VerifySettings { timeout: Duration::from_secs(15), registry }
}

/// Posts the review of a pod with these images, in a namespace.
async fn review(app: &App, namespace: &str, images: &[&str]) {
    let containers: Vec<_> = images.iter().map(|image| json!({ "image": image })).collect();
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "namespace": namespace,
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "operation": "CREATE",
            "object": { "spec": { "containers": containers } },
        },
    });
    let mut client = Client::connect(app.address(), Protocol::Http1).await.unwrap();
    assert_eq!(client.post(review.to_string()).await.unwrap().status, 200);
}

/// Returns text as the page escapes it.
fn escaped(text: &str) -> String {
    let escape = |character| match character {
        '"' | '&' | '\'' | '<' | '>' => format!("&#{};", u32::from(character)),
        character => character.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Returns the hits of the rules by their keys.
async fn hits(admin: SocketAddr) -> BTreeMap<String, u64> {
    let page = admin_get_json(admin, "/").await;
    let rules = page["rules"]["shown"].as_array().unwrap().iter();
    rules
        .map(|rule| (rule["key"].as_str().unwrap().into(), rule["hits"].as_u64().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_page_has_the_headers_that_keep_it_to_its_reader() {
    let app = started(Limits::default()).await;
    let admin = app.admin_address();
    await_ready(admin).await;
    let page = admin_get(admin, "/").await;
    assert_eq!((page.status.as_u16(), &page.body[..15]), (200, "<!doctype html>"));
    let style = page.body.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    let head = admin_send(admin, Method::HEAD, "/", None, Pieces::default()).await;
    assert_eq!((head.status.as_u16(), &*head.body), (200, ""));
    for answer in [&page, &head] {
        for (name, value) in [
            ("cache-control", "no-store"),
            ("content-security-policy", &*policy),
            ("content-type", "text/html; charset=utf-8"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
            ("vary", "accept"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.headers[name], value, "{name}");
        }
    }
    assert!(head.headers["content-length"].to_str().unwrap().parse::<usize>().unwrap() > 1000);
}

#[tokio::test]
async fn other_methods_hosts_and_ports_get_no_page() {
    let app = started(Limits::default()).await;
    let admin_address = app.admin_address();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer = admin_send(admin_address, method, "/", None, Pieces::default()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["allow"]),
            (405, &"GET, HEAD".parse().unwrap())
        );
    }
    let of_host = async |host: &str| {
        let request = Request::get("/").header(HOST, host).body(Pieces::default()).unwrap();
        admin(admin_address, request).await
    };
    for (host, status) in [("127.0.0.1:8080", 200), ("[::1]", 200), ("rebound.example.com", 403)] {
        assert_eq!(of_host(host).await.status, status, "{host}");
    }
    assert!(of_host("rebound.example.com").await.body.contains("localhost"));
    let mut client = Client::connect(app.address(), Protocol::Http2).await.unwrap();
    assert_eq!(client.get("/").await.status, 405);
}

#[tokio::test]
async fn the_page_can_be_turned_off() {
    let settings = settings(RuleSource::BuiltIn("default::d.io"));
    let app = App::start(ServeSettings { status_page: false, ..settings }).await.unwrap();
    for method in [Method::GET, Method::HEAD, Method::POST] {
        let answer = admin_send(app.admin_address(), method, "/", None, Pieces::default()).await;
        assert_eq!(answer.status, 404);
    }
    let answer = admin_get(app.admin_address(), "/").await;
    assert!(
        answer.body.contains("the status page is off; IMAGESWAP_STATUS_PAGE=true"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn both_forms_have_the_same_facts_which_are_documented() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let map = "default::d.io/{path}\nquay.io::q.io\nbroken\na.io::\n[PULLSECRET]d.io::reg\nb.io::127.0.0.1:9";
    fs::write(path("maps.conf"), map).unwrap();
    fs::write(path("candidate.conf"), "default::d.io/{path}\nquay.io::other.io\na.io::").unwrap();
    fs::create_dir(path("namespaces")).unwrap();
    fs::write(path("namespaces/shop.conf"), "ghcr.io::shop.io").unwrap();
    fs::write(path("namespaces/team.conf"), "broken").unwrap();
    let app = serve(&path("maps.conf"), |settings| {
        settings.namespace_maps = path("namespaces");
        settings.candidate_map = FollowedFile::Named(path("candidate.conf"));
        settings.verify = Some(verify_only_the_closed_port());
    })
    .await;
    let admin = app.admin_address();
    eventually("the candidate map", async || {
        (!admin_get_json(admin, "/").await["candidate"].is_null()).then_some(())
    })
    .await;
    review(&app, "shop", &["quay.io/a", "ghcr.io/b", "a.io/c", "nginx", "b.io/d"]).await;
    let query = "/?image=nginx&namespace=shop";
    let (page, report) = (admin_get(admin, query).await.body, admin_get_json(admin, query).await);

    let mut texts = BTreeMap::new();
    walk(&report, "", &mut texts);
    let own = FIELDS.iter().map(|field| field.name.replace("[]", ""));
    let explained = explain::FIELDS.iter().chain(&OUTCOME_FIELDS);
    let explained = explained.map(|field| format!("explanation.{}", field.name.replace("[]", "")));
    let documented: BTreeSet<_> = own.chain(explained).collect();
    for path in texts.keys() {
        let has_fields = documented.iter().any(|field| field.starts_with(&format!("{path}.")));
        // The names of their fields are those of placeholders, and of a decision.
        let is_part = ["placeholders.", "second_pass."]
            .iter()
            .any(|part| path.starts_with(&format!("explanation.{part}")));
        assert!(documented.contains(path) || has_fields || is_part, "{path} is not documented");
    }
    for field in &documented {
        assert!(texts.contains_key(field), "{field} is not in {report:#}");
    }
    for path in FACTS {
        assert!(!texts[path].is_empty(), "{path} has no text in {report:#}");
        for text in &texts[path] {
            assert!(page.contains(&escaped(text)), "{path}: {text} is not in\n{page}");
        }
    }
    for rule in report["rules"]["shown"].as_array().unwrap() {
        let key = escaped(rule["key"].as_str().unwrap());
        let row = format!(
            "<td class=\"number\">{}</td><th scope=\"row\" class=\"code\">{key}</th>",
            rule["hits"]
        );
        assert!(page.contains(&row), "{row} is not in\n{page}");
    }
}

/// Collects the paths of the fields of a value, with the texts of each.
fn walk(value: &Value, path: &str, found: &mut BTreeMap<String, Vec<String>>) {
    let texts = found.entry(path.to_owned()).or_default();
    match value {
        Value::Array(values) => {
            for value in values {
                walk(value, path, found);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                walk(value, &format!("{path}{dot}{name}"), found);
            }
        }
        Value::String(text) => texts.push(text.clone()),
        Value::Bool(_) | Value::Null | Value::Number(_) => {}
    }
    if path.is_empty() {
        found.remove("");
    }
}

/// Returns the path of the page with a query.
fn form(fields: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    format!("/?{}", query.extend_pairs(fields).finish())
}

#[tokio::test]
async fn hits_are_counted_by_rule_until_the_map_is_loaded_again() {
    let mut volume = Volume::new();
    volume.write(&[("maps.conf", b"default::d.io\nquay.io::q.io\na.io::")]);
    let file = volume.directory().join("maps.conf");
    let app = serve(&file, |_| {}).await;
    let admin = app.admin_address();
    let of = |counts: [(&str, u64); 3]| counts.map(|(key, hits)| (key.to_owned(), hits)).into();
    assert_eq!(hits(admin).await, of([("a.io", 0), ("default", 0), ("quay.io", 0)]));
    review(&app, "", &["nginx", "quay.io/a", "quay.io/b", "a.io/x", "auto"]).await;
    assert_eq!(hits(admin).await, of([("a.io", 1), ("default", 1), ("quay.io", 2)]));
    let _ = admin_get(admin, "/?image=nginx").await;
    assert_eq!(hits(admin).await, of([("a.io", 1), ("default", 1), ("quay.io", 2)]));
    volume.write(&[("maps.conf", b"default::d.io\nquay.io::q.io\nb.io::")]);
    eventually("the new map", async || hits(admin).await.contains_key("b.io").then_some(())).await;
    assert_eq!(hits(admin).await, of([("b.io", 0), ("default", 0), ("quay.io", 0)]));
}

#[tokio::test]
async fn the_form_explains_an_image() {
    let (app, _directory) = serve_text("default::d.io\nquay.io::q.io").await;
    let admin = app.admin_address();
    let long = "a".repeat(5_000);
    for (image, namespace, field, expected) in [
        ("quay.io/a:1", "", "result", json!("q.io/a:1")),
        ("quay.io/a:1", "shop", "line", json!(2)),
        ("nginx", "", "reason", json!("default")),
        ("a b", "", "reason", json!("malformed")),
        ("q.io/a", "", "reason", json!("already-swapped")),
        (&long, "", "error", json!("the image is longer than 4096 bytes")),
        ("a", "A", "error", json!("`A` is not the name of a namespace, such as `shop`")),
    ] {
        let path = form(&[("image", image), ("namespace", namespace)]);
        let report = admin_get_json(admin, &path).await;
        assert_eq!(report["explanation"][field], expected, "{image} {report:#}");
        let Answer { status, body, .. } = admin_get(admin, &path).await;
        assert_eq!(status, 200);
        let expected = expected.as_str().map_or_else(|| expected.to_string(), escaped);
        assert!(body.contains(&expected), "{image}: {expected} is not in {body}");
    }
    assert_eq!(admin_get_json(admin, "/?namespace=shop").await["explanation"], Value::Null);
}

#[tokio::test]
async fn a_process_that_is_not_ready_says_why() {
    let app = App::start(settings(RuleSource::MapFile("/nowhere/map.conf".into()))).await.unwrap();
    let admin = app.admin_address();
    let report = eventually("the error", async || {
        let report = admin_get_json(admin, "/?image=nginx").await;
        report["reasons"][0]
            .as_str()
            .is_some_and(|it| it.contains("/nowhere/map.conf"))
            .then_some(report)
    })
    .await;
    assert_eq!((&report["ready"], &report["rules"]), (&json!(false), &Value::Null));
    assert_eq!(report["followed"][0]["state"], "missing");
    assert_eq!(report["explanation"]["error"], "no map is loaded yet");
    let page = admin_get(admin, "/").await.body;
    assert!(page.contains("Not ready") && page.contains("/nowhere/map.conf"), "{page}");
}
