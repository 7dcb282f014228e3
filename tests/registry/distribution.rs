//! A real registry, that of the distribution project: `IMAGESWAP_REGISTRY_PROGRAM` is the path of its program.

mod process;
mod push;

use imageswap::registry::CheckResult;
use serde_json::json;

use self::{
    process::{Authentication, Registry, program},
    push::Pusher,
};
use crate::{
    fixture::{IDENTITY_TOKEN, Pki, basic, expect, password_for},
    token_server::{self, Signer},
};

const PRESENT: (CheckResult, &str) = (CheckResult::Present, "");
const ABSENT: (CheckResult, &str) = (CheckResult::Absent, "");
const REFUSED: (CheckResult, &str) = (CheckResult::Refused, "");

/// A digest that no manifest has.
fn other_digest() -> String {
    format!("sha256:{}", "0b".repeat(32))
}

#[tokio::test]
async fn a_real_registry_tells_its_images() {
    let Some(program) = program() else { return };
    let pki = Pki::new();
    let registry = Registry::start(&program, &pki, &Authentication::None).await;
    let digest = Pusher::new(registry.address, None).push("team/app", "1").await;
    let (host, client) = (registry.host(), pki.anonymous());
    for (case, image, expected) in [
        ("registry: tag", "team/app:1".to_owned(), PRESENT),
        ("registry: digest", format!("team/app@{digest}"), PRESENT),
        ("registry: tag and digest", format!("team/app:other@{digest}"), PRESENT),
        ("registry: unknown tag", "team/app:2".to_owned(), ABSENT),
        ("registry: no tag", "team/app".to_owned(), ABSENT),
        ("registry: unknown digest", format!("team/app:1@{}", other_digest()), ABSENT),
        ("registry: unknown repository", "team/none:1".to_owned(), ABSENT),
    ] {
        expect(case, &client, &format!("{host}/{image}"), expected).await;
    }
    let stranger = Pki::of("another CA").anonymous();
    let unreachable = (CheckResult::Unreachable, "IMAGESWAP_REGISTRY_CA_FILE");
    expect("registry: another CA", &stranger, &format!("{host}/team/app:1"), unreachable).await;
}

#[tokio::test]
async fn a_real_registry_knows_users_by_password() {
    let Some(program) = program() else { return };
    let pki = Pki::new();
    let registry = Registry::start(&program, &pki, &Authentication::Password).await;
    Pusher::new(registry.address, Some(basic())).push("team/app", "1").await;
    let host = registry.host();
    let known = pki.client(&password_for(&host), &[], &[]);
    let wrong = pki.client(&json!({ &host: { "username": "puller", "password": "x" } }), &[], &[]);
    let anonymous = pki.anonymous();
    for (case, client, tag, expected) in [
        ("registry, password: tag", &known, "1", PRESENT),
        ("registry, password: unknown tag", &known, "2", ABSENT),
        ("registry, password: wrong", &wrong, "1", REFUSED),
        ("registry, password: wrong, unknown tag", &wrong, "2", REFUSED),
        ("registry, password: anonymous", &anonymous, "1", REFUSED),
    ] {
        expect(case, client, &format!("{host}/team/app:{tag}"), expected).await;
    }
}

#[tokio::test]
async fn a_real_registry_knows_users_by_token() {
    let Some(program) = program() else { return };
    let pki = Pki::new();
    let tokens = token_server::start(&pki).await;
    let realm = format!("https://{}/token", tokens.registry());
    let registry = Registry::start(&program, &pki, &Authentication::Token { realm }).await;
    let signer = Signer::new(&pki.pair);
    for repository in ["team/app", "public/app"] {
        let token = signer.token(repository, &["pull", "push"]);
        Pusher::new(registry.address, Some(format!("Bearer {token}"))).push(repository, "1").await;
    }
    // By address, so that the token server has another host, which has to be allowed.
    let (host, allowed) = (registry.address.to_string(), tokens.registry());
    let client = |auths| pki.client(&auths, &[&allowed], &[]);
    let known = client(password_for(&host));
    let identity = client(json!({ &host: { "identitytoken": IDENTITY_TOKEN } }));
    let token = signer.token("team/app", &["pull"]);
    let registry_token = client(json!({ &host: { "registrytoken": token } }));
    let wrong = client(json!({ &host: { "username": "puller", "password": "x" } }));
    let anonymous = client(json!({}));
    let not_allowed = pki.client(&password_for(&host), &[], &[]);
    for (case, client, image, expected) in [
        ("registry, token: by password", &known, "team/app:1", PRESENT),
        ("registry, token: by password, again", &known, "team/app:1", PRESENT),
        ("registry, token: unknown tag", &known, "team/app:2", ABSENT),
        ("registry, token: by identitytoken", &identity, "team/app:1", PRESENT),
        ("registry, token: registrytoken", &registry_token, "team/app:1", PRESENT),
        ("registry, token: wrong password", &wrong, "team/app:1", REFUSED),
        ("registry, token: anonymous", &anonymous, "team/app:1", REFUSED),
        ("registry, token: anonymous, public", &anonymous, "public/app:1", PRESENT),
        ("registry, token: anonymous, public, unknown", &anonymous, "public/app:2", ABSENT),
    ] {
        expect(case, client, &format!("{host}/{image}"), expected).await;
    }
    let requests = tokens.seen().len();
    let refused = (CheckResult::Refused, "IMAGESWAP_REGISTRY_ALLOWED_HOSTS");
    let image = format!("{host}/team/app:1");
    expect("registry, token: server not allowed", &not_allowed, &image, refused).await;
    assert_eq!(tokens.seen().len(), requests);
}

#[tokio::test]
async fn an_image_that_a_real_registry_deletes_is_absent() {
    let Some(program) = program() else { return };
    let pki = Pki::new();
    let registry = Registry::start(&program, &pki, &Authentication::None).await;
    let pusher = Pusher::new(registry.address, None);
    let digest = pusher.push("team/app", "1").await;
    let (host, client) = (registry.host(), pki.anonymous());
    let images = [format!("{host}/team/app:1"), format!("{host}/team/app@{digest}")];
    for image in &images {
        expect("registry: before it is deleted", &client, image, PRESENT).await;
    }
    pusher.delete("team/app", &digest).await;
    for image in &images {
        expect("registry: deleted", &client, image, ABSENT).await;
    }
    pusher.push("team/app", "1").await;
    for image in &images {
        expect("registry: pushed again", &client, image, PRESENT).await;
    }
}

#[tokio::test]
async fn a_real_registry_with_tls_is_not_listed_for_plain_http() {
    let Some(program) = program() else { return };
    let pki = Pki::new();
    let registry = Registry::start(&program, &pki, &Authentication::None).await;
    let host = registry.host();
    let client = pki.client(&json!({}), &[], &[&host]);
    let image = format!("{host}/team/app:1");
    let invalid = (CheckResult::Invalid, "it seems to speak TLS");
    expect("registry: TLS, listed for plain HTTP", &client, &image, invalid).await;
}

#[tokio::test]
async fn a_real_registry_that_stops_is_unreachable() {
    let Some(program) = program() else { return };
    let pki = Pki::new();
    let registry = Registry::start(&program, &pki, &Authentication::None).await;
    Pusher::new(registry.address, None).push("team/app", "1").await;
    let (client, image) = (pki.anonymous(), format!("{}/team/app:1", registry.host()));
    expect("registry: before it stops", &client, &image, PRESENT).await;
    drop(registry);
    let unreachable = (CheckResult::Unreachable, "");
    expect("registry: stopped", &client, &image, unreachable).await;
}
