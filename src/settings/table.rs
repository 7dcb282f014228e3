//! Table of the settings: environment variable, default and accepted values.
//!
//! The parser, the help and the reference read it. The meaning of each setting is in its help (`arguments.rs`).

use super::value::Setting;
use crate::admission::Scope;

const A_BOOLEAN: &str = "true or false";

const REGISTRIES: &str = "hosts, each with an optional port, separated by commas, such as registry.example.com,10.0.0.5:5000";

pub(super) const ADMIN_LISTEN: Setting = Setting::new(
    "IMAGESWAP_ADMIN_LISTEN",
    "[::]:8080",
    "an IP address and a port, such as [::]:8080",
)
.in_development("127.0.0.1:8080");

pub(super) const ANNOTATE: Setting = Setting::new("IMAGESWAP_ANNOTATE", "false", A_BOOLEAN);

pub(super) const AUDIT_ANNOTATIONS: Setting =
    Setting::new("IMAGESWAP_AUDIT_ANNOTATIONS", "true", A_BOOLEAN);

/// The default is where the manifests mount the ConfigMap.
pub(super) const CANDIDATE_MAPS_FILE: Setting = Setting::new(
    "IMAGESWAP_CANDIDATE_MAPS_FILE",
    "/app/candidate-maps/imageswap-maps.conf",
    "the path of a file of at most 16 MiB",
);

pub(super) const CLIENT_CA_FILE: Setting = Setting::described(
    "IMAGESWAP_CLIENT_CA_FILE",
    "none, every client may send reviews",
    "a PEM file with the certificates of the CAs whose clients may send reviews",
);

pub(super) const CSR_SIGNER_NAME: Setting = Setting::described(
    "IMAGESWAP_CSR_SIGNER_NAME",
    "none, ImageSwap has a CA of its own",
    "a domain, a slash and a name, such as kubernetes.io/kubelet-serving",
);

pub(super) const DISABLE_AUTO_MWC: Setting =
    Setting::new("IMAGESWAP_DISABLE_AUTO_MWC", "false", A_BOOLEAN);

pub(super) const DISABLE_LABEL: Setting = Setting::new(
    "IMAGESWAP_DISABLE_LABEL",
    Scope::DISABLE_LABEL,
    "the name of a label, such as k8s.twr.io/imageswap",
);

pub(super) const IMAGE_PREFIX: Setting = Setting::described(
    "IMAGE_PREFIX",
    "none",
    "host[:port][/path], such as registry.example.com/mirror",
);

pub(super) const LISTEN: Setting =
    Setting::new("IMAGESWAP_LISTEN", "[::]:5000", "an IP address and a port, such as [::]:5000")
        .in_development("127.0.0.1:5000");

pub(super) const LOG_FORMAT: Setting =
    Setting::new("IMAGESWAP_LOG_FORMAT", "auto", "auto, json or text");

pub(super) const LOG_LEVEL: Setting =
    Setting::new("IMAGESWAP_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING, ERROR or OFF");

/// The default is the path in the container image, as in the Python ImageSwap.
pub(super) const MAPS_FILE: Setting = Setting::new(
    "IMAGESWAP_MAPS_FILE",
    "/app/maps/imageswap-maps.conf",
    "the path of a file of at most 16 MiB",
)
.in_development_described("the built-in sample map");

pub(super) const MAPS_OPTIONAL: Setting =
    Setting::new("IMAGESWAP_MAPS_OPTIONAL", "false", A_BOOLEAN);

pub(super) const MAX_BODY_BYTES: Setting =
    Setting::new("IMAGESWAP_MAX_BODY_BYTES", "8388608", "a number of bytes from 4096 to 67108864");

pub(super) const MAX_CONNECTIONS: Setting =
    Setting::new("IMAGESWAP_MAX_CONNECTIONS", "1024", "a number from 1 to 1000000");

pub(super) const MODE: Setting = Setting::new("IMAGESWAP_MODE", "MAPS", "MAPS or LEGACY");

/// The default is where the manifests mount the ConfigMap, as in the Python ImageSwap.
pub(super) const MWC_TEMPLATE_FILE: Setting =
    Setting::new("IMAGESWAP_MWC_TEMPLATE_FILE", "/mwc/imageswap-mwc.yaml", "the path of a file");

pub(super) const NAMESPACE_MAPS_DIR: Setting =
    Setting::new("IMAGESWAP_NAMESPACE_MAPS_DIR", "/app/namespace-maps", "the path of a directory");

pub(super) const NAMESPACE_NAME: Setting = Setting::described(
    "IMAGESWAP_NAMESPACE_NAME",
    "namespace of the pod, or imageswap-system outside a cluster",
    "the name of a namespace, such as imageswap-system",
);

pub(super) const POD_NAME: Setting =
    Setting::described("IMAGESWAP_POD_NAME", "the host name", "any text");

pub(super) const REGISTRY_ALLOWED_HOSTS: Setting =
    Setting::described("IMAGESWAP_REGISTRY_ALLOWED_HOSTS", "none", REGISTRIES);

/// The default is where the manifests mount the ConfigMap.
pub(super) const REGISTRY_CA_FILE: Setting = Setting::new(
    "IMAGESWAP_REGISTRY_CA_FILE",
    "/app/registry/ca.crt",
    "the path of a PEM file with certificates of CAs",
);

/// The default is where the manifests mount the Secret.
pub(super) const REGISTRY_CONFIG: Setting = Setting::new(
    "IMAGESWAP_REGISTRY_CONFIG",
    "/app/registry/config.json",
    "the path of a file of at most 1 MiB",
);

pub(super) const REGISTRY_PLAIN_HTTP: Setting =
    Setting::described("IMAGESWAP_REGISTRY_PLAIN_HTTP", "none", REGISTRIES);

/// Longer than a busy kube-proxy takes to take an endpoint out. It writes its rules at most once a second, and one write
/// can take some seconds in a large cluster; a new connection after the delay would be refused.
pub(super) const SHADOW: Setting = Setting::new("IMAGESWAP_SHADOW", "false", A_BOOLEAN);

pub(super) const SHADOW_NAMESPACES: Setting = Setting::described(
    "IMAGESWAP_SHADOW_NAMESPACES",
    "none",
    "names of namespaces, separated by commas, such as staging,test",
);

pub(super) const SHUTDOWN_DELAY: Setting = Setting::new(
    "IMAGESWAP_SHUTDOWN_DELAY",
    "10s",
    "a whole number with the unit ms, s or m, such as 3s, of at most an hour",
)
.in_development("0s");

pub(super) const SHUTDOWN_TIMEOUT: Setting = Setting::new(
    "IMAGESWAP_SHUTDOWN_TIMEOUT",
    "20s",
    "a whole number with the unit ms, s or m, such as 20s, of at most an hour",
);

/// The default is where the manifests mount the ConfigMap.
pub(super) const SITES_FILE: Setting = Setting::new(
    "IMAGESWAP_SITES_FILE",
    "/app/sites/imageswap-sites.conf",
    "the path of a file of at most 1 MiB",
);

pub(super) const STATUS_PAGE: Setting = Setting::new("IMAGESWAP_STATUS_PAGE", "true", A_BOOLEAN);

pub(super) const STRICT_MAPS: Setting = Setting::new("IMAGESWAP_STRICT_MAPS", "false", A_BOOLEAN);

pub(super) const SWAP_NEVER_PULLED: Setting =
    Setting::new("IMAGESWAP_SWAP_NEVER_PULLED", "false", A_BOOLEAN);

pub(super) const TLS_DIR: Setting =
    Setting::new("IMAGESWAP_TLS_DIR", "/tls", "the path of a directory");

pub(super) const TLS_MODE: Setting =
    Setting::new("IMAGESWAP_TLS_MODE", "managed", "managed, files or self-signed")
        .in_development("self-signed");

pub(super) const VERIFY_EXCEPT: Setting =
    Setting::described("IMAGESWAP_VERIFY_EXCEPT", "none", REGISTRIES);

pub(super) const VERIFY_TARGET: Setting =
    Setting::new("IMAGESWAP_VERIFY_TARGET", "off", "off or fallback");

pub(super) const VERIFY_TIMEOUT: Setting = Setting::new(
    "IMAGESWAP_VERIFY_TIMEOUT",
    "500ms",
    "a whole number with the unit ms or s, such as 500ms, of at most 15s",
);

pub(super) const WARNINGS: Setting = Setting::new("IMAGESWAP_WARNINGS", "false", A_BOOLEAN);

pub(super) const WEBHOOK_URL: Setting = Setting::described(
    "IMAGESWAP_WEBHOOK_URL",
    "none, the API server calls the Service",
    "an https URL without user, query or fragment, such as https://10.0.0.5:5000/",
);

/// All settings, in the order of their variables.
pub const SETTINGS: [Setting; 40] = [
    ADMIN_LISTEN,
    ANNOTATE,
    AUDIT_ANNOTATIONS,
    CANDIDATE_MAPS_FILE,
    CLIENT_CA_FILE,
    CSR_SIGNER_NAME,
    DISABLE_AUTO_MWC,
    DISABLE_LABEL,
    LISTEN,
    LOG_FORMAT,
    LOG_LEVEL,
    MAPS_FILE,
    MAPS_OPTIONAL,
    MAX_BODY_BYTES,
    MAX_CONNECTIONS,
    MODE,
    MWC_TEMPLATE_FILE,
    NAMESPACE_MAPS_DIR,
    NAMESPACE_NAME,
    POD_NAME,
    REGISTRY_ALLOWED_HOSTS,
    REGISTRY_CA_FILE,
    REGISTRY_CONFIG,
    REGISTRY_PLAIN_HTTP,
    SHADOW,
    SHADOW_NAMESPACES,
    SHUTDOWN_DELAY,
    SHUTDOWN_TIMEOUT,
    SITES_FILE,
    STATUS_PAGE,
    STRICT_MAPS,
    SWAP_NEVER_PULLED,
    TLS_DIR,
    TLS_MODE,
    VERIFY_EXCEPT,
    VERIFY_TARGET,
    VERIFY_TIMEOUT,
    WARNINGS,
    WEBHOOK_URL,
    IMAGE_PREFIX,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rules::MAX_MAP_BYTES,
        settings::{MAX_BODY_BYTES as LARGEST_BODY, MIN_BODY_BYTES as SMALLEST_BODY},
    };

    #[test]
    fn documented_limits_match_the_code() {
        let map = format!("at most {} MiB", MAX_MAP_BYTES / 1024 / 1024);
        assert!(MAPS_FILE.accepts().contains(&map));
        let bodies = format!("from {SMALLEST_BODY} to {LARGEST_BODY}");
        assert!(MAX_BODY_BYTES.accepts().contains(&bodies));
    }
}
