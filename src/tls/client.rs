//! The TLS settings of clients.

use std::sync::Arc;

use tokio_rustls::{
    TlsConnector,
    rustls::{self, ClientConfig, RootCertStore, crypto::ring},
};

use super::Roots;

/// An error for which there are no TLS settings.
pub type ClientConfigError = rustls::Error;

/// Creates a connector that accepts servers whose certificate one of `roots` has signed.
///
/// # Errors
/// If the library refuses its own defaults.
pub fn connector(roots: &Roots) -> Result<TlsConnector, rustls::Error> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.all().cloned());
    Ok(TlsConnector::from(Arc::new(config(store)?)))
}

/// Creates the settings of a client that accepts servers whose certificate one of `roots` or a root of the system has
/// signed. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the roots of the system.
///
/// A system without roots is no error, because `roots` may suffice.
///
/// # Errors
/// If the library refuses its own defaults.
pub fn client_config(roots: Option<&Roots>) -> Result<ClientConfig, ClientConfigError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store.add_parsable_certificates(roots.into_iter().flat_map(Roots::all).cloned());
    config(store)
}

fn config(store: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth())
}
