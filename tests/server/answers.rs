//! Each kind of request and its answer, over HTTP/1.1 and HTTP/2.

use std::time::{Duration, Instant};

use hyper::Method;
use imageswap::{
    app::App,
    server::Limits,
    settings::{RuleSource, ServeSettings},
};
use serde_json::Value;
use support::{
    body::Pieces,
    client::{Client, admin_get, admin_post, first_image},
    reviews::fixture,
    server::{await_ready, metric, settings, started},
    tls::{PROTOCOLS, Protocol},
    wait::{DEADLINE, eventually},
};
use tokio::time::timeout;

#[tokio::test]
async fn a_review_is_answered_with_its_patch() {
    let app = started(Limits::default()).await;
    for protocol in PROTOCOLS {
        let mut client = Client::connect(app.address(), protocol).await.unwrap();
        for path in ["/", "/?timeout=10s", "/mutate", "//", "/mutate/", "//mutate//?timeout=10s"] {
            let body = Pieces::from(fixture("00-create-pod"));
            let answer = client
                .send(Method::POST, path, Some("application/json; charset=utf-8"), body)
                .await
                .unwrap();
            assert_eq!(first_image(&answer), "d.io/library/busybox:1.36");
            assert_eq!(answer.headers["content-type"], "application/json");
        }
        let in_pieces = fixture("00-create-pod");
        let in_pieces = in_pieces.as_bytes().chunks(100).map(<[u8]>::to_vec);
        let answer = client.post(Pieces::chunked(in_pieces)).await.unwrap();
        assert_eq!(first_image(&answer), "d.io/library/busybox:1.36");
    }
    let reviews =
        "imageswap_admission_reviews_total{kind=\"Pod\",operation=\"CREATE\",outcome=\"swapped\"}";
    assert_eq!(metric(app.admin_address(), reviews).await, Some(14.0));
    let swapped = "imageswap_images_total{mode=\"enforce\",reason=\"default\",swapped=\"true\"}";
    assert_eq!(metric(app.admin_address(), swapped).await, Some(56.0));
    let left_alone =
        "imageswap_images_total{mode=\"enforce\",reason=\"default\",swapped=\"false\"}";
    assert_eq!(metric(app.admin_address(), left_alone).await, None);
    let durations = "imageswap_http_request_duration_seconds_bucket\
                     {method=\"POST\",path=\"/\",status=\"200\",le=\"10.0\"}";
    assert!(metric(app.admin_address(), durations).await > Some(0.0));
}

#[tokio::test]
async fn images_that_a_rule_leaves_alone_are_counted_as_not_swapped() {
    let app = App::start(settings(RuleSource::BuiltIn("default::"))).await.unwrap();
    let mut client = Client::connect(app.address(), Protocol::Http1).await.unwrap();
    assert_eq!(client.post(fixture("00-create-pod")).await.unwrap().status, 200);
    let page = admin_get(app.admin_address(), "/metrics").await.body;
    let series: Vec<_> = page.lines().filter(|l| l.starts_with("imageswap_images_total")).collect();
    assert_eq!(
        series,
        ["imageswap_images_total{mode=\"enforce\",reason=\"default\",swapped=\"false\"} 4"]
    );
}

#[tokio::test]
async fn each_bad_request_is_answered_with_what_is_wrong() {
    let json = Some("application/json");
    let cases = [
        (Method::GET, "/", None, "", 405, "POST"),
        (Method::PUT, "/mutate", json, "{}", 405, "POST"),
        (Method::POST, "/metrics", json, "{}", 405, "GET, HEAD"),
        (Method::DELETE, "/healthz", None, "", 405, "GET, HEAD"),
        (Method::POST, "/nothing", json, "{}", 404, "/nothing"),
        (Method::POST, "/mutate/x", json, "{}", 404, "/mutate/x"),
        (Method::POST, "/", None, "{}", 415, "no Content-Type"),
        (Method::POST, "/", Some("text/plain"), "{}", 415, "text/plain"),
        (Method::POST, "/", json, "", 400, "line 1 column 0"),
        (Method::POST, "/", json, "{\"request\":", 400, "line 1 column 11"),
        (Method::POST, "/", json, "{\"kind\":\"Pod\"}", 400, "no `request` object"),
        (Method::POST, "/", json, "{\"request\":{}}", 400, "request.uid"),
        (Method::POST, "/", json, "{\"apiVersion\":\"x\",\"request\":{}}", 400, "apiVersion"),
    ];
    let app = started(Limits::default()).await;
    for protocol in PROTOCOLS {
        for (method, path, content_type, body, status, text) in &cases {
            let mut client = Client::connect(app.address(), protocol).await.unwrap();
            let body = Pieces::from(body.as_bytes().to_vec());
            let answer = client.send(method.clone(), path, *content_type, body).await.unwrap();
            let case = format!("{protocol:?} {method} {path}: {answer:?}");
            assert_eq!(answer.status, *status, "{case}");
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            for (field, value) in [("apiVersion", "v1"), ("kind", "Status"), ("status", "Failure")]
            {
                assert_eq!(body[field], value, "{case}");
            }
            assert_eq!(body["code"], *status, "{case}");
            assert!(!body["reason"].as_str().unwrap().is_empty(), "{case}");
            let message = body["message"].as_str().unwrap();
            assert!(message.contains(text) && message.contains("; "), "{case}");
            assert_eq!(answer.headers.contains_key("allow"), *status == 405, "{case}");
        }
    }
    let admin = app.admin_address();
    for (labels, count) in [
        ("method=\"GET\",status=\"405\"", 2.0),
        ("method=\"other\",status=\"405\"", 4.0),
        ("method=\"POST\",status=\"405\"", 2.0),
        ("method=\"POST\",status=\"404\"", 4.0),
        ("method=\"POST\",status=\"415\"", 4.0),
        ("method=\"POST\",status=\"400\"", 10.0),
    ] {
        let name = format!("imageswap_http_request_total{{{labels}}}");
        assert_eq!(metric(admin, &name).await, Some(count), "{name}");
    }
}

#[tokio::test]
async fn probes_and_metrics_are_on_both_ports() {
    let app = started(Limits::default()).await;
    let mut client = Client::connect(app.address(), Protocol::Http2).await.unwrap();
    for path in ["/healthz", "/livez", "/readyz", "/startupz", "/metrics"] {
        for answer in [client.get(path).await, admin_get(app.admin_address(), path).await] {
            assert_eq!(answer.status, 200, "{path}");
        }
        let head = client.send(Method::HEAD, path, None, Pieces::default()).await.unwrap();
        assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""), "{path}");
    }
    let health: Value = serde_json::from_str(&client.get("/healthz").await.body).unwrap();
    assert_eq!((&health["health"], &health["pod_name"]), (&"ok".into(), &"imageswap-0".into()));
    assert!(health["date_time"].as_str().unwrap().starts_with("20"), "{health}");
    let metrics = client.get("/metrics").await;
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("text/plain; version="));
}

#[tokio::test]
async fn counters_of_the_cluster_and_of_reloads_are_zero_with_a_self_signed_certificate() {
    let app = started(Limits::default()).await;
    for series in [
        "imageswap_certificate_rotations_total{result=\"failed\"}",
        "imageswap_cluster_failures_total",
        "imageswap_tls_reloads_total{result=\"applied\"}",
        "imageswap_webhook_configuration_writes_total{result=\"created\"}",
    ] {
        assert_eq!(metric(app.admin_address(), series).await, Some(0.0), "{series}");
    }
}

#[tokio::test]
async fn without_a_map_the_server_is_not_ready_and_swaps_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("map.conf");
    let app = App::start(settings(RuleSource::MapFile(file.clone()))).await.unwrap();
    let admin = app.admin_address();
    let reason = eventually("the reason", async || {
        let answer = admin_get(admin, "/readyz").await;
        assert_eq!(answer.status, 503);
        answer.body.contains("map.conf").then_some(answer.body)
    })
    .await;
    assert!(reason.contains("No such file"), "{reason}");
    let mut client = Client::connect(app.address(), Protocol::Http2).await.unwrap();
    let answer = client.post(fixture("00-create-pod")).await.unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    std::fs::write(&file, "default::late.io").unwrap();
    await_ready(admin).await;
    let answer = client.post(fixture("00-create-pod")).await.unwrap();
    assert_eq!(first_image(&answer), "late.io/library/busybox:1.36");
}

#[tokio::test]
async fn the_startup_probe_waits_until_the_server_is_ready() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("map.conf");
    let rules = RuleSource::MapFile(file.clone());
    let limits = Limits { startup_wait: Duration::from_hours(1), ..Limits::default() };
    let app = App::start(ServeSettings { limits, ..settings(rules) }).await.unwrap();
    let admin = app.admin_address();
    let probe = tokio::spawn(async move { admin_get(admin, "/startupz").await });
    eventually("a missing map", async || {
        let answer = admin_get(admin, "/readyz").await;
        assert_eq!(answer.status, 503);
        answer.body.contains("No such file").then_some(())
    })
    .await;
    assert!(!probe.is_finished());
    std::fs::write(&file, "default::late.io").unwrap();
    let answer = timeout(DEADLINE, probe).await.unwrap().unwrap();
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, r#"{"started":true}"#));
}

#[tokio::test]
async fn the_startup_probe_succeeds_in_time_without_a_map() {
    let rules = RuleSource::MapFile("/nowhere/map.conf".into());
    let limits = Limits { startup_wait: Duration::from_millis(200), ..Limits::default() };
    let app = App::start(ServeSettings { limits, ..settings(rules) }).await.unwrap();
    let begun = Instant::now();
    let answer = admin_get(app.admin_address(), "/startupz").await;
    assert_eq!(answer.status, 200);
    assert!(begun.elapsed() >= limits.startup_wait);
    assert_eq!(admin_get(app.admin_address(), "/readyz").await.status, 503);
}

#[tokio::test]
async fn the_admin_port_answers_no_reviews() {
    let app = started(Limits::default()).await;
    for (path, status) in [("/", 405), ("/mutate", 404)] {
        let answer = admin_post(app.admin_address(), path, fixture("00-create-pod")).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains("port of the webhook"), "{answer:?}");
    }
}
