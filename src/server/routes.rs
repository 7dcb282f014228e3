//! Routes requests to the webhook, the probes, the metrics and the status page.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::timeout;

use super::{
    Method, Path, Service, Status, answer::Answer, body::BodyBudget, port::Purpose, review::mutate,
    status_page::StatusPages,
};
use crate::{
    excerpt::{MAX_VALUE_BYTES, excerpt},
    metrics,
};

/// Answers and counts a request. `others` is the number of requests in flight on the same connection.
pub(super) async fn answer(
    service: &Arc<Service>,
    purpose: &Purpose,
    request: Request<Incoming>,
    others: u64,
) -> Response<Full<Bytes>> {
    let started_at = Instant::now();
    let method = Method::of(request.method());
    let path = Path::of(request.uri().path());
    if path == Path::Startupz && matches!(method, Method::Get | Method::Head) {
        // The answer is the same at the end of the time: the readiness probe says what is missing.
        let _ = timeout(service.limits.startup_wait, service.readiness.started()).await;
    }
    let mut budget = if matches!(purpose, Purpose::Webhook(_)) && path == Path::Metrics {
        &service.pages
    } else {
        &service.bodies
    };
    let answer = match route(service, purpose, path, method, &request) {
        Route::Answer(answer) => {
            BodyBudget::discard(request.into_body()).await;
            answer
        }
        Route::Review => mutate(service, request, others).await,
        Route::StatusPage(pages) => {
            budget = &pages.budget;
            let answer = pages.answer(&request, service.metrics.images()).await;
            BodyBudget::discard(request.into_body()).await;
            answer
        }
    };
    let status = answer.status;
    let response = answer.into_response(budget);
    let status = if response.is_some() { status } else { Status::ServiceUnavailable };
    let mut response = response.unwrap_or_else(Answer::out_of_memory);
    service.metrics.request(method, path, status, started_at.elapsed());
    if method == Method::Head {
        // Over HTTP/2, hyper would send the body of an answer to HEAD.
        let length = response.body().size_hint().lower();
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        *response.body_mut() = Full::default();
    }
    response
}

/// The destination of a request.
enum Route<'a> {
    /// The answer is known, and the body is ignored.
    Answer(Answer),
    /// The body is a review.
    Review,
    /// The status page.
    StatusPage(&'a StatusPages),
}

/// Returns the destination of a request.
fn route<'a>(
    service: &'a Service,
    purpose: &Purpose,
    path: Path,
    method: Method,
    request: &Request<Incoming>,
) -> Route<'a> {
    let is_admin = matches!(purpose, Purpose::Admin);
    Route::Answer(match (path, method) {
        (Path::Root | Path::Mutate, _) if is_admin => match &service.status {
            Some(pages) if path == Path::Root => match method {
                Method::Get | Method::Head => return Route::StatusPage(pages),
                Method::Other | Method::Post => {
                    review_refusal(Status::MethodNotAllowed).allowing("GET, HEAD")
                }
            },
            None if path == Path::Root && matches!(method, Method::Get | Method::Head) => {
                let hint = "IMAGESWAP_STATUS_PAGE=true turns it on";
                Answer::error(Status::NotFound, "the status page is off", hint)
            }
            _ => review_refusal(Status::NotFound),
        },
        (Path::Root | Path::Mutate, Method::Post) => {
            match access_refusal(purpose).or_else(|| content_type_refusal(request)) {
                Some(refusal) => {
                    service.log_refusal(&refusal);
                    refusal
                }
                None => return Route::Review,
            }
        }
        (Path::Healthz, Method::Get | Method::Head) => healthz(service),
        (Path::Livez, Method::Get | Method::Head) => {
            Answer::json(Status::Ok, &json!({ "live": true }))
        }
        (Path::Readyz, Method::Get | Method::Head) => readyz(service, purpose),
        (Path::Startupz, Method::Get | Method::Head) => {
            Answer::json(Status::Ok, &json!({ "started": true }))
        }
        (Path::Metrics, Method::Get | Method::Head) => metrics_page(service),
        (Path::Other, _) => Answer::error(
            Status::NotFound,
            format!("there is nothing at {}", excerpt(request.uri().path(), MAX_VALUE_BYTES)),
            match &service.status {
                Some(_) if is_admin => "GET /, /healthz, /livez, /readyz, /startupz and /metrics",
                _ => "POST / and /mutate; GET /healthz, /livez, /readyz, /startupz and /metrics",
            },
        ),
        (Path::Root | Path::Mutate, _) => Answer::method_not_allowed("POST"),
        (Path::Healthz | Path::Livez | Path::Readyz | Path::Startupz | Path::Metrics, _) => {
            Answer::method_not_allowed("GET, HEAD")
        }
    })
}

/// Returns the answer of the admin port to a review.
fn review_refusal(status: Status) -> Answer {
    let hint = "post them to the port of the webhook, over TLS";
    Answer::error(status, "reviews are not answered on this port", hint)
}

/// Returns the refusal for a client that may not post reviews; `None` if it may.
///
/// The status is 403, because 401 has to name an authentication scheme of HTTP (RFC 9110, section 15.5.2), and a client
/// certificate belongs to the connection.
fn access_refusal(purpose: &Purpose) -> Option<Answer> {
    let Purpose::Webhook(access) = purpose else { return None };
    let reason = access.refusal_reason()?;
    let error = format!("imageswap answers known clients only, and {reason}");
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

/// Returns the answer of the health check, as in the original.
fn healthz(service: &Service) -> Answer {
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    Answer::json(
        Status::Ok,
        &json!({ "pod_name": &*service.pod_name, "date_time": now, "health": "ok" }),
    )
}

/// Returns the answer of the readiness probe.
///
/// On the admin port, where the kubelet probes, the answer does not depend on the shutdown: the kubelet has caused it.
/// On the webhook port it fails from SIGTERM on, so that a load balancer sends no new connections to a port that closes.
fn readyz(service: &Service, purpose: &Purpose) -> Answer {
    let readiness = &service.readiness;
    let reasons = match purpose {
        Purpose::Admin => {
            let obstacles = readiness.obstacles();
            readiness.record_probe(obstacles.is_empty(), Instant::now());
            obstacles
        }
        Purpose::Webhook(_) => readiness.reasons(),
    };
    let status = if reasons.is_empty() { Status::Ok } else { Status::ServiceUnavailable };
    Answer::json(status, &json!({ "ready": reasons.is_empty(), "reasons": reasons }))
}

fn metrics_page(service: &Service) -> Answer {
    service.metrics.readiness(service.readiness.obstacles().is_empty());
    if let Some(targets) = &service.targets {
        targets.resolver().update_gauges();
    }
    let content_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
    Answer::new(Status::Ok, content_type, service.registry.render())
}
