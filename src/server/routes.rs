//! Requests to answers: the webhook, the probes and the metrics.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tracing::{Level, debug, enabled, error, field, warn};

use super::{
    Port, Service,
    answer::{Answer, JSON, http_status},
    body::{BodyBudget, BodyError},
};
use crate::{
    admission::{Edit, Facts, Plan, Review, plan},
    excerpt::{MAX_VALUE_BYTES, excerpt},
    metrics::{self, Method, Path, Status},
};

/// Maximum number of changes of one review that are logged.
const MAX_LOGGED_CHANGES: usize = 64;

/// Maximum length of a request's uid in the log, in bytes; those of API servers have 36.
const MAX_UID_BYTES: usize = 64;

/// Maximum length of the name of a kind in the log, in bytes.
const MAX_KIND_BYTES: usize = 63;

/// Maximum length of the name of a namespace in Kubernetes, in bytes: that of a DNS label (RFC 1123).
const MAX_NAMESPACE_BYTES: usize = 63;

/// Maximum length of an error in the log, in bytes: a sentence of this program with a value of the peer in it. With
/// it a line stays below 1 KiB, whatever has to be escaped.
const MAX_ERROR_BYTES: usize = MAX_VALUE_BYTES + 128;

/// Answers a request, and counts it. `others` are the requests of its connection that are in flight.
pub(super) async fn answer(
    service: &Service,
    port: &Port,
    request: Request<Incoming>,
    others: u64,
) -> Response<Full<Bytes>> {
    let begun = Instant::now();
    let (method, path) = (method(&request), path(&request));
    let answer = match route(service, port, path, method, &request) {
        Some(answer) => {
            BodyBudget::discard(request.into_body()).await;
            answer
        }
        None => mutate(service, request, others).await,
    };
    let status = answer.status;
    let budget = if matches!(port, Port::Webhook(_)) && path == Path::Metrics {
        &service.pages
    } else {
        &service.bodies
    };
    let response = answer.into_response(budget);
    let status = if response.is_some() { status } else { Status::ServiceUnavailable };
    let mut response = response.unwrap_or_else(Answer::out_of_memory);
    service.metrics.http(method, path, status, begun.elapsed());
    if method == Method::Head {
        // Over HTTP/2 hyper would send the body all the same.
        let length = response.body().size_hint().lower();
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        *response.body_mut() = Full::default();
    }
    response
}

/// The answer to a request whose body does not matter; none for a review.
fn route(
    service: &Service,
    port: &Port,
    path: Path,
    method: Method,
    request: &Request<Incoming>,
) -> Option<Answer> {
    Some(match (path, method) {
        (Path::Root | Path::Mutate, _) if matches!(port, Port::Admin) => Answer::error(
            Status::NotFound,
            "reviews are not answered on this port",
            "post them to the port of the webhook, over TLS",
        ),
        (Path::Root | Path::Mutate, Method::Post) => {
            let refusal = access_refusal(port).or_else(|| content_type_refusal(request))?;
            service.complain(&refusal);
            refusal
        }
        (Path::Healthz, Method::Get | Method::Head) => healthz(service),
        (Path::Livez, Method::Get | Method::Head) => {
            Answer::json(Status::Ok, &json!({ "live": true }))
        }
        (Path::Readyz, Method::Get | Method::Head) => readyz(service),
        (Path::Metrics, Method::Get | Method::Head) => metrics_page(service),
        (Path::Other, _) => Answer::error(
            Status::NotFound,
            format!("there is nothing at {}", excerpt(request.uri().path(), MAX_VALUE_BYTES)),
            "POST / and /mutate; GET /healthz, /livez, /readyz and /metrics",
        ),
        (Path::Root | Path::Mutate, _) => Answer::method_not_allowed("POST"),
        (Path::Healthz | Path::Livez | Path::Readyz | Path::Metrics, _) => {
            Answer::method_not_allowed("GET, HEAD")
        }
    })
}

impl Service {
    /// Logs that a review was refused, which the user whose pod is not created will ask about.
    fn complain(&self, refusal: &Answer) {
        if let Some(suppressed) = self.complaints.refused(refusal.status).pass() {
            let status = http_status(refusal.status).as_u16();
            let error = &*excerpt(&refusal.error, MAX_ERROR_BYTES);
            warn!(status, error, suppressed, "a request for a review was refused");
        }
    }
}

async fn mutate(service: &Service, request: Request<Incoming>, others: u64) -> Answer {
    let limits = &service.limits;
    let body = service
        .bodies
        .gather(request.into_body(), limits.max_body_bytes, limits.body_timeout, others)
        .await;
    let answer = match body {
        Ok(body) => guarded_review(service, &body),
        Err(error) => body_error(&error),
    };
    if answer.status != Status::Ok {
        service.complain(&answer);
    }
    answer
}

fn guarded_review(service: &Service, body: &[u8]) -> Answer {
    // A fault in the rules must cost one answer, not all streams of the connection.
    catch_unwind(AssertUnwindSafe(|| review(service, body))).unwrap_or_else(|_| {
        error!("a review could not be answered: the handler panicked");
        Answer::error(
            Status::InternalServerError,
            "the review could not be answered",
            "this is a fault of imageswap; its log says more",
        )
    })
}

fn review(service: &Service, body: &[u8]) -> Answer {
    let begun = Instant::now();
    let world = service.world.load();
    let Some(world) = world.as_deref() else {
        return Answer::error(
            Status::ServiceUnavailable,
            "no map is loaded yet",
            "GET /readyz says what is missing",
        );
    };
    let review = match Review::from_slice(body) {
        Ok(review) => review,
        Err(error) => {
            service.metrics.invalid_review();
            return Answer::error(Status::BadRequest, &error, error.hint());
        }
    };
    let plan = plan(&review, world);
    let response = plan.settle(&Facts::default()).to_json(&review);
    service.metrics.review(&plan, begun.elapsed());
    if enabled!(Level::DEBUG) {
        log(&review, &plan);
    }
    Answer::new(Status::Ok, JSON, response)
}

fn log(review: &Review<'_>, plan: &Plan<'_>) {
    let request = review.request();
    let uid = &*excerpt(request.uid(), MAX_UID_BYTES);
    debug!(
        uid,
        kind = &*excerpt(request.kind(), MAX_KIND_BYTES),
        operation = plan.operation.as_str(),
        namespace = &*excerpt(request.namespace(), MAX_NAMESPACE_BYTES),
        name = &*excerpt(request.name(), MAX_VALUE_BYTES),
        outcome = plan.outcome.as_str(),
        changes = plan.edits.len(),
        "reviewed"
    );
    for Edit::Image { at, from, to, rule } in plan.edits.iter().take(MAX_LOGGED_CHANGES) {
        let swapped = to.to_string();
        debug!(
            uid,
            %at,
            from = &*excerpt(from, MAX_VALUE_BYTES),
            to = &*excerpt(&swapped, MAX_VALUE_BYTES),
            rule = rule.map(|rule| field::display(rule.place())),
            "image swapped"
        );
    }
    let more = plan.edits.len().saturating_sub(MAX_LOGGED_CHANGES);
    if more > 0 {
        debug!(uid, more, "more images swapped");
    }
}

/// The answer to a client that may not ask for reviews.
///
/// It is 403 and not 401, which has to name a way to authenticate within HTTP (RFC 9110, section
/// 15.5.2): a certificate belongs to the connection.
fn access_refusal(port: &Port) -> Option<Answer> {
    let Port::Webhook(access) = port else { return None };
    let objection = access.objection()?;
    let error = format!("imageswap answers known clients only, and {objection}");
    let hint = "the API server has to present a certificate that an authority in \
                IMAGESWAP_CLIENT_CA_FILE has signed";
    Some(Answer::error(Status::Forbidden, error, hint))
}

fn content_type_refusal(request: &Request<Incoming>) -> Option<Answer> {
    let value = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let media_type = value.unwrap_or_default().split(|&byte| byte == b';').next();
    if media_type.unwrap_or_default().trim_ascii().eq_ignore_ascii_case(b"application/json") {
        return None;
    }
    let error = match value {
        Some(value) => {
            let value = String::from_utf8_lossy(value);
            format!("Content-Type is {}", excerpt(&value, MAX_VALUE_BYTES))
        }
        None => "there is no Content-Type".to_owned(),
    };
    let hint = "post an AdmissionReview with `Content-Type: application/json`";
    Some(Answer::error(Status::UnsupportedMediaType, error, hint))
}

fn body_error(error: &BodyError) -> Answer {
    let (status, hint) = match error {
        BodyError::TooLarge { .. } => {
            (Status::PayloadTooLarge, "raise the limit if requests are really that large")
        }
        BodyError::TimedOut(_) => (Status::RequestTimeout, "send the whole body at once"),
        BodyError::OutOfMemory | BodyError::TooManyWaiting => {
            (Status::ServiceUnavailable, "try again")
        }
        BodyError::Unreadable(_) => (Status::BadRequest, "send a complete body"),
    };
    Answer::error(status, error, hint)
}

/// The answer of the original's health check.
fn healthz(service: &Service) -> Answer {
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    Answer::json(
        Status::Ok,
        &json!({ "pod_name": &*service.pod_name, "date_time": now, "health": "ok" }),
    )
}

fn readyz(service: &Service) -> Answer {
    let reasons = service.health.reasons();
    let status = if reasons.is_empty() { Status::Ok } else { Status::ServiceUnavailable };
    Answer::json(status, &json!({ "ready": reasons.is_empty(), "reasons": reasons }))
}

fn metrics_page(service: &Service) -> Answer {
    let content_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
    Answer::new(Status::Ok, content_type, service.metrics.render())
}

fn method(request: &Request<Incoming>) -> Method {
    match *request.method() {
        hyper::Method::GET => Method::Get,
        hyper::Method::HEAD => Method::Head,
        hyper::Method::POST => Method::Post,
        _ => Method::Other,
    }
}

fn path(request: &Request<Incoming>) -> Path {
    let path = request.uri().path();
    match path {
        "/healthz" => Path::Healthz,
        "/livez" => Path::Livez,
        "/readyz" => Path::Readyz,
        "/metrics" => Path::Metrics,
        _ => review_path(path).unwrap_or(Path::Other),
    }
}

/// Returns true if `POST path` is answered as a review.
///
/// Slashes that are doubled or at the end do not count: whoever writes `clientConfig.service.path` or the URL of a
/// webhook may join parts that both have one.
#[must_use]
pub fn answers_reviews_at(path: &str) -> bool {
    review_path(path).is_some()
}

fn review_path(path: &str) -> Option<Path> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    match (segments.next(), segments.next()) {
        (None, _) => Some(Path::Root),
        (Some("mutate"), None) => Some(Path::Mutate),
        _ => None,
    }
}
