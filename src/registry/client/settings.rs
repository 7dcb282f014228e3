//! The settings of the client.

use crate::registry::RegistryHost;

/// The hosts for which the client makes exceptions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientSettings {
    /// Registries that are asked over plain HTTP.
    pub plain_http: Vec<RegistryHost>,
    /// Hosts that token requests and redirects may go to, besides the registry itself.
    pub allowed_hosts: Vec<RegistryHost>,
}
