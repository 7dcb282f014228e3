//! The ports of the server, and the purpose of a connection.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use super::access::Access;
use crate::tls::ClientTrust;

/// What a port is for.
#[derive(Clone)]
pub enum Port {
    /// Probes and metrics, over plain HTTP.
    Admin,
    /// Everything, over TLS.
    Webhook {
        /// The acceptor of TLS connections.
        tls: TlsAcceptor,
        /// The clients that may ask for reviews; `None` if client authentication is off.
        clients: Option<Arc<ClientTrust>>,
    },
}

impl std::fmt::Debug for Port {
    /// Shows the name alone: the acceptor holds keys.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Admin => "Admin",
            Self::Webhook { .. } => "Webhook",
        })
    }
}

/// What a connection is for, by the port that it came to.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Probes and metrics.
    Admin,
    /// Everything; reviews only for clients that may ask for them.
    Webhook(Access),
}
