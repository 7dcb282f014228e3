//! The methods, paths and statuses of HTTP that the server uses.

use hyper::StatusCode;

use crate::{admission::ReviewPath, closed_enum::closed_enum};

closed_enum! {
    /// The method of a request.
    pub enum Method {
        /// `GET`.
        Get => "GET",
        /// `HEAD`.
        Head => "HEAD",
        /// Any other method.
        Other => "other",
        /// `POST`.
        Post => "POST",
    }
}

closed_enum! {
    /// The path of a request.
    pub enum Path {
        /// The health check of the original.
        Healthz => "/healthz",
        /// The liveness probe.
        Livez => "/livez",
        /// The metrics.
        Metrics => "/metrics",
        /// Reviews.
        Mutate => "/mutate",
        /// Any other path.
        Other => "other",
        /// The readiness probe.
        Readyz => "/readyz",
        /// Reviews; the status page on the admin port.
        Root => "/",
        /// The startup probe.
        Startupz => "/startupz",
    }
}

closed_enum! {
    /// The status of an answer.
    pub enum Status {
        /// OK.
        Ok => "200",
        /// The request is not valid.
        BadRequest => "400",
        /// The client may not post reviews, or has asked for the status page of another host.
        Forbidden => "403",
        /// The path does not exist.
        NotFound => "404",
        /// The path does not support the method.
        MethodNotAllowed => "405",
        /// The body did not arrive in time.
        RequestTimeout => "408",
        /// The body is too large.
        PayloadTooLarge => "413",
        /// The Content-Type of the body is not JSON.
        UnsupportedMediaType => "415",
        /// An error of this program.
        InternalServerError => "500",
        /// The server cannot answer now.
        ServiceUnavailable => "503",
    }
}

impl Method {
    /// Returns the method of a request.
    pub(super) fn of(method: &hyper::Method) -> Self {
        match *method {
            hyper::Method::GET => Self::Get,
            hyper::Method::HEAD => Self::Head,
            hyper::Method::POST => Self::Post,
            _ => Self::Other,
        }
    }
}

impl Path {
    /// Returns the path of a request.
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/healthz" => Self::Healthz,
            "/livez" => Self::Livez,
            "/readyz" => Self::Readyz,
            "/startupz" => Self::Startupz,
            "/metrics" => Self::Metrics,
            _ => match ReviewPath::parse(path) {
                Some(ReviewPath::Mutate) => Self::Mutate,
                Some(ReviewPath::Root) => Self::Root,
                None => Self::Other,
            },
        }
    }
}

impl Status {
    /// Returns the status code.
    #[must_use]
    pub fn code(self) -> StatusCode {
        match self {
            Self::Ok => StatusCode::OK,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InternalServerError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the reason as Kubernetes names it (`k8s.io/apimachinery/pkg/apis/meta/v1`, `StatusReason`).
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Ok => "",
            Self::BadRequest => "BadRequest",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::RequestTimeout => "Timeout",
            Self::PayloadTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::InternalServerError => "InternalError",
            Self::ServiceUnavailable => "ServiceUnavailable",
        }
    }
}
