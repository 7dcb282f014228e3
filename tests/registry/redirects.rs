//! Redirects: to the registry itself, to other hosts, and for ever.

use hyper::header::{LOCATION, WWW_AUTHENTICATE};
use imageswap::registry::CheckResult;
use serde_json::json;

use crate::{
    fixture::{Pki, REGISTRY_TOKEN, SIGNATURE, expect},
    scripted::{Server, answer},
};

#[tokio::test]
async fn a_registry_redirects_within_itself_with_credentials() {
    let pki = Pki::new();
    let server = Server::start(&pki, |seen| match seen.uri.as_str() {
        "/moved" => answer(200, &[], ""),
        _ => answer(307, &[(LOCATION, "/moved")], ""),
    })
    .await;
    let auths = json!({ server.registry(): { "registrytoken": REGISTRY_TOKEN } });
    let image = format!("{}/a:1", server.registry());
    let client = pki.client(&auths, &[], &[]);
    expect("redirect within the registry", &client, &image, (CheckResult::Present, "")).await;
    assert_eq!(server.lines(), ["HEAD /v2/a/manifests/1", "HEAD /moved"]);
    let expected = Some(format!("Bearer {REGISTRY_TOKEN}"));
    assert!(server.seen().iter().all(|seen| seen.authorization == expected));
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let pki = Pki::new();
    let server = Server::start(&pki, |_| answer(302, &[(LOCATION, "/again")], "")).await;
    let image = format!("{}/a:1", server.registry());
    let invalid = (CheckResult::Invalid, "redirects more than 3 times");
    expect("redirect loop", &pki.anonymous(), &image, invalid).await;
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn another_host_sees_no_request_unless_it_is_allowed_and_then_no_credentials() {
    let pki = Pki::new();
    for (case, allowed, status, expected, requests) in [
        ("redirect to a foreign host", false, 200, CheckResult::Invalid, 0),
        ("redirect to an allowed host", true, 200, CheckResult::Present, 1),
        ("redirect to an allowed host that wants credentials", true, 401, CheckResult::Refused, 1),
    ] {
        let other = Server::start(&pki, move |_| {
            answer(status, &[(WWW_AUTHENTICATE, "Basic realm=\"r\"")], "")
        })
        .await;
        let location = format!("https://{}/blob?{SIGNATURE}", other.registry());
        let server = Server::start(&pki, move |_| answer(307, &[(LOCATION, &location)], "")).await;
        let auths = json!({ server.registry(): { "registrytoken": REGISTRY_TOKEN } });
        let hosts = if allowed { vec![other.registry()] } else { Vec::new() };
        let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
        let client = pki.client(&auths, &hosts, &[]);
        let detail = if allowed { "" } else { "IMAGESWAP_REGISTRY_ALLOWED_HOSTS" };
        let image = format!("{}/a:1", server.registry());
        expect(case, &client, &image, (expected, detail)).await;
        assert_eq!(other.seen().len(), requests, "{case}");
        assert!(other.seen().iter().all(|seen| seen.authorization.is_none()), "{case}");
        assert!(server.seen()[0].authorization.is_some(), "{case}");
    }
}

#[tokio::test]
async fn a_redirect_never_leaves_https() {
    let pki = Pki::new();
    let plain = Server::plain(|_| answer(200, &[], "")).await;
    let location = format!("http://{}/", plain.registry());
    let server = Server::start(&pki, move |_| answer(302, &[(LOCATION, &location)], "")).await;
    let client = pki.client(&json!({}), &[&plain.registry()], &[&plain.registry()]);
    let image = format!("{}/a:1", server.registry());
    let expected = (CheckResult::Invalid, "without HTTPS");
    expect("redirect to plain HTTP", &client, &image, expected).await;
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_without_a_valid_location_is_no_answer() {
    let pki = Pki::new();
    for location in ["", "relative", "https://", "https://user@localhost/"] {
        let server = Server::start(&pki, move |_| answer(302, &[(LOCATION, location)], "")).await;
        let image = format!("{}/a:1", server.registry());
        let invalid = (CheckResult::Invalid, "");
        expect("redirect to an invalid URL", &pki.anonymous(), &image, invalid).await;
        assert_eq!(server.seen().len(), 1, "{location}");
    }
}
