//! Flags and environment, parsed once into settings that cannot be invalid.
//!
//! Clap gathers the raw text of each flag or its environment variable; here it becomes a typed
//! value, or an error that names the variable, the flag and what it accepts. Nothing is read here: no
//! file, and no name of the host.

mod arguments;
mod cluster;
mod environment;
mod log;
mod value;

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use self::value::Setting;
pub use self::{
    arguments::{
        ClusterArguments, InitArguments, LogArguments, RuleArguments, ServeArguments,
        StrictnessArguments,
    },
    cluster::ClusterSettings,
    environment::unknown_variables,
    log::{LogFormat, LogSettings},
    value::SettingsError,
};
use crate::{admission::Scope, image::is_valid_reference, rules::LegacyPrefix, server::Limits};

/// The map that `serve --dev` uses when none is named.
pub const SAMPLE_MAP: &str = include_str!("../../config/imageswap-maps.conf");

/// Where the map file is in the container image, as in the original.
const DEFAULT_MAPS_FILE: &str = "/app/maps/imageswap-maps.conf";

/// The smallest limit of a body that makes sense: a review of a pod with one container.
const MIN_BODY_BYTES: usize = 4096;

/// The largest limit of a body: more than etcd could store by far.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The source of the rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RuleSource {
    /// The map that is built in.
    BuiltIn(&'static str),
    /// LEGACY mode.
    Legacy(LegacyPrefix),
    /// A map file.
    MapFile(PathBuf),
}

/// The source of the serving certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CertificateOrigin {
    /// A pair of files in a directory, which is watched.
    Files(PathBuf),
    /// The cluster: a Secret, which the controller keeps.
    Managed(ClusterSettings),
    /// Made in memory for these names.
    SelfSigned(Vec<String>),
}

/// Everything that `serve` needs to know.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// Which rules apply.
    pub rules: RuleSource,
    /// Refuses a map with any error.
    pub strict_maps: bool,
    /// Uses the built-in map until there is a map file.
    pub maps_optional: bool,
    /// The address of the webhook.
    pub listen: SocketAddr,
    /// The address of probes and metrics.
    pub admin_listen: SocketAddr,
    /// Where the serving certificate comes from.
    pub certificate: CertificateOrigin,
    /// The client CA file; `None` if client authentication is off.
    pub client_ca_file: Option<PathBuf>,
    /// The settings that decide which images of an object are swapped, besides the map.
    pub scope: Scope,
    /// The name of this pod; `None` for that of the host.
    pub pod_name: Option<String>,
    /// What peers may ask of the server.
    pub limits: Limits,
    /// How long to go on accepting after the signal to end.
    pub shutdown_delay: Duration,
    /// How long requests in flight may take after that.
    pub shutdown_timeout: Duration,
    /// What is logged, and how.
    pub log: LogSettings,
}

/// Everything that `init` needs to know.
#[derive(Clone, Debug)]
pub struct InitSettings {
    /// The rules that `serve` will apply.
    pub rules: RuleSource,
    /// True if `serve` will refuse a map with any error.
    pub strict_maps: bool,
    /// Where the pair is written.
    pub tls_directory: PathBuf,
    /// What is done in the cluster.
    pub cluster: ClusterSettings,
    /// What is logged, and how.
    pub log: LogSettings,
}

/// The defaults that differ between a cluster and development.
struct Defaults {
    listen: &'static str,
    admin_listen: &'static str,
    tls_mode: &'static str,
    shutdown_delay: &'static str,
    map: Option<&'static str>,
}

const CLUSTER_DEFAULTS: Defaults = Defaults {
    listen: "[::]:5000",
    admin_listen: "[::]:8080",
    tls_mode: "managed",
    shutdown_delay: "3s",
    map: None,
};

const DEV_DEFAULTS: Defaults = Defaults {
    listen: "127.0.0.1:5000",
    admin_listen: "127.0.0.1:8080",
    tls_mode: "self-signed",
    shutdown_delay: "0s",
    map: Some(SAMPLE_MAP),
};

const MODE: Setting = Setting::new("IMAGESWAP_MODE", "it is MAPS or LEGACY");
const IMAGE_PREFIX: Setting =
    Setting::new("IMAGE_PREFIX", "it is host[:port][/path], such as registry.example.com/mirror");
const LISTEN: Setting =
    Setting::new("IMAGESWAP_LISTEN", "it is an IP address and a port, such as [::]:5000");
const ADMIN_LISTEN: Setting =
    Setting::new("IMAGESWAP_ADMIN_LISTEN", "it is an IP address and a port, such as [::]:8080");
const TLS_MODE: Setting = Setting::new("IMAGESWAP_TLS_MODE", "it is managed, files or self-signed");
const DISABLE_LABEL: Setting = Setting::new(
    "IMAGESWAP_DISABLE_LABEL",
    "it is the name of a label, such as k8s.twr.io/imageswap",
);
const STRICT_MAPS: Setting = Setting::new("IMAGESWAP_STRICT_MAPS", "it is true or false");
const MAPS_OPTIONAL: Setting = Setting::new("IMAGESWAP_MAPS_OPTIONAL", "it is true or false");
const SWAP_NEVER_PULLED: Setting =
    Setting::new("IMAGESWAP_SWAP_NEVER_PULLED", "it is true or false");
const BODY_BYTES: Setting =
    Setting::new("IMAGESWAP_MAX_BODY_BYTES", "it is a number of bytes from 4096 to 67108864");
const CONNECTIONS: Setting =
    Setting::new("IMAGESWAP_MAX_CONNECTIONS", "it is a number from 1 to 1000000");
const SHUTDOWN_DELAY: Setting = Setting::new(
    "IMAGESWAP_SHUTDOWN_DELAY",
    "it is a whole number with the unit ms, s or m, such as 3s, of at most an hour",
);
const SHUTDOWN_TIMEOUT: Setting = Setting::new(
    "IMAGESWAP_SHUTDOWN_TIMEOUT",
    "it is a whole number with the unit ms, s or m, such as 20s, of at most an hour",
);

impl RuleArguments {
    /// Which rules apply; the map file is not read yet.
    ///
    /// # Errors
    /// When the mode is none.
    pub fn parse(&self) -> Result<RuleSource, SettingsError> {
        self.parse_or(RuleSource::MapFile(DEFAULT_MAPS_FILE.into()))
    }

    fn parse_or(&self, default: RuleSource) -> Result<RuleSource, SettingsError> {
        if MODE.choose(or(&self.mode, "MAPS"), &[("MAPS", false), ("LEGACY", true)])? {
            let prefix = or(&self.image_prefix, "");
            let joint = if prefix.ends_with(['-', '/']) { "" } else { "/" };
            if !prefix.is_empty() && !is_valid_reference(&format!("{prefix}{joint}image")) {
                return Err(IMAGE_PREFIX.error(prefix));
            }
            return Ok(RuleSource::Legacy(LegacyPrefix::new(prefix)));
        }
        Ok(given(&self.maps_file).map_or(default, |file| RuleSource::MapFile(file.into())))
    }
}

impl StrictnessArguments {
    /// Returns true if a map with any error is refused.
    fn parse(&self) -> Result<bool, SettingsError> {
        STRICT_MAPS.choose(or(&self.strict_maps, "false"), &BOOLEANS)
    }
}

impl ServeArguments {
    /// Validates all settings.
    ///
    /// # Errors
    /// If one is not valid: the first, in the order of the flags.
    pub fn parse(&self) -> Result<ServeSettings, SettingsError> {
        let defaults = if self.dev { &DEV_DEFAULTS } else { &CLUSTER_DEFAULTS };
        let listen = LISTEN.parse(or(&self.listen, defaults.listen))?;
        let tls_mode = TLS_MODE.choose(or(&self.tls_mode, defaults.tls_mode), &TLS_MODES)?;
        let cluster = self.cluster.parse()?;
        Ok(ServeSettings {
            rules: self.rules.parse_or(match defaults.map {
                Some(map) => RuleSource::BuiltIn(map),
                None => RuleSource::MapFile(DEFAULT_MAPS_FILE.into()),
            })?,
            listen,
            admin_listen: ADMIN_LISTEN.parse(or(&self.admin_listen, defaults.admin_listen))?,
            certificate: match tls_mode {
                TlsMode::Files => CertificateOrigin::Files(tls_directory(&self.tls_dir)),
                TlsMode::Managed => CertificateOrigin::Managed(cluster),
                TlsMode::SelfSigned => CertificateOrigin::SelfSigned(development_names(listen)),
            },
            scope: Scope {
                disable_label: DISABLE_LABEL
                    .label(or(&self.disable_label, Scope::DISABLE_LABEL))?
                    .into(),
                swaps_never_pulled: SWAP_NEVER_PULLED
                    .choose(or(&self.swap_never_pulled, "false"), &BOOLEANS)?,
            },
            strict_maps: self.strictness.parse()?,
            maps_optional: MAPS_OPTIONAL.choose(or(&self.maps_optional, "false"), &BOOLEANS)?,
            limits: self.limits()?,
            shutdown_delay: SHUTDOWN_DELAY
                .duration(or(&self.shutdown_delay, defaults.shutdown_delay))?,
            shutdown_timeout: SHUTDOWN_TIMEOUT.duration(or(&self.shutdown_timeout, "20s"))?,
            pod_name: given(&self.pod_name).map(str::to_owned),
            log: self.log.parse()?,
            client_ca_file: given(&self.client_ca_file).map(PathBuf::from),
        })
    }

    fn limits(&self) -> Result<Limits, SettingsError> {
        let mut limits = Limits::default();
        if let Some(bytes) = given(&self.max_body_bytes) {
            limits.max_body_bytes = BODY_BYTES.within(bytes, MIN_BODY_BYTES..=MAX_BODY_BYTES)?;
            limits.max_buffered_bytes = limits.max_buffered_bytes.max(limits.max_body_bytes);
        }
        if let Some(count) = given(&self.max_connections) {
            limits.max_connections = CONNECTIONS.within(count, 1..=1_000_000)?;
        }
        Ok(limits)
    }
}

impl InitArguments {
    /// Validates all settings.
    ///
    /// # Errors
    /// When one is not valid: the first, in the order of the flags.
    pub fn parse(&self) -> Result<InitSettings, SettingsError> {
        Ok(InitSettings {
            rules: self.rules.parse()?,
            strict_maps: self.strictness.parse()?,
            tls_directory: tls_directory(&self.tls_dir),
            cluster: self.cluster.parse()?,
            log: self.log.parse()?,
        })
    }
}

/// The names of [`CertificateOrigin`].
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

const BOOLEANS: [(&str, bool); 6] =
    [("true", true), ("false", false), ("1", true), ("0", false), ("yes", true), ("no", false)];

/// The value, unless it is empty: a ConfigMap often holds empty values for what is not set.
#[expect(clippy::ref_option, reason = "the fields of the arguments are passed as they are")]
fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|value| !value.is_empty())
}

/// The value, or the default when it is not given.
#[expect(clippy::ref_option, reason = "the fields of the arguments are passed as they are")]
fn or<'a>(value: &'a Option<String>, default: &'a str) -> &'a str {
    given(value).unwrap_or(default)
}

/// Returns the names under which a server for development is reached.
fn development_names(listen: SocketAddr) -> Vec<String> {
    let mut names: Vec<_> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    let own = listen.ip().to_string();
    if !listen.ip().is_unspecified() && !names.contains(&own) {
        names.push(own);
    }
    names
}

#[expect(clippy::ref_option, reason = "the fields of the arguments are passed as they are")]
fn tls_directory(value: &Option<String>) -> PathBuf {
    or(value, "/tls").into()
}

impl fmt::Display for RuleSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(_) => formatter.write_str("the built-in sample map"),
            Self::Legacy(_) => formatter.write_str("LEGACY mode"),
            Self::MapFile(file) => file.display().fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tracing::level_filters::LevelFilter;

    use super::*;

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
    fn the_defaults_are_for_a_cluster_and_dev_is_for_a_desk() {
        let cluster = parse(&[]).unwrap();
        assert_eq!(cluster.listen.to_string(), "[::]:5000");
        assert_eq!(cluster.rules, RuleSource::MapFile(DEFAULT_MAPS_FILE.into()));
        assert!(matches!(cluster.certificate, CertificateOrigin::Managed(_)));
        assert_eq!(cluster.shutdown_delay, Duration::from_secs(3));
        let dev = parse(&["--dev"]).unwrap();
        assert_eq!(dev.listen.to_string(), "127.0.0.1:5000");
        assert_eq!(dev.rules, RuleSource::BuiltIn(SAMPLE_MAP));
        assert!(matches!(dev.certificate, CertificateOrigin::SelfSigned(_)));
        let mixed =
            parse(&["--dev", "--listen", "127.0.0.2:0", "--maps", "m", "--strict-maps"]).unwrap();
        assert_eq!(mixed.listen.to_string(), "127.0.0.2:0");
        assert_eq!(mixed.rules, RuleSource::MapFile("m".into()));
        assert!(mixed.strict_maps);
    }

    #[test]
    fn a_bad_value_names_variable_flag_and_what_is_accepted() {
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
            ("--strict-maps", "maybe", "IMAGESWAP_STRICT_MAPS"),
            ("--max-body-bytes", "1", "IMAGESWAP_MAX_BODY_BYTES"),
            ("--max-connections", "0", "IMAGESWAP_MAX_CONNECTIONS"),
            ("--shutdown-delay", "3h", "IMAGESWAP_SHUTDOWN_DELAY"),
            ("--shutdown-timeout", "s", "IMAGESWAP_SHUTDOWN_TIMEOUT"),
            ("--log-level", "LOUD", "IMAGESWAP_LOG_LEVEL"),
            ("--log-format", "xml", "IMAGESWAP_LOG_FORMAT"),
        ] {
            let error = parse(&[flag, value]).unwrap_err().to_string();
            let expected = format!("{variable} ({flag}): `{value}` is not valid; it is ");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn empty_values_are_as_if_not_set_and_names_have_no_case() {
        let settings =
            parse(&["--listen", "", "--mode", "legacy", "--log-level", "Warning"]).unwrap();
        assert_eq!(settings.listen.to_string(), "[::]:5000");
        assert_eq!(settings.rules, RuleSource::Legacy(LegacyPrefix::new("")));
        assert_eq!(settings.log.level, LevelFilter::WARN);
    }
}
