//! The TLS settings of a client that trusts given roots, and no others.

use std::sync::Arc;

use tokio_rustls::{
    TlsConnector,
    rustls::{self, ClientConfig, RootCertStore, crypto::ring},
};

use super::Roots;

/// Creates a connector that accepts servers whose certificate one of `roots` has signed.
///
/// # Errors
/// If the library refuses its own defaults.
pub fn connector(roots: &Roots) -> Result<TlsConnector, rustls::Error> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.all().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
