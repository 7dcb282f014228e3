//! The ports of the server, and the purpose of a connection.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use super::access::Access;
use crate::tls::ClientTrust;

/// The purpose of a port.
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
    /// Writes only the name: the acceptor contains keys.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Admin => "Admin",
            Self::Webhook { .. } => "Webhook",
        })
    }
}

/// The purpose of a connection, which follows from its port.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Probes and metrics.
    Admin,
    /// All paths; reviews only for clients that may post them.
    Webhook(Access),
}
