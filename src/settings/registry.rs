//! Settings for questions to registries.

use std::time::Duration;

use super::{RegistryArguments, ServeArguments, Setting, SettingsError, table, value::given};
use crate::{
    registry::{ClientSettings, RegistryHost},
    sources::FollowedFile,
};

/// Maximum time for which a review waits: half of the longest timeout that Kubernetes allows for a webhook.
const MAX_VERIFY_TIMEOUT: Duration = Duration::from_secs(15);

/// Settings for how registries are asked.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    /// Docker config file with credentials.
    pub config: FollowedFile,
    /// File with CAs that are trusted besides those of the system.
    pub ca: FollowedFile,
    /// Registries that are never asked.
    pub except: Vec<RegistryHost>,
    /// Settings of the client.
    pub client: ClientSettings,
}

/// Settings for questions about the new images of reviews.
#[derive(Clone, Debug)]
pub struct VerifySettings {
    /// Maximum time for which a review waits.
    pub timeout: Duration,
    /// Settings for how registries are asked.
    pub registry: RegistrySettings,
}

/// Values of the setting that decides whether registries are asked.
#[derive(Clone, Copy)]
enum VerifyTarget {
    Fallback,
    Off,
}

const MODES: [(&str, VerifyTarget); 2] =
    [("off", VerifyTarget::Off), ("fallback", VerifyTarget::Fallback)];

impl RegistryArguments {
    /// Validates the settings.
    ///
    /// # Errors
    /// If a setting is not valid.
    pub fn parse(&self) -> Result<RegistrySettings, SettingsError> {
        Ok(RegistrySettings {
            config: table::REGISTRY_CONFIG.followed_file(&self.registry_config),
            ca: table::REGISTRY_CA_FILE.followed_file(&self.registry_ca_file),
            except: hosts(table::VERIFY_EXCEPT, &self.verify_except)?,
            client: ClientSettings {
                plain_http: hosts(table::REGISTRY_PLAIN_HTTP, &self.registry_plain_http)?,
                allowed_hosts: hosts(table::REGISTRY_ALLOWED_HOSTS, &self.registry_allowed_hosts)?,
            },
        })
    }
}

impl ServeArguments {
    /// Returns the settings for questions to registries; `None` if none is asked.
    pub(super) fn verify(&self) -> Result<Option<VerifySettings>, SettingsError> {
        let mode = table::VERIFY_TARGET.or_default(&self.verify_target);
        let text = table::VERIFY_TIMEOUT.or_default(&self.verify_timeout);
        let timeout = table::VERIFY_TIMEOUT.duration(text)?;
        if timeout > MAX_VERIFY_TIMEOUT {
            return Err(table::VERIFY_TIMEOUT.error(text));
        }
        let registry = self.registry.parse()?;
        Ok(match table::VERIFY_TARGET.choose(mode, &MODES)? {
            VerifyTarget::Off => None,
            VerifyTarget::Fallback => Some(VerifySettings { timeout, registry }),
        })
    }
}

/// Parses a list of hosts.
#[expect(clippy::ref_option, reason = "the fields of the arguments are passed as they are")]
fn hosts(setting: Setting, value: &Option<String>) -> Result<Vec<RegistryHost>, SettingsError> {
    let list = given(value).unwrap_or_default();
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| name.parse().map_err(|_| setting.error(list))).collect()
}
