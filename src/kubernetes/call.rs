//! Calls to the API server: within a time, and with errors that say what was asked for.

use std::{error::Error, fmt::Display, future::Future, time::Duration};

use crate::{excerpt::excerpt, tls::CertificateError};

/// How long a call may take. The API server itself gives up on most after a minute; a call that
/// takes longer than this is not worth waiting for, because it will be repeated.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum length of a message of the API server, in bytes. A refused template is named field by field; the first few
/// are enough to begin with.
const MAX_REASON_BYTES: usize = 768;

/// Why something in the cluster could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Neither a kubeconfig nor the files of a pod's service account can be used.
    #[error("no way to reach a cluster: {0}")]
    Unreachable(String),
    /// The API server refused a call, or could not be asked.
    #[error("{action}: {reason}")]
    Call {
        /// What was asked for.
        action: String,
        /// The HTTP status of the refusal; `None` if there was no answer.
        status: Option<u16>,
        /// Its message.
        reason: String,
    },
    /// The object has been changed by another since it was read. To be repeated at once.
    #[error("{action}: another replica was faster: {reason}")]
    Conflict {
        /// What was asked for.
        action: String,
        /// The message of the API server.
        reason: String,
    },
    /// A certificate could not be made or read.
    #[error(transparent)]
    Certificate(Box<CertificateError>),
    /// An object of the cluster does not hold what it should.
    #[error("{object}: {reason}")]
    Content {
        /// The kind and name, and the key where it matters.
        object: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
}

impl From<CertificateError> for ClusterError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(Box::new(error))
    }
}

impl ClusterError {
    /// Makes an error about an object that does not hold what it should.
    pub fn content(object: impl Display, reason: impl Display) -> Self {
        Self::Content { object: object.to_string(), reason: reason.to_string() }
    }

    /// Turns a conflict, which is repeated, into a refusal, which is reported.
    #[must_use]
    pub fn into_refusal(self) -> Self {
        match self {
            Self::Conflict { action, reason } => Self::Call { action, status: Some(409), reason },
            error => error,
        }
    }
}

/// Makes a call; `action` says in the imperative what it does.
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
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(ClusterError::Conflict {
            action,
            reason: excerpt(&status.message, MAX_REASON_BYTES).into_owned(),
        }),
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

/// What an error says, without the names that Rust has for its kinds.
pub(super) fn reason(error: &kube::Error) -> String {
    let reason = match error {
        kube::Error::Api(status) => status.message.clone(),
        error => innermost(error),
    };
    excerpt(&reason, MAX_REASON_BYTES).into_owned()
}

/// What an error says at its root: the outer ones only say that there is an inner one.
pub fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
