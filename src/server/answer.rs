//! Answers, independent of HTTP.
//!
//! Every error is a Kubernetes Status. The API server passes the message of a Status on to the user who creates the
//! pod; for any other body it reports that the server "did not return more information"
//! (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>).

use std::fmt::Display;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
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
    allow: Option<HeaderValue>,
    body: Bytes,
}

impl Answer {
    pub(super) fn new(status: Status, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, allow: None, body: body.into(), error: String::new() }
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
        let answer = Self::error(Status::MethodNotAllowed, "this path has no such method", &hint);
        Self { allow: Some(HeaderValue::from_static(allow)), ..answer }
    }

    /// Converts the answer to an HTTP response; `None` if the body exceeds the budget.
    pub(super) fn into_response(self, bodies: &BodyBudget) -> Option<Response<Full<Bytes>>> {
        let mut response = Response::new(Full::new(bodies.hold(self.body)?));
        *response.status_mut() = self.status.code();
        response.headers_mut().insert(CONTENT_TYPE, self.content_type);
        if let Some(allow) = self.allow {
            response.headers_mut().insert(ALLOW, allow);
        }
        Some(response)
    }

    pub(super) fn out_of_memory() -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    }
}
