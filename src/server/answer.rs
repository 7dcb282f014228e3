//! Answers, independent of HTTP.
//!
//! Every error is a Kubernetes Status. The API server passes the message of a Status on to the user who creates the
//! pod; for any other body it reports that the server "did not return more information"
//! (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>). The only exception is the answer
//! without a body while the memory for answers is used up.

use std::fmt::Display;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
        REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use serde_json::{Value, json};

use super::{body::BodyBudget, vocabulary::Status};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer, independent of HTTP.
pub(super) struct Answer {
    pub(super) status: Status,
    /// The error in the request, for the log; empty for an answer that is not an error.
    pub(super) error: String,
    content_type: HeaderValue,
    headers: Headers,
    body: Bytes,
}

/// The headers of an answer besides its Content-Type.
#[derive(Clone, Copy)]
enum Headers {
    /// The methods of a path that does not have the one of the request.
    Allow(&'static str),
    /// Those of a page for a browser, with its Content-Security-Policy.
    Browser(&'static str),
    None,
}

/// Headers that keep other pages from reading or framing a page, and browsers from keeping it.
const BROWSER_HEADERS: [(HeaderName, HeaderValue); 6] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (VARY, HeaderValue::from_static("accept")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

impl Answer {
    pub(super) fn new(status: Status, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            headers: Headers::None,
            body: body.into(),
            error: String::new(),
        }
    }

    pub(super) fn json(status: Status, body: &Value) -> Self {
        Self::new(status, JSON, body.to_string())
    }

    /// Creates an error answer: a Status with the error and advice how to avoid it.
    pub(super) fn error(status: Status, error: impl Display, hint: &str) -> Self {
        let error = error.to_string();
        let body = json!({
            "apiVersion": "v1",
            "kind": "Status",
            "status": "Failure",
            "reason": status.reason(),
            "code": status.code().as_u16(),
            "message": format!("{error}; {hint}"),
        });
        Self { error, ..Self::json(status, &body) }
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let hint = format!("use {allow}");
        Self::error(Status::MethodNotAllowed, "this path has no such method", &hint).allowing(allow)
    }

    /// Adds the methods that the path has.
    pub(super) fn allowing(self, methods: &'static str) -> Self {
        Self { headers: Headers::Allow(methods), ..self }
    }

    /// Adds the headers of a page for a browser.
    pub(super) fn for_browsers(self, content_security_policy: &'static str) -> Self {
        Self { headers: Headers::Browser(content_security_policy), ..self }
    }

    /// Converts the answer to an HTTP response; `None` if the body exceeds the budget.
    pub(super) fn into_response(self, bodies: &BodyBudget) -> Option<Response<Full<Bytes>>> {
        let mut response = Response::new(Full::new(bodies.hold(self.body)?));
        *response.status_mut() = self.status.code();
        response.headers_mut().insert(CONTENT_TYPE, self.content_type);
        match self.headers {
            Headers::Allow(methods) => {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
            }
            Headers::Browser(policy) => {
                response.headers_mut().extend(BROWSER_HEADERS);
                let policy = HeaderValue::from_static(policy);
                response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
            }
            Headers::None => {}
        }
        Some(response)
    }

    /// Creates the answer while the memory for answers is used up. It has no body, which would need memory.
    pub(super) fn out_of_memory() -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    }
}
