//! Clients for the tests, and checks that are timed, printed and searched for credentials.

use std::{
    fmt::Debug,
    io::{Write as _, stdout},
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use imageswap::{
    registry::{Check, CheckResult, Checked, Client, ClientSettings, Credentials, Proxies, Target},
    tls::Roots,
};
use serde_json::{Value, json};
use support::certificates::{Authority, Pair};

/// A user of the registries.
pub(crate) const USER: &str = "puller";

/// The password of the user.
pub(crate) const PASSWORD: &str = "registry-password-5b1c";

/// A token with which the token server makes others.
pub(crate) const IDENTITY_TOKEN: &str = "identity-token-77aa";

/// A token that the registry takes as it is.
pub(crate) const REGISTRY_TOKEN: &str = "registry-token-31fe";

/// A token that the token server makes.
pub(crate) const TOKEN: &str = "made-token-9c0d";

/// The password of the proxy.
pub(crate) const PROXY_PASSWORD: &str = "proxy-password-e4e4";

/// A URL of a redirect, as storage services sign them.
pub(crate) const SIGNATURE: &str = "X-Signature=ab12cd34";

/// The answer of a registry that does not have an image.
pub(crate) const UNKNOWN: &str = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"unknown"}]}"#;

/// A certificate authority and a server under it.
pub(crate) struct Pki {
    pub(crate) authority: Authority,
    pub(crate) pair: Pair,
}

impl Pki {
    pub(crate) fn new() -> Self {
        Self::of("registry CA")
    }

    /// Creates a CA with this name. A client knows the CAs that it trusts by their names.
    pub(crate) fn of(name: &str) -> Self {
        let authority = Authority::new(name);
        let pair = authority.server_pair(&["localhost", "127.0.0.1", "::1", "registry.test"]);
        Self { authority, pair }
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::from_pem(self.authority.pem().as_bytes()).unwrap()
    }

    /// Creates a client without credentials.
    pub(crate) fn anonymous(&self) -> Client {
        self.client(&json!({}), &[], &[])
    }

    /// Creates a client with the entries of `auths`, and lists of hosts.
    pub(crate) fn client(&self, auths: &Value, allowed: &[&str], plain: &[&str]) -> Client {
        self.client_with(auths, allowed, plain, Proxies::new("", "", ""))
    }

    pub(crate) fn client_with(
        &self,
        auths: &Value,
        allowed: &[&str],
        plain: &[&str],
        proxies: Proxies,
    ) -> Client {
        let hosts = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let settings = ClientSettings { plain_http: hosts(plain), allowed_hosts: hosts(allowed) };
        let config = json!({ "auths": auths }).to_string();
        let (credentials, _) = Credentials::parse(config.as_bytes()).unwrap();
        assert_no_secret(&credentials);
        assert_no_secret(&proxies);
        let client =
            Client::with_proxies(&settings, credentials, Some(&self.roots()), proxies).unwrap();
        assert_no_secret(&client);
        client
    }
}

/// Returns `auths` with user and password for a registry.
pub(crate) fn password_for(registry: &str) -> Value {
    json!({ registry: { "auth": STANDARD.encode(format!("{USER}:{PASSWORD}")) } })
}

/// Returns the header `Authorization` for user and password.
pub(crate) fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")))
}

/// Checks an image, prints the result, and returns it.
pub(crate) async fn check(case: &str, client: &Client, image: &str) -> Checked {
    let target = Target::parse(image).unwrap();
    let begun = Instant::now();
    let checked = client.check(&target).await;
    let milliseconds = begun.elapsed().as_millis();
    let (result, detail) = (checked.result.as_str(), &checked.detail);
    writeln!(stdout().lock(), "{case:<64} {result:<12} {milliseconds:>5} ms  {detail}").unwrap();
    assert_no_secret(&checked);
    checked
}

/// Checks an image and compares the result and a part of the detail.
pub(crate) async fn expect(
    case: &str,
    client: &Client,
    image: &str,
    expected: (CheckResult, &str),
) -> Checked {
    let checked = check(case, client, image).await;
    assert_eq!(checked.result, expected.0, "{case}: {checked:?}");
    assert!(checked.detail.contains(expected.1), "{case}: {checked:?}");
    checked
}

/// Checks that a value shows none of the credentials, in plain text or in base64.
fn assert_no_secret(value: &impl Debug) {
    let shown = format!("{value:?} {value:#?}");
    let encoded = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    for secret in
        [PASSWORD, IDENTITY_TOKEN, REGISTRY_TOKEN, TOKEN, PROXY_PASSWORD, SIGNATURE, &encoded]
    {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

/// Says that a test is skipped.
pub(crate) fn skip(reason: &str) {
    writeln!(stdout().lock(), "SKIPPED: {reason}").unwrap();
}
