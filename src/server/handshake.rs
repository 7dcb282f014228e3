//! The kinds of failures of a TLS handshake.

use std::io;

use tokio_rustls::rustls;

use crate::closed_enum::closed_enum;

closed_enum! {
    /// The reason why a TLS handshake failed.
    pub(super) enum HandshakeFailure {
        /// The client refused it by an alert, for example because it does not trust the certificate.
        Alert => "alert",
        /// The certificate of the client is not valid.
        ClientCertificate => "client-certificate",
        /// The client closed or reset the connection.
        Closed => "closed",
        /// Any other reason, for example that no certificate is loaded yet.
        Other => "other",
        /// The client does not speak TLS, or offers nothing that the server supports.
        Protocol => "protocol",
        /// The client was too slow.
        Timeout => "timeout",
    }
}

impl HandshakeFailure {
    /// Returns the kind of the error of a handshake.
    pub(super) fn of(error: &io::Error) -> Self {
        if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref()) {
            return Self::of_tls(error);
        }
        match error.kind() {
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof => Self::Closed,
            // The system has given up on the connection.
            io::ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Other,
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        use rustls::Error;

        match error {
            Error::AlertReceived(_) => Self::Alert,
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => {
                Self::ClientCertificate
            }
            Error::DecryptError
            | Error::InappropriateHandshakeMessage { .. }
            | Error::InappropriateMessage { .. }
            | Error::InvalidMessage(_)
            | Error::NoApplicationProtocol
            | Error::PeerIncompatible(_)
            | Error::PeerMisbehaved(_)
            | Error::PeerSentOversizedRecord => Self::Protocol,
            _ => Self::Other,
        }
    }
}
