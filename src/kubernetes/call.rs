//! Calls to the API server, with a timeout, and with errors that name the call.

use std::{fmt::Display, future::Future, time::Duration};

use crate::{excerpt::excerpt, innermost::innermost, tls::CertificateError};

/// Timeout for a call. The API server itself gives up on most calls after a minute. A slow call is not worth the wait,
/// because it is repeated anyway.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum length of a message of the API server, in bytes. The message about a refused template lists every wrong
/// field; the first few are enough to start with.
const MAX_REASON_BYTES: usize = 768;

/// An error of a call to the API server, or in an object of the cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is no kubeconfig, and the service account of a pod cannot be used.
    #[error("no way to reach a cluster: {0}")]
    Unreachable(String),
    /// The API server refused a call, or did not answer.
    #[error("{action}: {reason}")]
    Call {
        /// The call, in the imperative.
        action: String,
        /// The HTTP status of the refusal; `None` if there was no answer.
        status: Option<u16>,
        /// The message of the API server, or the error of the call.
        reason: String,
    },
    /// Another client has changed the object since it was read. The reconcile is repeated at once.
    #[error("{action}: changed by another client: {reason}")]
    Conflict {
        /// The call, in the imperative.
        action: String,
        /// The message of the API server.
        reason: String,
    },
    /// A kubeconfig cannot be used. The text names the file and the mistake.
    #[error("{0}")]
    Kubeconfig(String),
    /// A certificate could not be created or read.
    #[error(transparent)]
    Certificate(Box<CertificateError>),
    /// The content of an object of the cluster is invalid.
    #[error("{object}: {reason}")]
    Content {
        /// Kind and name of the object, and the key if one is at fault.
        object: String,
        /// The mistake, and the requirement.
        reason: String,
    },
}

impl From<CertificateError> for ClusterError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(Box::new(error))
    }
}

impl ClusterError {
    /// Creates an error about the invalid content of an object.
    pub fn content(object: impl Display, reason: impl Display) -> Self {
        Self::Content { object: object.to_string(), reason: reason.to_string() }
    }

    /// Returns true if the API server refused the content of an object, as opposed to the call.
    #[must_use]
    pub fn is_refusal_of_content(&self) -> bool {
        matches!(self, Self::Call { status: Some(400 | 422), .. })
    }

    /// Converts a conflict, which would be repeated, into a refusal, which is reported.
    #[must_use]
    pub fn into_refusal(self) -> Self {
        match self {
            Self::Conflict { action, reason } => Self::Call { action, status: Some(409), reason },
            error => error,
        }
    }
}

/// Makes a call; `action` describes it in the imperative, for errors.
///
/// # Errors
/// If the API server refuses the call, or does not answer in time.
pub async fn call<T>(
    action: String,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, ClusterError> {
    call_within(TIMEOUT, action, request).await
}

/// Makes a call with a timeout of `limit`.
///
/// # Errors
/// As [`call`].
pub async fn call_within<T>(
    limit: Duration,
    action: String,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(limit, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
            Err(ClusterError::Conflict { action, reason: shorten(&status.message) })
        }
        Ok(Err(error)) => {
            let status = match &error {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            };
            Err(ClusterError::Call { action, status, reason: reason(&error) })
        }
        Err(_) => {
            let reason = format!("no answer within {} s", limit.as_secs());
            Err(ClusterError::Call { action, status: None, reason })
        }
    }
}

/// Returns the message of an error, without the names of its Rust types.
pub(super) fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => shorten(&status.message),
        error => shorten(&innermost(error)),
    }
}

/// Returns a message of the API server for an error or the log.
pub(super) fn shorten(message: &str) -> String {
    excerpt(message, MAX_REASON_BYTES).into_owned()
}
