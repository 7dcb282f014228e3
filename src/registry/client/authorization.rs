//! Answers the challenge of a registry: by user and password, or by a token of its token server.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use form_urlencoded::Serializer;
use hyper::{
    Request, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    http::uri::PathAndQuery,
};
use serde::Deserialize;

use super::{
    answer::{failed, refusal},
    destinations::Endpoint,
    transport::{Body, Transport, read},
};
use crate::registry::{
    challenge::Challenge,
    check::{CheckResult, Checked},
    credentials::Credential,
    host::RegistryHost,
    target::Target,
};

/// Validity of a token whose answer does not name one, as the documentation of the token server says.
const DEFAULT_VALIDITY: Duration = Duration::from_mins(1);

/// Maximum time for which a token is kept. After it, changed permissions count.
const MAX_VALIDITY: Duration = Duration::from_hours(1);

/// Time for which user and password are sent without a new challenge.
const BASIC_VALIDITY: Duration = Duration::from_mins(5);

/// Maximum length of a token in bytes. Most servers accept no longer header.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The detail about a registry whose credential cannot be used.
const UNUSABLE: &str =
    "the file with credentials has none for the registry that can be used; see the log";

/// The name of this client at token servers.
const CLIENT_ID: &str = "imageswap";

/// The value of `Authorization`, and the time until which it is used. Its `Debug` does not show the value.
#[derive(Clone, Debug)]
pub(super) struct Authorization {
    value: HeaderValue,
    expires: Instant,
}

/// Everything that a challenge is answered with.
pub(super) struct Authenticator<'a> {
    /// The connections.
    pub(super) transport: &'a Transport,
    /// The registry.
    pub(super) endpoint: &'a Endpoint<'a>,
    /// The image.
    pub(super) target: &'a Target,
    /// The credential for the image, if there is one.
    pub(super) credential: Option<&'a Credential>,
}

/// The answer of a token server.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<serde_json::Number>,
}

impl Authorization {
    /// Returns the authorization by a credential that needs no challenge. `None` if it needs one.
    ///
    /// # Errors
    /// If the credential cannot be sent.
    pub(super) fn without_challenge(credential: &Credential) -> Result<Option<Self>, Checked> {
        match credential {
            Credential::RegistryToken { token } => Self::bearer(token, MAX_VALIDITY).map(Some),
            Credential::Basic { .. } | Credential::IdentityToken { .. } => Ok(None),
            Credential::Unusable => Err(failed(CheckResult::Refused, UNUSABLE)),
        }
    }

    /// Returns the authorization for a registry that has not asked for one.
    ///
    /// # Errors
    /// If the credential is only for a token server, which the registry has not named.
    pub(super) fn unasked(credential: &Credential) -> Result<Self, Checked> {
        match credential {
            Credential::Basic { username, password } => Self::basic(username, password),
            Credential::RegistryToken { token } => Self::bearer(token, MAX_VALIDITY),
            Credential::IdentityToken { .. } => {
                let detail =
                    "the registry answers 404 to an anonymous request, and names no token server";
                Err(failed(CheckResult::Refused, detail))
            }
            Credential::Unusable => Err(failed(CheckResult::Refused, UNUSABLE)),
        }
    }

    /// Returns the value of the header.
    pub(super) fn value(&self) -> &HeaderValue {
        &self.value
    }

    /// Returns the time until which the authorization is used.
    pub(super) fn expires(&self) -> Instant {
        self.expires
    }

    /// Creates an authorization from the text of the header.
    pub(super) fn new(text: &str, validity: Duration) -> Result<Self, Checked> {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| failed(CheckResult::Invalid, "the token is not visible ASCII"))?;
        value.set_sensitive(true);
        // A request that begins just before the expiry would be too late.
        let expires = Instant::now() + validity.min(MAX_VALIDITY) * 9 / 10;
        Ok(Self { value, expires })
    }

    fn bearer(token: &str, validity: Duration) -> Result<Self, Checked> {
        Self::new(&format!("Bearer {token}"), validity)
    }

    fn basic(username: &str, password: &str) -> Result<Self, Checked> {
        let encoded = STANDARD.encode(format!("{username}:{password}"));
        Self::new(&format!("Basic {encoded}"), BASIC_VALIDITY)
    }
}

impl Authenticator<'_> {
    /// Answers an authentication challenge.
    ///
    /// # Errors
    /// If there is no challenge that the client can answer with its credential, or the token server gives no token.
    pub(super) async fn authorize(
        &self,
        challenge: Option<Challenge>,
    ) -> Result<Authorization, Checked> {
        let refused = |detail: &str| Err(failed(CheckResult::Refused, detail));
        match (challenge, self.credential) {
            (None, _) => refused("the registry answers 401 without a challenge by Basic or Bearer"),
            (Some(_), Some(Credential::Unusable)) => refused(UNUSABLE),
            (Some(_), Some(Credential::RegistryToken { .. })) => {
                refused("the registry refuses the registrytoken")
            }
            (Some(Challenge::Basic), Some(Credential::Basic { username, password })) => {
                Authorization::basic(username, password)
            }
            (Some(Challenge::Basic), Some(Credential::IdentityToken { .. })) => {
                refused("the registry wants user and password, and there is only an identitytoken")
            }
            (Some(Challenge::Basic), None) => {
                refused("the registry wants user and password, and there are none for it")
            }
            (Some(Challenge::Bearer { realm, service }), _) => {
                self.token(&self.endpoint.realm(&realm)?, service.as_deref()).await
            }
        }
    }

    /// Gets a token that permits to pull from the repository of the image.
    async fn token(&self, realm: &Uri, service: Option<&str>) -> Result<Authorization, Checked> {
        let request = self.token_request(realm, service)?;
        let (parts, body) = self.transport.send(request).await?.into_parts();
        let server = match RegistryHost::of(realm) {
            Some(host) => format!("the token server {host}"),
            None => "the token server".to_owned(),
        };
        if let Some(refusal) = refusal(&server, parts.status, &parts.headers) {
            return Err(refusal);
        }
        let invalid = |detail: &str| failed(CheckResult::Invalid, &format!("{server} {detail}"));
        let answer: TokenAnswer = serde_json::from_slice(&read(body).await?)
            .map_err(|_| invalid("answers with something else than a token"))?;
        let validity = answer.validity();
        let token = answer.token.filter(|token| !token.is_empty()).or(answer.access_token);
        let token = token.filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| invalid("answers without a token"))?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(invalid(&format!("answers with a token over {MAX_TOKEN_BYTES} bytes")));
        }
        Authorization::bearer(&token, validity)
    }

    fn token_request(&self, realm: &Uri, service: Option<&str>) -> Result<Request<Body>, Checked> {
        let mut form = Serializer::new(String::new());
        if let Some(service) = service {
            form.append_pair("service", service);
        }
        form.append_pair("scope", &format!("repository:{}:pull", self.target.repository()));
        let request = Request::builder().header(ACCEPT, "application/json");
        let request = match self.credential {
            Some(Credential::IdentityToken { token }) => {
                form.append_pair("grant_type", "refresh_token");
                form.append_pair("client_id", CLIENT_ID);
                form.append_pair("refresh_token", token);
                request
                    .method("POST")
                    .uri(realm)
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(Body::from(form.finish()))
            }
            Some(Credential::Basic { username, password }) => {
                form.append_pair("account", username);
                let authorization = Authorization::basic(username, password)?;
                let request = request.uri(with_query(realm, &form.finish())?);
                request.header(AUTHORIZATION, authorization.value()).body(Body::default())
            }
            Some(Credential::RegistryToken { .. } | Credential::Unusable) | None => {
                request.uri(with_query(realm, &form.finish())?).body(Body::default())
            }
        };
        request.map_err(|error| failed(CheckResult::Invalid, &error.to_string()))
    }
}

impl TokenAnswer {
    fn validity(&self) -> Duration {
        let seconds = self.expires_in.as_ref().and_then(serde_json::Number::as_f64);
        let validity =
            seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default());
        validity.unwrap_or(DEFAULT_VALIDITY)
    }
}

/// Returns a URL with more parameters in its query.
fn with_query(uri: &Uri, query: &str) -> Result<Uri, Checked> {
    let separator = if uri.query().is_some() { '&' } else { '?' };
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let path = format!("{path}{separator}{query}").parse().ok();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = path;
    Uri::from_parts(parts)
        .map_err(|_| failed(CheckResult::Invalid, "the URL of the token server is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_extended() {
        for (uri, expected) in [
            ("https://h.io", "https://h.io/?a=1"),
            ("https://h.io/t", "https://h.io/t?a=1"),
            ("https://h.io/t?b=2", "https://h.io/t?b=2&a=1"),
        ] {
            let found = with_query(&uri.parse().unwrap(), "a=1").unwrap();
            assert_eq!(found.to_string(), expected);
        }
    }

    #[test]
    fn the_validity_of_a_token_has_a_default_and_a_maximum() {
        for (answer, expected) in [
            ("{}", 60.0),
            (r#"{"expires_in": null}"#, 60.0),
            (r#"{"expires_in": 300}"#, 300.0),
            (r#"{"expires_in": 0.5}"#, 0.5),
            (r#"{"expires_in": -1}"#, 0.0),
            (r#"{"expires_in": 1e300}"#, 0.0),
        ] {
            let answer: TokenAnswer = serde_json::from_str(answer).unwrap();
            assert!((answer.validity().as_secs_f64() - expected).abs() < 1e-9);
        }
        let begun = Instant::now();
        let kept = Authorization::bearer("t", Duration::MAX).unwrap().expires() - begun;
        assert!(kept < MAX_VALIDITY, "{kept:?}");
    }

    #[test]
    fn an_authorization_does_not_show_its_value() {
        let authorization = Authorization::basic("user", "secret").unwrap();
        let shown = format!("{authorization:?}");
        assert!(!shown.contains("dXNlcjpzZWNyZXQ"), "{shown}");
        assert!(Authorization::bearer("a\nX-Header: 1", DEFAULT_VALIDITY).is_err());
    }
}
