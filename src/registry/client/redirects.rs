//! Sends a request for a manifest and follows redirects.

use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{ACCEPT, AUTHORIZATION, LOCATION},
    http::uri::Scheme,
};

use super::{
    answer::failed,
    authorization::Authorization,
    destinations::Endpoint,
    transport::{Body, Transport, WITHOUT_TLS},
};
use crate::registry::{
    check::{CheckResult, Checked},
    target::Target,
};

/// Maximum number of redirects. Registries in front of others need one.
const MAX_REDIRECTS: usize = 3;

/// The kinds of manifests that runtimes pull, and then any other, as containerd asks. A registry may answer 404 for a
/// manifest of a kind that is not accepted, and the image would be taken for absent.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    */*";

/// Sends a request for the manifest of an image, and returns the first answer that is not a redirect.
///
/// # Errors
/// If there is no answer, or a redirect cannot be followed. An answer of 401 is the registry's own.
pub(super) async fn follow(
    transport: &Transport,
    endpoint: &Endpoint<'_>,
    method: &Method,
    target: &Target,
    authorization: Option<&Authorization>,
) -> Result<Response<Incoming>, Checked> {
    let mut uri = endpoint.manifest(target)?;
    for _ in 0..=MAX_REDIRECTS {
        let is_registry = endpoint.is_registry(&uri);
        let authorization = authorization.filter(|_| is_registry);
        let answer = transport.send(request(method, &uri, authorization)?).await;
        let answer = answer
            .map_err(|failure| if is_registry { explained(failure, &uri) } else { failure })?;
        let status = answer.status();
        if status == StatusCode::UNAUTHORIZED && !is_registry {
            // Its challenge is not answered: the credentials are those of the registry.
            let detail = "the host to which the registry redirects wants credentials";
            return Err(failed(CheckResult::Refused, detail));
        }
        // Servers with TLS answer so to a request without. The body would say so, but HEAD has none.
        if status == StatusCode::BAD_REQUEST && is_registry && uri.scheme() == Some(&Scheme::HTTP) {
            let detail = "the registry answers 400 to plain HTTP; it seems to speak TLS, so remove it from \
                IMAGESWAP_REGISTRY_PLAIN_HTTP";
            return Err(failed(CheckResult::Invalid, detail));
        }
        if !is_redirect(status) {
            return Ok(answer);
        }
        let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        uri = endpoint.redirect(&uri, location.unwrap_or_default())?;
    }
    let detail = format!("the registry redirects more than {MAX_REDIRECTS} times");
    Err(failed(CheckResult::Invalid, &detail))
}

/// Adds the remedy to the failure of a registry, which was asked for `uri`.
fn explained(failure: Checked, uri: &Uri) -> Checked {
    if !failure.detail.ends_with(WITHOUT_TLS) {
        return failure;
    }
    let registry = uri.authority().map_or("it", |authority| authority.as_str());
    let detail = format!(
        "the registry {WITHOUT_TLS}; if that is intended, add {registry} to \
         IMAGESWAP_REGISTRY_PLAIN_HTTP"
    );
    Checked { detail, ..failure }
}

fn request(
    method: &Method,
    uri: &Uri,
    authorization: Option<&Authorization>,
) -> Result<Request<Body>, Checked> {
    let mut request = Request::builder().method(method).uri(uri).header(ACCEPT, MANIFESTS);
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization.value());
    }
    request.body(Body::default()).map_err(|error| failed(CheckResult::Invalid, &error.to_string()))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}
