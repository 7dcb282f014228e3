//! Decides which clients may post reviews.

use std::sync::Arc;

use time::OffsetDateTime;
use tokio_rustls::rustls::ServerConnection;

use crate::tls::{ClientTrust, KnownClient};

/// The access of the client of a connection.
#[derive(Debug)]
pub(super) enum Access {
    /// Client authentication is off.
    Unrestricted,
    /// The client presented a certificate, which was valid at the handshake.
    Known(KnownClient),
    /// The client presented no certificate, but needs one.
    Unknown,
}

impl Access {
    /// Returns the access of a client after its handshake. If `trust` is `None`, client authentication is off.
    pub(super) fn of(trust: Option<&Arc<ClientTrust>>, connection: &ServerConnection) -> Self {
        let Some(trust) = trust else { return Self::Unrestricted };
        let chain = connection.peer_certificates().unwrap_or_default();
        let client = KnownClient::new(trust.clone(), chain, OffsetDateTime::now_utc());
        client.map_or(Self::Unknown, Self::Known)
    }

    /// Returns the reason to refuse a review from the client now; `None` if there is none.
    pub(super) fn refusal_reason(&self) -> Option<&'static str> {
        match self {
            Self::Unrestricted => None,
            Self::Known(client) if client.is_trusted(OffsetDateTime::now_utc()) => None,
            Self::Known(_) => Some(
                "the certificate of this client has expired, or its authority is no longer one of those \
                 in IMAGESWAP_CLIENT_CA_FILE",
            ),
            Self::Unknown => Some("this client has shown no certificate"),
        }
    }
}
