//! Settings of the webhook in its cluster.

use super::{
    ClusterArguments, SettingsError, table,
    value::{Setting, given},
};
use crate::{
    controller::ControllerSettings, https_url::HttpsUrl, namespace::is_namespace,
    sources::FollowedFile,
};

/// Settings of the webhook in its cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterSettings {
    /// Settings of the controller.
    pub controller: ControllerSettings,
    /// Template of the webhook configuration.
    pub template: FollowedFile,
}

impl ClusterArguments {
    pub(super) fn parse(&self) -> Result<ClusterSettings, SettingsError> {
        let controller = ControllerSettings {
            namespace: namespace(&self.namespace_name)?,
            signer: checked(table::CSR_SIGNER_NAME, &self.csr_signer_name, is_signer)?,
            is_configuration_foreign: table::DISABLE_AUTO_MWC.boolean(&self.disable_auto_mwc)?,
            url: given(&self.webhook_url).map(webhook_url).transpose()?,
        };
        let template = table::MWC_TEMPLATE_FILE.followed_file(&self.mwc_template_file);
        Ok(ClusterSettings { controller, template })
    }
}

/// Returns the namespace that is given, if any.
#[expect(clippy::ref_option, reason = "the fields of the arguments are passed as they are")]
pub(super) fn namespace(value: &Option<String>) -> Result<Option<String>, SettingsError> {
    checked(table::NAMESPACE_NAME, value, is_namespace)
}

#[expect(clippy::ref_option, reason = "the fields of the arguments are passed as they are")]
fn checked(
    setting: Setting,
    value: &Option<String>,
    is_valid: fn(&str) -> bool,
) -> Result<Option<String>, SettingsError> {
    match given(value) {
        Some(value) if !is_valid(value) => Err(setting.error(value)),
        value => Ok(value.map(str::to_owned)),
    }
}

/// Returns true if `name` is a domain, a slash and a path
/// (<https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#signers>).
fn is_signer(name: &str) -> bool {
    let is_part = |part: &str, extra: &[char]| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(&c))
    };
    name.split_once('/').is_some_and(|(domain, path)| {
        domain.contains('.') && is_part(domain, &['-', '.']) && is_part(path, &['-', '.', ':', '_'])
    })
}

/// Parses a URL that is valid in a webhook configuration, which has no query
/// (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#url>).
fn webhook_url(value: &str) -> Result<HttpsUrl, SettingsError> {
    let url = value.parse().ok().filter(|url: &HttpsUrl| !url.has_query());
    url.ok_or_else(|| table::WEBHOOK_URL.error(value))
}
