//! Answers before they are HTTP.
//!
//! Every error is a Status of Kubernetes. Of such a body the API server hands the message on to whoever creates the
//! pod; of any other it says that the server "did not return more information"
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

/// An answer before it is HTTP.
pub(super) struct Answer {
    pub(super) status: Status,
    /// The error in the request, for the log; empty if there is none.
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

    /// Makes an error of what is wrong and what would be right.
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

    /// Returns `None` if the body does not fit in the memory.
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
