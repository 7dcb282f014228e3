//! HTTP requests within limits.

use std::{error::Error, fmt::Write as _, io, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response,
    body::Incoming,
    header::{HeaderValue, USER_AGENT},
};
use hyper_util::{
    client::legacy::{self, Client},
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    answer::failed,
    connector::{Connector, Proxies},
    metered::TooMuchData,
};
use crate::{
    registry::check::{CheckResult, Checked},
    tls::{ClientConfigError, Roots},
};

/// Maximum size of the body of an answer in bytes. Tokens and errors have a few kilobytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Maximum size of the headers of an answer in bytes. Registries send about one kilobyte.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Maximum number of headers of an answer.
const MAX_HEADERS: usize = 100;

/// Time after which a connection without a request is closed. Firewalls drop idle connections after minutes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum number of idle connections to a host. A rollout asks for a few images at once.
const MAX_IDLE_CONNECTIONS: usize = 4;

/// The name of the program in requests.
const PROGRAM: &str = concat!("imageswap/", env!("CARGO_PKG_VERSION"));

/// The end of the detail about a server that answers the handshake of TLS with something else.
pub(super) const WITHOUT_TLS: &str = "does not seem to speak TLS";

/// The body of a request.
pub(super) type Body = Full<Bytes>;

/// Sends requests over connections that are kept.
pub(super) struct Transport(Client<Connector, Body>);

impl Transport {
    /// Creates a transport that trusts `roots` and those of the system.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub(super) fn new(roots: Option<&Roots>, proxies: Proxies) -> Result<Self, ClientConfigError> {
        let connector = Connector::new(roots, proxies)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .http1_max_buf_size(MAX_HEADER_BYTES)
            .http1_max_headers(MAX_HEADERS)
            .build(connector);
        Ok(Self(client))
    }

    /// Sends a request; one that changes nothing is sent again if its connection breaks. The caller sets the timeout.
    ///
    /// A registry may close a connection that is kept just when the next request is sent.
    ///
    /// # Errors
    /// If there is no answer.
    pub(super) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, Checked> {
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(PROGRAM));
        let copy = request.method().is_safe().then(|| request.clone());
        let failure = match self.0.request(request).await {
            Ok(answer) => return Ok(answer),
            Err(error) => (error.is_connect(), failure_of(&error)),
        };
        match (failure, copy) {
            ((false, failure), Some(copy)) if failure.result == CheckResult::Unreachable => {
                self.0.request(copy).await.map_err(|error| failure_of(&error))
            }
            ((_, failure), _) => Err(failure),
        }
    }
}

/// Reads the body of an answer.
///
/// # Errors
/// If it is too large, or was cut.
pub(super) async fn read(body: Incoming) -> Result<Bytes, Checked> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let detail = format!("the answer is larger than {MAX_BODY_BYTES} bytes");
            Err(failed(CheckResult::Invalid, &detail))
        }
        Err(error) => Err(failure(&*error)),
    }
}

/// Returns the result of a request that ended with an error. The error itself names no more than its kind.
fn failure_of(error: &legacy::Error) -> Checked {
    error.source().map_or_else(|| failure(error), failure)
}

/// Returns the result of an exchange that ended with an error.
fn failure(error: &(dyn Error + 'static)) -> Checked {
    let mut result = CheckResult::Unreachable;
    let mut detail = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if is_timeout(error) {
            result = CheckResult::TimedOut;
        } else if is_too_much_data(error) {
            result = CheckResult::Unavailable;
        } else if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            result = CheckResult::Invalid;
        }
        let text = error.to_string();
        // Some errors name their source themselves.
        if !detail.ends_with(&text) {
            let separator = if detail.is_empty() { "" } else { ": " };
            let _ = write!(detail, "{separator}{text}");
        }
        next = error.source();
    }
    if detail.ends_with("InvalidContentType") {
        let _ = write!(detail, "; the server {WITHOUT_TLS}");
    } else if detail.contains("UnknownIssuer") {
        detail.push_str("; add the CA of the registry to IMAGESWAP_REGISTRY_CA_FILE");
    }
    failed(result, &detail)
}

fn is_too_much_data(error: &(dyn Error + 'static)) -> bool {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    inner.is_some_and(<dyn Error + Send + Sync>::is::<TooMuchData>)
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}
