//! Decides which clients may ask for reviews.

use std::sync::Arc;

use time::OffsetDateTime;
use tokio_rustls::rustls::ServerConnection;

use crate::tls::{ClientTrust, KnownClient};

/// The access of the client of one connection.
#[derive(Debug)]
pub(super) enum Access {
    /// Client authentication is off.
    Unrestricted,
    /// The client has a certificate, which was valid at the handshake.
    Known(KnownClient),
    /// The client has no certificate, and needs one.
    Unknown,
}

impl Access {
    /// Returns the access of a client after its handshake. Without `trust`, client authentication is off.
    pub(super) fn of(trust: Option<&Arc<ClientTrust>>, connection: &ServerConnection) -> Self {
        let Some(trust) = trust else { return Self::Unrestricted };
        let chain = connection.peer_certificates().unwrap_or_default();
        let client = KnownClient::new(trust.clone(), chain, OffsetDateTime::now_utc());
        client.map_or(Self::Unknown, Self::Known)
    }

    /// Returns why the client may not ask for a review now; `None` if it may.
    pub(super) fn objection(&self) -> Option<&'static str> {
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
