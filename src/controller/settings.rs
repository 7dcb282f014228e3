//! The settings of the controller.

/// What the controller does in its cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ControllerSettings {
    /// The namespace of Service and Secrets; `None` for that of the pod.
    pub namespace: Option<String>,
    /// The signer of the certificate; `None` for a certificate authority of the webhook's own.
    pub signer: Option<String>,
    /// Leaves the webhook configuration to somebody else.
    pub is_configuration_foreign: bool,
    /// The URL that the API server calls; `None` for the Service.
    pub url: Option<WebhookUrl>,
}

/// The URL of a webhook outside the cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebhookUrl {
    /// The URL.
    pub url: String,
    /// Its host: a name or an address, without brackets.
    pub host: String,
}
