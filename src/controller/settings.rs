//! Settings of the controller.

use crate::https_url::HttpsUrl;

/// Settings of the controller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ControllerSettings {
    /// Namespace of the Service and the Secrets; `None` for the namespace of the pod.
    pub namespace: Option<String>,
    /// Name of the signer of the certificate; `None` for the webhook's own certificate authority.
    pub signer: Option<String>,
    /// True if another party manages the webhook configuration.
    pub is_configuration_foreign: bool,
    /// URL that the API server calls; `None` for the Service.
    pub url: Option<HttpsUrl>,
}
