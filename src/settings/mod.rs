//! Settings: parses flags and environment variables once into types that cannot be invalid.
//!
//! Clap reads the text of each flag or its environment variable. This module parses it into a typed value, or returns
//! an error with the variable, the flag and the accepted values. It reads no file, and does not ask for the host name.

mod admission;
mod arguments;
mod cluster;
mod environment;
mod log;
mod namespaces;
mod registry;
mod rules;
mod table;
mod value;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub(crate) use self::rules::text_of_rule_warning;
use self::value::given;
pub use self::{
    arguments::{
        AdmissionArguments, ClusterArguments, InitArguments, LogArguments, RegistryArguments,
        ScopeArguments, ServeArguments, StrictnessArguments, UninstallArguments,
    },
    cluster::ClusterSettings,
    environment::unknown_variables,
    log::{LogFormat, LogSettings},
    namespaces::{NamespaceArguments, NamespaceMapFile, NamespaceMapsArguments},
    registry::{RegistrySettings, VerifySettings},
    rules::{RuleArguments, RuleSource, RuleWarning},
    table::SETTINGS,
    value::{DefaultValue, Setting, SettingsError},
};
use crate::{
    admission::AdmissionSettings, controller::OwnSecrets, server::Limits, sources::FollowedFile,
};

/// The map of `serve --dev` if no map file is set.
pub const SAMPLE_MAP: &str = include_str!("../../config/imageswap-maps.conf");

/// Minimum value of the body limit in bytes. It suffices for a review of a pod with one container.
const MIN_BODY_BYTES: usize = 4096;

/// Maximum value of the body limit in bytes. It is far more than etcd can store.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The source of the serving certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CertificateOrigin {
    /// Certificate and key files in a directory that is watched.
    Files(PathBuf),
    /// A Secret that the controller maintains.
    Managed(ClusterSettings),
    /// A certificate for these names, created in memory.
    SelfSigned(Vec<String>),
}

/// Settings of `serve`.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// Source of the rules.
    pub rules: RuleSource,
    /// True if a map with any error is refused.
    pub strict_maps: bool,
    /// True if `serve` starts without a map file and leaves all images unchanged until it exists.
    pub maps_optional: bool,
    /// Directory with the maps of namespaces.
    pub namespace_maps: PathBuf,
    /// Map that is compared with the map in use.
    pub candidate_map: FollowedFile,
    /// Locations of images in custom resources, besides the built-in ones.
    pub sites: FollowedFile,
    /// Address of the webhook.
    pub listen: SocketAddr,
    /// Address of probes, metrics and the status page.
    pub admin_listen: SocketAddr,
    /// True if there is a status page.
    pub status_page: bool,
    /// Source of the serving certificate.
    pub certificate: CertificateOrigin,
    /// File with the client CAs. `None` if client authentication is off.
    pub client_ca_file: Option<PathBuf>,
    /// Settings of admission, besides the map.
    pub admission: AdmissionSettings,
    /// Settings for the questions to registries about new images. `None` if none is asked.
    pub verify: Option<VerifySettings>,
    /// Name of this pod. `None` if the host name is used.
    pub pod_name: Option<String>,
    /// Limits of the server.
    pub limits: Limits,
    /// Time after SIGTERM in which new connections are still accepted.
    pub shutdown_delay: Duration,
    /// Timeout for requests in flight after the shutdown delay.
    pub shutdown_timeout: Duration,
    /// Settings of the log.
    pub log: LogSettings,
}

/// Settings of `init`.
#[derive(Clone, Debug)]
pub struct InitSettings {
    /// Source of the rules that `serve` will apply.
    pub rules: RuleSource,
    /// True if `serve` will refuse a map with any error.
    pub strict_maps: bool,
    /// Directory that certificate and key are written to.
    pub tls_directory: PathBuf,
    /// Settings of the webhook in its cluster.
    pub cluster: ClusterSettings,
    /// Settings of the log.
    pub log: LogSettings,
}

/// Settings of `uninstall`.
#[derive(Clone, Debug)]
pub struct UninstallSettings {
    /// Namespace of the Service and the Secrets; `None` for the namespace of the pod.
    pub namespace: Option<String>,
    /// Secrets that `serve` has created.
    pub secrets: OwnSecrets,
    /// Settings of the log.
    pub log: LogSettings,
}

/// Values of the setting that selects a [`CertificateOrigin`].
#[derive(Clone, Copy)]
enum TlsMode {
    Files,
    Managed,
    SelfSigned,
}

const TLS_MODES: [(&str, TlsMode); 3] = [
    ("files", TlsMode::Files),
    ("managed", TlsMode::Managed),
    ("self-signed", TlsMode::SelfSigned),
];

impl StrictnessArguments {
    /// Returns true if a map with any error is refused.
    fn parse(&self) -> Result<bool, SettingsError> {
        table::STRICT_MAPS.boolean(&self.strict_maps)
    }
}

impl ServeArguments {
    /// Validates all settings.
    ///
    /// # Errors
    /// If a setting is not valid. The error is about one setting, even if several are not valid.
    pub fn parse(&self) -> Result<ServeSettings, SettingsError> {
        let tls_mode = table::TLS_MODE.or_default_in(&self.tls_mode, self.dev);
        let listen = table::LISTEN.or_default_in(&self.listen, self.dev);
        let listen = table::LISTEN.parse(listen)?;
        let tls_mode = table::TLS_MODE.choose(tls_mode, &TLS_MODES)?;
        let cluster = self.cluster.parse()?;
        Ok(ServeSettings {
            rules: self.rules.parse_or(self.dev.then_some(SAMPLE_MAP))?,
            namespace_maps: table::NAMESPACE_MAPS_DIR.or_default(&self.namespace_maps_dir).into(),
            candidate_map: table::CANDIDATE_MAPS_FILE.followed_file(&self.candidate_maps_file),
            sites: table::SITES_FILE.followed_file(&self.sites_file),
            listen,
            admin_listen: table::ADMIN_LISTEN
                .parse(table::ADMIN_LISTEN.or_default_in(&self.admin_listen, self.dev))?,
            status_page: table::STATUS_PAGE.boolean(&self.status_page)?,
            certificate: match tls_mode {
                TlsMode::Files => {
                    CertificateOrigin::Files(table::TLS_DIR.or_default(&self.tls_dir).into())
                }
                TlsMode::Managed => CertificateOrigin::Managed(cluster),
                TlsMode::SelfSigned => CertificateOrigin::SelfSigned(development_names(listen)),
            },
            admission: self.admission.parse()?,
            verify: self.verify()?,
            strict_maps: self.strictness.parse()?,
            maps_optional: table::MAPS_OPTIONAL.boolean(&self.maps_optional)?,
            limits: self.limits()?,
            shutdown_delay: table::SHUTDOWN_DELAY
                .duration(table::SHUTDOWN_DELAY.or_default_in(&self.shutdown_delay, self.dev))?,
            shutdown_timeout: table::SHUTDOWN_TIMEOUT
                .duration(table::SHUTDOWN_TIMEOUT.or_default(&self.shutdown_timeout))?,
            pod_name: given(&self.pod_name).map(str::to_owned),
            log: self.log.parse()?,
            client_ca_file: given(&self.client_ca_file).map(PathBuf::from),
        })
    }

    /// Returns the warnings about flags that the settings do not follow.
    #[must_use]
    pub fn warnings(&self) -> Vec<RuleWarning> {
        self.rules.warnings()
    }

    fn limits(&self) -> Result<Limits, SettingsError> {
        let bytes = table::MAX_BODY_BYTES.or_default(&self.max_body_bytes);
        let connections = table::MAX_CONNECTIONS.or_default(&self.max_connections);
        let mut limits = Limits::default();
        limits.max_body_bytes =
            table::MAX_BODY_BYTES.within(bytes, MIN_BODY_BYTES..=MAX_BODY_BYTES)?;
        limits.max_buffered_bytes = limits.max_buffered_bytes.max(limits.max_body_bytes);
        limits.max_connections = table::MAX_CONNECTIONS.within(connections, 1..=1_000_000)?;
        Ok(limits)
    }
}

impl InitArguments {
    /// Validates all settings.
    ///
    /// # Errors
    /// If a setting is not valid. The error is about one setting, even if several are not valid.
    pub fn parse(&self) -> Result<InitSettings, SettingsError> {
        Ok(InitSettings {
            rules: self.rules.parse()?,
            strict_maps: self.strictness.parse()?,
            tls_directory: table::TLS_DIR.or_default(&self.tls_dir).into(),
            cluster: self.cluster.parse()?,
            log: self.log.parse()?,
        })
    }

    /// Returns the warnings about flags that the settings do not follow.
    #[must_use]
    pub fn warnings(&self) -> Vec<RuleWarning> {
        self.rules.warnings()
    }
}

impl UninstallArguments {
    /// Validates all settings.
    ///
    /// # Errors
    /// If a setting is not valid. The error is about one setting, even if several are not valid.
    pub fn parse(&self) -> Result<UninstallSettings, SettingsError> {
        let mode = table::TLS_MODE.or_default(&self.tls_mode);
        Ok(UninstallSettings {
            namespace: cluster::namespace(&self.namespace_name)?,
            secrets: match table::TLS_MODE.choose(mode, &TLS_MODES)? {
                TlsMode::Managed => OwnSecrets::Certificate,
                TlsMode::Files | TlsMode::SelfSigned => OwnSecrets::None,
            },
            log: self.log.parse()?,
        })
    }
}

/// Returns the names in the certificate of a development server.
fn development_names(listen: SocketAddr) -> Vec<String> {
    let mut names: Vec<_> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    let own = listen.ip().to_string();
    if !listen.ip().is_unspecified() && !names.contains(&own) {
        names.push(own);
    }
    names
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tracing::level_filters::LevelFilter;

    use super::*;
    use crate::rules::LegacyPrefix;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        serve: ServeArguments,
    }

    fn parse(arguments: &[&str]) -> Result<ServeSettings, SettingsError> {
        let arguments = std::iter::once(&"imageswap").chain(arguments);
        Program::try_parse_from(arguments).unwrap().serve.parse()
    }

    #[test]
    fn defaults_suit_a_cluster_and_dev_suits_a_workstation() {
        let cluster = parse(&[]).unwrap();
        assert_eq!(cluster.listen.to_string(), "[::]:5000");
        assert_eq!(
            cluster.rules,
            RuleSource::DefaultMapFile("/app/maps/imageswap-maps.conf".into())
        );
        assert!(matches!(cluster.certificate, CertificateOrigin::Managed(_)));
        assert_eq!(cluster.shutdown_delay, Duration::from_secs(10));
        assert_eq!(cluster.limits.max_body_bytes, Limits::default().max_body_bytes);
        assert_eq!(cluster.limits.max_connections, Limits::default().max_connections);
        let dev = parse(&["--dev"]).unwrap();
        assert_eq!(dev.listen.to_string(), "127.0.0.1:5000");
        assert_eq!(dev.rules, RuleSource::BuiltIn(SAMPLE_MAP));
        assert_eq!(dev.shutdown_delay, Duration::ZERO);
        assert!(matches!(dev.certificate, CertificateOrigin::SelfSigned(_)));
        let mixed =
            parse(&["--dev", "--listen", "127.0.0.2:0", "--maps", "m", "--strict-maps"]).unwrap();
        assert_eq!(mixed.listen.to_string(), "127.0.0.2:0");
        assert_eq!(mixed.rules, RuleSource::MapFile("m".into()));
        assert!(mixed.strict_maps);
    }

    #[test]
    fn an_invalid_value_is_reported_with_variable_flag_and_accepted_values() {
        for (flag, value, variable) in [
            ("--mode", "FANCY", "IMAGESWAP_MODE"),
            ("--listen", "5000", "IMAGESWAP_LISTEN"),
            ("--admin-listen", "localhost:80", "IMAGESWAP_ADMIN_LISTEN"),
            ("--tls-mode", "none", "IMAGESWAP_TLS_MODE"),
            ("--namespace-name", "A_b", "IMAGESWAP_NAMESPACE_NAME"),
            ("--csr-signer-name", "kubelet-serving", "IMAGESWAP_CSR_SIGNER_NAME"),
            ("--disable-auto-mwc", "maybe", "IMAGESWAP_DISABLE_AUTO_MWC"),
            ("--webhook-url", "http://10.0.0.5/", "IMAGESWAP_WEBHOOK_URL"),
            ("--webhook-url", "https://user@10.0.0.5/", "IMAGESWAP_WEBHOOK_URL"),
            ("--webhook-url", "https://10.0.0.5/?a", "IMAGESWAP_WEBHOOK_URL"),
            ("--webhook-url", "https://:5000/", "IMAGESWAP_WEBHOOK_URL"),
            ("--webhook-url", "https://[]/", "IMAGESWAP_WEBHOOK_URL"),
            ("--webhook-url", "https://10.0.0.5:65536/", "IMAGESWAP_WEBHOOK_URL"),
            ("--disable-label", "a b", "IMAGESWAP_DISABLE_LABEL"),
            ("--disable-label", "/x", "IMAGESWAP_DISABLE_LABEL"),
            ("--registry-allowed-hosts", "a b", "IMAGESWAP_REGISTRY_ALLOWED_HOSTS"),
            ("--registry-plain-http", "http://a", "IMAGESWAP_REGISTRY_PLAIN_HTTP"),
            ("--verify-except", "a/b", "IMAGESWAP_VERIFY_EXCEPT"),
            ("--verify-target", "maybe", "IMAGESWAP_VERIFY_TARGET"),
            ("--verify-timeout", "16s", "IMAGESWAP_VERIFY_TIMEOUT"),
            ("--warnings", "maybe", "IMAGESWAP_WARNINGS"),
            ("--shadow-namespaces", "a,B", "IMAGESWAP_SHADOW_NAMESPACES"),
            ("--status-page", "maybe", "IMAGESWAP_STATUS_PAGE"),
            ("--strict-maps", "maybe", "IMAGESWAP_STRICT_MAPS"),
            ("--max-body-bytes", "1", "IMAGESWAP_MAX_BODY_BYTES"),
            ("--max-connections", "0", "IMAGESWAP_MAX_CONNECTIONS"),
            ("--shutdown-delay", "3h", "IMAGESWAP_SHUTDOWN_DELAY"),
            ("--shutdown-timeout", "s", "IMAGESWAP_SHUTDOWN_TIMEOUT"),
            ("--log-level", "LOUD", "IMAGESWAP_LOG_LEVEL"),
            ("--log-format", "xml", "IMAGESWAP_LOG_FORMAT"),
        ] {
            let error = parse(&[flag, value]).unwrap_err().to_string();
            let expected = format!("{variable} ({flag}): `{value}` is not valid; expected ");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn empty_values_count_as_unset_and_names_are_case_insensitive() {
        let settings =
            parse(&["--listen", "", "--mode", "legacy", "--log-level", "Warning"]).unwrap();
        assert_eq!(settings.listen.to_string(), "[::]:5000");
        assert_eq!(settings.rules, RuleSource::Legacy(LegacyPrefix::new("")));
        assert_eq!(settings.log.level, LevelFilter::WARN);
        for (level, expected) in [("NOTSET", LevelFilter::DEBUG), ("FATAL", LevelFilter::ERROR)] {
            assert_eq!(parse(&["--log-level", level]).unwrap().log.level, expected);
        }
    }
}
