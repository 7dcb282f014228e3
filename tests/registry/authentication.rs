//! Credentials: by Basic, and by tokens of a token server.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use hyper::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use imageswap::registry::CheckResult;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    fixture::{
        IDENTITY_TOKEN, Pki, REGISTRY_TOKEN, TOKEN, UNKNOWN, USER, basic, expect, password_for,
    },
    scripted::{Answer, Seen, Server, answer},
};

const BASIC: &str = "Basic realm=\"registry\"";

/// Starts a registry that wants `expected` as authorization.
async fn guarded(pki: &Pki, challenge: &str, expected: String) -> Server {
    let challenge = challenge.to_owned();
    Server::start(pki, move |seen| guard(seen, &challenge, &expected)).await
}

fn guard(seen: &Seen, challenge: &str, expected: &str) -> Answer {
    if seen.authorization.as_deref() == Some(expected) {
        answer(200, &[], "")
    } else {
        answer(401, &[(WWW_AUTHENTICATE, challenge)], UNKNOWN)
    }
}

fn bearer(server: &Server) -> String {
    format!("Bearer realm=\"https://{}/token?a=b\",service=\"the registry\"", server.registry())
}

fn token(expires_in: u64) -> String {
    json!({ "token": TOKEN, "expires_in": expires_in }).to_string()
}

#[tokio::test]
async fn user_and_password_are_sent_after_a_challenge() {
    let pki = Pki::new();
    let server = guarded(&pki, BASIC, basic()).await;
    let (registry, image) = (server.registry(), format!("{}/a:1", server.registry()));
    let client = pki.client(&password_for(&registry), &[], &[]);
    expect("Basic", &client, &image, (CheckResult::Present, "")).await;
    assert_eq!(server.seen().len(), 2);
    assert_eq!(server.seen()[0].authorization, None);
    expect("Basic, again", &client, &image, (CheckResult::Present, "")).await;
    assert_eq!(server.seen().len(), 3, "the second check sends it at once");
    let refused = (CheckResult::Refused, "there are none for it");
    expect("Basic, anonymous", &pki.anonymous(), &image, refused).await;
    let client = pki.client(&json!({ &registry: { "username": USER, "password": "x" } }), &[], &[]);
    let refused = (CheckResult::Refused, "the registry refuses the credentials");
    expect("Basic, wrong password", &client, &image, refused).await;
    let client = pki.client(&json!({ &registry: { "identitytoken": "x" } }), &[], &[]);
    expect("Basic, only an identitytoken", &client, &image, (CheckResult::Refused, "")).await;
}

#[tokio::test]
async fn a_registry_that_hides_private_images_gets_the_credentials_before_it_counts_as_without_them()
 {
    let pki = Pki::new();
    let server = Server::start(&pki, |seen: &Seen| {
        let is_known = seen.authorization.as_deref() == Some(&*basic());
        let has_image = is_known && seen.uri.contains("/team/a/");
        answer(if has_image { 200 } else { 404 }, &[], UNKNOWN)
    })
    .await;
    let registry = server.registry();
    let client = pki.client(&password_for(&registry), &[], &[]);
    let image = |name: &str| format!("{registry}/team/{name}:1");
    expect("hidden from strangers", &client, &image("a"), (CheckResult::Present, "")).await;
    expect("not there", &client, &image("b"), (CheckResult::Absent, "")).await;
    // These credentials exist, but they cannot be sent unasked, or at all.
    for (case, entry) in [
        ("hidden, identitytoken", json!({ "identitytoken": IDENTITY_TOKEN })),
        ("hidden, no usable credential", json!({})),
    ] {
        let client = pki.client(&json!({ &registry: entry }), &[], &[]);
        expect(case, &client, &image("a"), (CheckResult::Refused, "")).await;
    }
}

#[tokio::test]
async fn credentials_are_for_the_path_of_their_key() {
    let pki = Pki::new();
    let server = guarded(&pki, BASIC, basic()).await;
    let registry = server.registry();
    let client = pki.client(&password_for(&format!("{registry}/team")), &[], &[]);
    let present = (CheckResult::Present, "");
    expect("path of the key", &client, &format!("{registry}/team/a:1"), present).await;
    let refused = (CheckResult::Refused, "");
    expect("another path", &client, &format!("{registry}/other/a:1"), refused).await;
}

#[tokio::test]
async fn a_registrytoken_is_sent_as_it_is() {
    let pki = Pki::new();
    let expected = format!("Bearer {REGISTRY_TOKEN}");
    let server = guarded(&pki, "Bearer realm=\"https://unused.test/\"", expected).await;
    let (registry, image) = (server.registry(), format!("{}/a:1", server.registry()));
    let client = pki.client(&json!({ &registry: { "registrytoken": REGISTRY_TOKEN } }), &[], &[]);
    expect("registrytoken", &client, &image, (CheckResult::Present, "")).await;
    assert_eq!(server.seen().len(), 1);
    let client = pki.client(&json!({ &registry: { "registrytoken": "x" } }), &[], &[]);
    let refused = (CheckResult::Refused, "registrytoken");
    expect("registrytoken, refused", &client, &image, refused).await;
}

#[tokio::test]
async fn a_token_is_asked_for_and_kept_until_it_expires() {
    let pki = Pki::new();
    for (case, expires_in, token_requests) in
        [("token, valid for long", 300, 1), ("token, expired at once", 0, 3)]
    {
        let tokens = Server::start(&pki, move |_| answer(200, &[], &token(expires_in))).await;
        let server = guarded(&pki, &bearer(&tokens), format!("Bearer {TOKEN}")).await;
        let registry = server.registry();
        let client = pki.client(&json!({}), &[], &[]);
        for tag in 1..=3 {
            let image = format!("{registry}/a/b:{tag}");
            expect(case, &client, &image, (CheckResult::Present, "")).await;
        }
        let line = "GET /token?a=b&service=the+registry&scope=repository%3Aa%2Fb%3Apull";
        assert_eq!(tokens.lines(), vec![line; token_requests], "{case}");
        assert!(tokens.seen().iter().all(|seen| seen.authorization.is_none()));
        let other = format!("{registry}/other:1");
        expect("token, another repository", &client, &other, (CheckResult::Present, "")).await;
        assert_eq!(tokens.lines().len(), token_requests + 1, "a token is for one repository");
    }
}

#[tokio::test]
async fn a_token_server_gets_the_credentials_of_the_registry() {
    let pki = Pki::new();
    let tokens = Server::start(&pki, |seen| {
        let is_user = seen.authorization.as_ref() == Some(&basic()) && seen.body.is_empty();
        let is_identity = seen.body.contains(&format!("refresh_token={IDENTITY_TOKEN}"));
        if is_user || is_identity {
            answer(200, &[], &json!({ "access_token": TOKEN }).to_string())
        } else {
            answer(401, &[], "{}")
        }
    })
    .await;
    let server = guarded(&pki, &bearer(&tokens), format!("Bearer {TOKEN}")).await;
    let (registry, image) = (server.registry(), format!("{}/a:1", server.registry()));
    let client = pki.client(&password_for(&registry), &[], &[]);
    expect("token by password", &client, &image, (CheckResult::Present, "")).await;
    let seen = tokens.seen().pop().unwrap();
    assert!(seen.uri.ends_with(&format!("&account={USER}")), "{seen:?}");
    let client = pki.client(&json!({ &registry: { "identitytoken": IDENTITY_TOKEN } }), &[], &[]);
    expect("token by identitytoken", &client, &image, (CheckResult::Present, "")).await;
    let seen = tokens.seen().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.uri.as_str()), ("POST", "/token?a=b"));
    assert_eq!(
        seen.body,
        format!(
            "service=the+registry&scope=repository%3Aa%3Apull&grant_type=refresh_token&client_id=imageswap&refresh_token={IDENTITY_TOKEN}"
        )
    );
    let refused = (CheckResult::Refused, "the token server localhost:");
    expect("token, anonymous", &pki.anonymous(), &image, refused).await;
}

#[tokio::test]
async fn a_token_that_is_no_longer_accepted_is_replaced() {
    let pki = Pki::new();
    let made = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::new(Mutex::new("Bearer token-1".to_owned()));
    let tokens = Server::start(&pki, move |_| {
        let number = made.fetch_add(1, Ordering::Relaxed) + 1;
        answer(200, &[], &json!({ "token": format!("token-{number}") }).to_string())
    })
    .await;
    let (challenge, expected) = (bearer(&tokens), accepted.clone());
    let script = move |seen: &Seen| guard(seen, &challenge, &expected.lock().unwrap());
    let server = Server::start(&pki, script).await;
    let (client, image) = (pki.anonymous(), format!("{}/a:1", server.registry()));
    expect("first token", &client, &image, (CheckResult::Present, "")).await;
    "Bearer token-2".clone_into(&mut accepted.lock().unwrap());
    expect("token revoked", &client, &image, (CheckResult::Present, "")).await;
    "Bearer none".clone_into(&mut accepted.lock().unwrap());
    let refused = (CheckResult::Refused, "refuses an anonymous request");
    expect("no token accepted", &client, &image, refused).await;
    assert_eq!(tokens.seen().len(), 3);
}

#[tokio::test]
async fn a_token_server_that_is_not_allowed_sees_no_request() {
    let pki = Pki::new();
    let tokens = Server::start(&pki, |_| answer(200, &[], &token(300))).await;
    let plain = Server::plain(|_| answer(200, &[], &token(300))).await;
    // To a client, the address and the name are different hosts.
    let foreign = format!("https://{}/token", tokens.address);
    let http = format!("http://{}/token", plain.registry());
    for (case, realm, detail) in [
        ("token server on a foreign host", &foreign, "IMAGESWAP_REGISTRY_ALLOWED_HOSTS"),
        ("token server over plain HTTP", &http, "without HTTPS"),
    ] {
        let server = guarded(&pki, &format!("Bearer realm=\"{realm}\""), String::new()).await;
        let client = pki.client(&password_for(&server.registry()), &[], &[]);
        let image = format!("{}/a:1", server.registry());
        expect(case, &client, &image, (CheckResult::Refused, detail)).await;
        assert!(tokens.seen().is_empty() && plain.seen().is_empty(), "{case}");
    }
    let challenge = format!("Bearer realm=\"{foreign}\"");
    let server = guarded(&pki, &challenge, format!("Bearer {TOKEN}")).await;
    let (registry, host) = (server.registry(), tokens.address.to_string());
    let client = pki.client(&password_for(&registry), &[&host], &[]);
    let present = (CheckResult::Present, "");
    expect("token server on an allowed host", &client, &format!("{registry}/a:1"), present).await;
    assert_eq!(tokens.seen()[0].authorization, Some(basic()));
}

#[tokio::test]
async fn the_token_server_of_a_plain_registry_may_be_plain_if_it_is_the_registry() {
    let pki = Pki::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = format!("http://localhost:{}/token", listener.local_addr().unwrap().port());
    let realm = Arc::new(Mutex::new(own));
    let named = realm.clone();
    let script = move |seen: &Seen| {
        if seen.uri.starts_with("/token") {
            return answer(200, &[], &token(0));
        }
        let challenge = format!("Bearer realm=\"{}\"", named.lock().unwrap());
        guard(seen, &challenge, &format!("Bearer {TOKEN}"))
    };
    let server = Server::serve(listener, None, Arc::new(script));
    let client = pki.client(&json!({}), &[], &[&server.registry()]);
    let image = format!("{}/a:1", server.registry());
    let present = (CheckResult::Present, "");
    expect("plain registry is its token server", &client, &image, present).await;
    assert_eq!(server.seen().len(), 3);
    "http://registry.test/token".clone_into(&mut realm.lock().unwrap());
    let refused = (CheckResult::Refused, "registry.test without HTTPS");
    expect("plain token server elsewhere", &client, &image, refused).await;
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn the_answer_of_a_token_server_has_limits() {
    let pki = Pki::new();
    let large = json!({ "token": "a".repeat(20_000) }).to_string();
    let endless = json!({ "token": "a".repeat(100_000) }).to_string();
    let broken = json!({ "token": "a\nX-Header: 1" }).to_string();
    for (case, status, body, expected) in [
        ("token server: 403", 403, "{}", CheckResult::Refused),
        ("token server: 429", 429, "{}", CheckResult::RateLimited),
        ("token server: 500", 500, "{}", CheckResult::ServerError),
        ("token server: 503", 503, "{}", CheckResult::Unavailable),
        ("token server: redirect", 302, "", CheckResult::Invalid),
        ("token server: no JSON", 200, "<html>", CheckResult::Invalid),
        ("token server: no token", 200, "{}", CheckResult::Invalid),
        (
            "token server: empty token",
            200,
            r#"{"token":"","access_token":""}"#,
            CheckResult::Invalid,
        ),
        ("token server: number", 200, r#"{"token":1}"#, CheckResult::Invalid),
        ("token server: long token", 200, &large, CheckResult::Invalid),
        ("token server: large answer", 200, &endless, CheckResult::Invalid),
        ("token server: line break in the token", 200, &broken, CheckResult::Invalid),
    ] {
        let body = body.to_owned();
        let tokens =
            Server::start(&pki, move |_| answer(status, &[(RETRY_AFTER, "9")], &body)).await;
        let server = guarded(&pki, &bearer(&tokens), String::new()).await;
        let client = pki.client(&password_for(&server.registry()), &[], &[]);
        let checked =
            expect(case, &client, &format!("{}/a:1", server.registry()), (expected, "")).await;
        assert_eq!(checked.retry_after.is_some(), matches!(status, 429 | 503), "{case}");
        assert_eq!(tokens.seen().len(), 1, "{case}");
    }
}

#[tokio::test]
async fn hostile_challenges_are_refused() {
    let pki = Pki::new();
    let long = format!("Bearer realm=\"https://localhost/{}\"", "a".repeat(10_000));
    for challenge in [
        "",
        "Bearer",
        "Bearer realm=",
        "Bearer realm=\"\"",
        "Bearer realm=\"/token\"",
        "Bearer realm=\"https://\"",
        "Bearer realm=\"https://user@localhost/\"",
        "Bearer realm=\"file:///etc/passwd\"",
        "Negotiate",
        "Digest nonce=\"1\"",
        "\"",
        &long,
    ] {
        let server = guarded(&pki, challenge, String::new()).await;
        let client = pki.client(&password_for(&server.registry()), &[], &[]);
        let image = format!("{}/a:1", server.registry());
        expect("hostile challenge", &client, &image, (CheckResult::Refused, "")).await;
        assert_eq!(server.seen().len(), 1, "{challenge}");
    }
}
