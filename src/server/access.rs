//! Who may ask for reviews.

use std::sync::Arc;

use time::OffsetDateTime;
use tokio_rustls::rustls::ServerConnection;

use crate::certs::{ClientTrust, KnownClient};

/// What is known of the client of one connection.
#[derive(Debug)]
pub(super) enum Access {
    /// Nobody asks who it is.
    Everybody,
    /// It has a certificate, which was good at the handshake.
    Known(KnownClient),
    /// It should have a certificate, and has none.
    Unknown,
}

impl Access {
    /// What the handshake has shown of a client, when these are the ones that are trusted.
    pub(super) fn of(trust: Option<&Arc<ClientTrust>>, connection: &ServerConnection) -> Self {
        let Some(trust) = trust else { return Self::Everybody };
        let chain = connection.peer_certificates().unwrap_or_default();
        let client = KnownClient::new(trust.clone(), chain, OffsetDateTime::now_utc());
        client.map_or(Self::Unknown, Self::Known)
    }

    /// Why the client may not ask for a review now; none when it may.
    pub(super) fn objection(&self) -> Option<&'static str> {
        match self {
            Self::Everybody => None,
            Self::Known(client) if client.is_trusted(OffsetDateTime::now_utc()) => None,
            Self::Known(_) => Some(
                "the certificate of this client has ended, or its authority is no longer one of those \
                 in IMAGESWAP_CLIENT_CA_FILE",
            ),
            Self::Unknown => Some("this client has shown no certificate"),
        }
    }
}
