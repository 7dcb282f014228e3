//! Plain answers: present, absent, and those of a registry that does not say.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use imageswap::registry::CheckResult;
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tokio::net::TcpListener;

use crate::{
    fixture::{Pki, UNKNOWN, check, expect},
    scripted::{Server, acceptor, answer},
};

#[tokio::test]
async fn an_image_is_asked_for_by_tag_or_digest() {
    let pki = Pki::new();
    let server = Server::start(&pki, |_| answer(200, &[], "")).await;
    let (client, registry) = (pki.anonymous(), server.registry());
    let digest = format!("sha256:{}", "0a".repeat(32));
    let present = (CheckResult::Present, "");
    expect("present by tag", &client, &format!("{registry}/a/b:1"), present).await;
    expect("present by digest", &client, &format!("{registry}/a/b:1@{digest}"), present).await;
    let lines = ["HEAD /v2/a/b/manifests/1".into(), format!("HEAD /v2/a/b/manifests/{digest}")];
    assert_eq!(server.lines(), lines);
    let agent = format!("imageswap/{}", env!("CARGO_PKG_VERSION"));
    assert!(server.seen().iter().all(|seen| seen.user_agent == agent));
    assert!(server.seen().iter().all(|seen| seen.authorization.is_none()));
}

#[tokio::test]
async fn only_the_error_of_a_registry_makes_an_image_absent() {
    let pki = Pki::new();
    for (case, head, get, body, expected) in [
        ("absent", 404, 404, UNKNOWN, CheckResult::Absent),
        ("404 with the page of a load balancer", 404, 404, "<html>", CheckResult::Invalid),
        ("404 with an empty body", 404, 404, "", CheckResult::Invalid),
        ("404 by HEAD, 200 by GET", 404, 200, "{}", CheckResult::Present),
        ("404 by HEAD, 500 by GET", 404, 500, UNKNOWN, CheckResult::ServerError),
        ("404 by HEAD, 429 by GET", 404, 429, UNKNOWN, CheckResult::RateLimited),
        ("400", 400, 404, UNKNOWN, CheckResult::Invalid),
        ("405", 405, 404, UNKNOWN, CheckResult::Invalid),
        ("500", 500, 404, UNKNOWN, CheckResult::ServerError),
        ("503", 503, 404, UNKNOWN, CheckResult::Unavailable),
        ("403", 403, 404, UNKNOWN, CheckResult::Refused),
        ("401 without a challenge", 401, 404, UNKNOWN, CheckResult::Refused),
    ] {
        let server = Server::start(&pki, move |seen| {
            answer(if seen.method == "HEAD" { head } else { get }, &[], body)
        })
        .await;
        let image = format!("{}/a:1", server.registry());
        expect(case, &pki.anonymous(), &image, (expected, "")).await;
        assert_eq!(server.seen().len(), if head == 404 { 2 } else { 1 }, "{case}");
    }
}

#[tokio::test]
async fn a_manifest_of_any_kind_is_present() {
    let pki = Pki::new();
    // The registry has a manifest of a kind that no client names.
    let server = Server::start(&pki, |seen| {
        let is_accepted = seen.accept.split(',').any(|kind| kind.trim() == "*/*");
        if is_accepted { answer(200, &[], "") } else { answer(404, &[], UNKNOWN) }
    })
    .await;
    let image = format!("{}/a:1", server.registry());
    expect("another kind", &pki.anonymous(), &image, (CheckResult::Present, "")).await;
    // Registries choose the first kind that they have.
    assert!(server.seen()[0].accept.starts_with("application/vnd.oci.image.index.v1+json, "));
    assert!(server.seen()[0].accept.ends_with(", */*"));
}

#[tokio::test]
async fn a_page_of_a_portal_is_no_image() {
    let pki = Pki::new();
    for (case, get_only) in [("page by HEAD", false), ("404 by HEAD, page by GET", true)] {
        let server = Server::start(&pki, move |seen| {
            let status = if get_only && seen.method == "HEAD" { 404 } else { 200 };
            answer(status, &[(CONTENT_TYPE, "text/html; charset=utf-8")], "<html>Log in</html>")
        })
        .await;
        let digest = format!("sha256:{}", "0a".repeat(32));
        for reference in [":1".to_owned(), format!("@{digest}")] {
            let image = format!("{}/a{reference}", server.registry());
            expect(case, &pki.anonymous(), &image, (CheckResult::Invalid, "page in HTML")).await;
        }
    }
}

#[tokio::test]
async fn a_registry_says_when_it_may_be_asked_again() {
    let pki = Pki::new();
    let date = OffsetDateTime::from(SystemTime::now()) + Duration::from_mins(4);
    let date = date.format(&Rfc2822).unwrap().replace("+0000", "GMT");
    for (case, status, value, expected) in [
        ("429 with seconds", 429, "30", Some(30..=30)),
        ("429 with a day", 429, "86400", Some(300..=300)),
        ("429 with a date", 429, &date, Some(180..=240)),
        ("429 with nonsense", 429, "soon", None),
        ("503 with seconds", 503, "5", Some(5..=5)),
    ] {
        let value = value.to_owned();
        let server =
            Server::start(&pki, move |_| answer(status, &[(RETRY_AFTER, &value)], "")).await;
        let checked = check(case, &pki.anonymous(), &format!("{}/a:1", server.registry())).await;
        let seconds = checked.retry_after.map(|wait| wait.as_secs());
        let is_expected = match (&expected, seconds) {
            (Some(range), Some(seconds)) => range.contains(&seconds),
            (expected, seconds) => expected.is_none() && seconds.is_none(),
        };
        assert!(is_expected, "{case}: {checked:?}");
    }
}

#[tokio::test]
async fn connections_are_kept() {
    let pki = Pki::new();
    let server = Server::start(&pki, |_| answer(404, &[], UNKNOWN)).await;
    let (client, image) = (pki.anonymous(), format!("{}/a:1", server.registry()));
    for _ in 0..3 {
        expect("absent, again", &client, &image, (CheckResult::Absent, "")).await;
    }
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn plain_http_is_used_for_listed_registries_only() {
    let pki = Pki::new();
    let server = Server::plain(|_| answer(200, &[], "")).await;
    let (registry, image) = (server.registry(), format!("{}/a:1", server.registry()));
    let client = pki.client(&json!({}), &[], &[&registry]);
    expect("plain HTTP, listed", &client, &image, (CheckResult::Present, "")).await;
    assert_eq!(server.seen().len(), 1);
    let detail = format!(
        "the registry does not seem to speak TLS; if that is intended, add {registry} to \
         IMAGESWAP_REGISTRY_PLAIN_HTTP"
    );
    let result = (CheckResult::Unreachable, &*detail);
    expect("plain HTTP, not listed", &pki.anonymous(), &image, result).await;
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_registry_with_tls_is_not_listed_for_plain_http() {
    // Programs in Go and web servers answer so on a port with TLS.
    let pki = Pki::new();
    let server = Server::plain(|_| answer(400, &[], "")).await;
    let (registry, image) = (server.registry(), format!("{}/a:1", server.registry()));
    let client = pki.client(&json!({}), &[], &[&registry]);
    let detail = "it seems to speak TLS, so remove it from IMAGESWAP_REGISTRY_PLAIN_HTTP";
    expect("TLS, listed for plain HTTP", &client, &image, (CheckResult::Invalid, detail)).await;
    // Over TLS, the same answer is a plain refusal.
    let server = Server::start(&pki, |_| answer(400, &[], "")).await;
    let image = format!("{}/a:1", server.registry());
    let checked = check("400 over TLS", &pki.anonymous(), &image).await;
    assert_eq!(checked.detail, "the registry answers 400 Bad Request");
}

#[tokio::test]
async fn a_registry_may_have_an_address_of_ipv6() {
    let pki = Pki::new();
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        crate::fixture::skip("this system has no IPv6");
        return;
    };
    let script = Arc::new(|_: &_| answer(200, &[], ""));
    let server = Server::serve(listener, Some(acceptor(&pki)), script);
    let image = format!("{}/a:1", server.address);
    expect("IPv6", &pki.anonymous(), &image, (CheckResult::Present, "")).await;
}

#[tokio::test]
async fn a_name_with_two_addresses_is_connected_to_by_either() {
    let pki = Pki::new();
    // `localhost` is also ::1 on most systems, where nobody listens on this port.
    let server = Server::start(&pki, |_| answer(200, &[], "")).await;
    let image = format!("{}/a:1", server.registry());
    expect("IPv4 behind a name", &pki.anonymous(), &image, (CheckResult::Present, "")).await;
}
