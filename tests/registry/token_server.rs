//! A token server whose tokens a real registry accepts: JSON Web Tokens, signed with ECDSA P-256.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::{Value, json};
use support::certificates::Pair;

use crate::{
    fixture::{IDENTITY_TOKEN, Pki, basic},
    scripted::{Answer, Seen, Server, answer},
};

/// The name of the registry at the token server.
pub(crate) const SERVICE: &str = "test-registry";

/// The name of the token server in its tokens.
pub(crate) const ISSUER: &str = "test-token-server";

/// Makes tokens.
pub(crate) struct Signer {
    key: EcdsaKeyPair,
    header: Value,
}

impl Signer {
    /// Creates a signer with the key of a certificate, which is sent in each token.
    pub(crate) fn new(pair: &Pair) -> Self {
        let key = pem::parse(&pair.key).unwrap();
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key.contents(), &random).unwrap();
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&pair.der)] });
        Self { key, header }
    }

    /// Makes a token that permits `actions` in a repository.
    pub(crate) fn token(&self, repository: &str, actions: &[&str]) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": ISSUER, "sub": "test", "aud": SERVICE, "jti": "1",
            "iat": now, "nbf": now - 60, "exp": now + 300,
            "access": [{ "type": "repository", "name": repository, "actions": actions }],
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&self.header), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Starts a token server for the user of the tests. Anonymous clients get tokens for `public/...`.
pub(crate) async fn start(pki: &Pki) -> Server {
    let signer = Signer::new(&pki.pair);
    Server::start(pki, move |seen| issue(seen, &signer)).await
}

fn issue(seen: &Seen, signer: &Signer) -> Answer {
    let query = seen.uri.split_once('?').map_or("", |(_, query)| query);
    let form = if seen.method == "POST" { seen.body.as_str() } else { query };
    let field = |name: &str| {
        let mut fields = form_urlencoded::parse(form.as_bytes());
        fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    assert_eq!(field("service").as_deref(), Some(SERVICE));
    let scope = field("scope").unwrap();
    let repository = scope.strip_prefix("repository:").unwrap().strip_suffix(":pull").unwrap();
    let is_known = seen.authorization.as_ref() == Some(&basic())
        || field("refresh_token").as_deref() == Some(IDENTITY_TOKEN);
    if seen.authorization.is_some() && !is_known {
        return answer(401, &[], r#"{"details": "incorrect username or password"}"#);
    }
    let actions: &[&str] =
        if is_known || repository.starts_with("public/") { &["pull"] } else { &[] };
    let field = if seen.method == "POST" { "access_token" } else { "token" };
    let body = json!({ field: signer.token(repository, actions), "expires_in": 300 });
    answer(200, &[], &body.to_string())
}
