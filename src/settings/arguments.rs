//! Flags and environment variables of the program, as text.
//!
//! The doc comments of the fields are the help and the reference. The defaults are in `table.rs`; `cli` adds them to
//! the help.

use clap::Args;

use super::rules::RuleArguments;

/// Raw text of the flags that describe the cluster and the objects in it.
#[derive(Args, Clone, Debug)]
pub struct ClusterArguments {
    /// Namespace of the Service and the Secrets
    #[arg(long, env = "IMAGESWAP_NAMESPACE_NAME", value_name = "NAMESPACE")]
    pub(super) namespace_name: Option<String>,

    /// Signer that issues the serving certificate, for example `kubernetes.io/kubelet-serving`
    #[arg(long, env = "IMAGESWAP_CSR_SIGNER_NAME", value_name = "SIGNER")]
    pub(super) csr_signer_name: Option<String>,

    /// Do not create or update the webhook configuration, because something else manages it
    #[arg(
        long,
        env = "IMAGESWAP_DISABLE_AUTO_MWC",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) disable_auto_mwc: Option<String>,

    /// Template of the webhook configuration
    ///
    /// If there is no file at the default path, the built-in template is used. If there is no file at a path that you
    /// set, the webhook configuration stays as it is.
    #[arg(long, env = "IMAGESWAP_MWC_TEMPLATE_FILE", value_name = "FILE")]
    pub(super) mwc_template_file: Option<String>,

    /// URL that the API server calls, for a webhook outside the cluster
    #[arg(long, env = "IMAGESWAP_WEBHOOK_URL", value_name = "URL")]
    pub(super) webhook_url: Option<String>,
}

/// Raw text of the flags of the log.
#[derive(Args, Clone, Debug)]
pub struct LogArguments {
    /// Minimum severity of log messages: `DEBUG`, `INFO`, `WARNING`, `ERROR` or `OFF`
    ///
    /// `DEBUG` logs every review and up to 64 rewritten images of it. Libraries log only warnings and errors.
    #[arg(long, env = "IMAGESWAP_LOG_LEVEL", value_name = "LEVEL")]
    pub(super) log_level: Option<String>,

    /// Log format: `json`, `text`, or `auto` for text on a terminal and JSON elsewhere
    #[arg(long, env = "IMAGESWAP_LOG_FORMAT", value_name = "FORMAT")]
    pub(super) log_format: Option<String>,
}

/// Raw text of the flags that decide which images of an object are swapped, besides the map.
#[derive(Args, Clone, Debug)]
pub struct ScopeArguments {
    /// Label that turns rewriting off for a workload if its value is `disabled`
    #[arg(long, env = "IMAGESWAP_DISABLE_LABEL", value_name = "LABEL")]
    pub(super) disable_label: Option<String>,

    /// Also rewrite images with the pull policy `Never`
    ///
    /// A node does not pull these images; it uses the image that it has under the name in the pod. Set this if your
    /// nodes have them under the rewritten name.
    #[arg(
        long,
        env = "IMAGESWAP_SWAP_NEVER_PULLED",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) swap_never_pulled: Option<String>,
}

/// Raw text of the flags of admission.
#[derive(Args, Clone, Debug)]
pub struct AdmissionArguments {
    #[command(flatten)]
    pub(super) scope: ScopeArguments,

    /// Record the changes of each object in the audit log of the API server
    ///
    /// The API server needs an audit policy with at least the level `Metadata` for pods.
    #[arg(
        long,
        env = "IMAGESWAP_AUDIT_ANNOTATIONS",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) audit_annotations: Option<String>,

    /// Send the changes of each object to the client as warnings, at most five
    ///
    /// kubectl shows them for a pod. For the pods of a Deployment, the client is a controller, which does not show them.
    #[arg(
        long,
        env = "IMAGESWAP_WARNINGS",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) warnings: Option<String>,

    /// Annotate pods with their original images (`k8s.twr.io/imageswap-original`)
    #[arg(
        long,
        env = "IMAGESWAP_ANNOTATE",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) annotate: Option<String>,

    /// Decide, count and record how images are rewritten, but change no object
    #[arg(
        long,
        env = "IMAGESWAP_SHADOW",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) shadow: Option<String>,

    /// Namespaces whose objects are not changed, as with `--shadow`; separated by commas
    #[arg(long, env = "IMAGESWAP_SHADOW_NAMESPACES", value_name = "NAMESPACES")]
    pub(super) shadow_namespaces: Option<String>,
}

/// Raw text of the flag that decides which maps are rejected.
#[derive(Args, Clone, Debug)]
pub struct StrictnessArguments {
    /// Reject a map that has any error, instead of skipping the invalid lines
    #[arg(
        long,
        env = "IMAGESWAP_STRICT_MAPS",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) strict_maps: Option<String>,
}

/// Raw text of the flags that describe how registries are asked for images.
#[derive(Args, Clone, Debug)]
pub struct RegistryArguments {
    /// Docker config file with the credentials of registries
    ///
    /// Credential helpers are not supported. There need not be such a file at the default path. `serve` follows changes of
    /// the file.
    #[arg(long, env = "IMAGESWAP_REGISTRY_CONFIG", value_name = "FILE")]
    pub(super) registry_config: Option<String>,

    /// PEM file with CAs of registries, which are trusted besides those of the system
    ///
    /// There need not be such a file at the default path. `serve` follows changes of the file.
    #[arg(long, env = "IMAGESWAP_REGISTRY_CA_FILE", value_name = "FILE")]
    pub(super) registry_ca_file: Option<String>,

    /// Registries that are asked over plain HTTP; separated by commas
    ///
    /// An entry without a port is for port 80.
    #[arg(long, env = "IMAGESWAP_REGISTRY_PLAIN_HTTP", value_name = "REGISTRIES")]
    pub(super) registry_plain_http: Option<String>,

    /// Other hosts that requests for tokens and redirects of registries may go to; separated by commas
    ///
    /// An entry without a port is for port 443.
    #[arg(long, env = "IMAGESWAP_REGISTRY_ALLOWED_HOSTS", value_name = "HOSTS")]
    pub(super) registry_allowed_hosts: Option<String>,

    /// Registries that are never asked, for example because only nodes reach them; separated by commas
    ///
    /// An entry without a port is for all ports.
    #[arg(long, env = "IMAGESWAP_VERIFY_EXCEPT", value_name = "REGISTRIES")]
    pub(super) verify_except: Option<String>,
}

/// Raw text of the flags of `init`.
#[derive(Args, Clone, Debug)]
pub struct InitArguments {
    #[command(flatten)]
    pub(super) rules: RuleArguments,

    #[command(flatten)]
    pub(super) strictness: StrictnessArguments,

    /// Directory that `cert.pem` and `key.pem` are written to
    #[arg(long, env = "IMAGESWAP_TLS_DIR", value_name = "DIRECTORY")]
    pub(super) tls_dir: Option<String>,

    #[command(flatten)]
    pub(super) cluster: ClusterArguments,

    #[command(flatten)]
    pub(super) log: LogArguments,
}

/// Raw text of the flags of `uninstall`.
#[derive(Args, Clone, Debug)]
pub struct UninstallArguments {
    /// Namespace of the Service and the Secrets
    #[arg(long, env = "IMAGESWAP_NAMESPACE_NAME", value_name = "NAMESPACE")]
    pub(super) namespace_name: Option<String>,

    /// Source of the serving certificate of `serve`: `managed`, `files` or `self-signed`
    ///
    /// Only with `managed` are there Secrets to delete.
    #[arg(long, env = "IMAGESWAP_TLS_MODE", value_name = "MODE")]
    pub(super) tls_mode: Option<String>,

    #[command(flatten)]
    pub(super) log: LogArguments,
}

/// Raw text of the flags of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArguments {
    #[command(flatten)]
    pub(super) rules: RuleArguments,

    /// Directory with the maps of namespaces: a file `NAMESPACE.conf` for each
    ///
    /// The map of a namespace decides before the map of the cluster. There need not be such a directory.
    #[arg(long, env = "IMAGESWAP_NAMESPACE_MAPS_DIR", value_name = "DIRECTORY")]
    pub(super) namespace_maps_dir: Option<String>,

    /// File with a candidate map, which is compared with the map in use
    ///
    /// Each image is also decided by the candidate map, and the differences are counted. There need not be such a file
    /// at the default path.
    #[arg(
        long,
        visible_alias = "candidate-maps",
        env = "IMAGESWAP_CANDIDATE_MAPS_FILE",
        value_name = "FILE"
    )]
    pub(super) candidate_maps_file: Option<String>,

    /// File with the locations of images in custom resources, called sites
    ///
    /// It adds to the built-in sites. See docs/sites.md. There need not be such a file at the default path.
    #[arg(long, visible_alias = "sites", env = "IMAGESWAP_SITES_FILE", value_name = "FILE")]
    pub(super) sites_file: Option<String>,

    /// Development mode: loopback addresses, a self-signed certificate and the built-in sample map
    ///
    /// It changes the defaults of `--listen`, `--admin-listen`, `--tls-mode`, `--maps-file` and `--shutdown-delay`, and
    /// needs no cluster.
    #[arg(long)]
    pub(super) dev: bool,

    /// Address of the webhook (HTTPS)
    ///
    /// `[::]` accepts IPv4 as well, and stands for `0.0.0.0` on systems without IPv6.
    #[arg(long, env = "IMAGESWAP_LISTEN", value_name = "ADDRESS")]
    pub(super) listen: Option<String>,

    /// Address of the probes, the metrics and the status page (plain HTTP)
    #[arg(long, env = "IMAGESWAP_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub(super) admin_listen: Option<String>,

    /// Show the state of the replica at `/` of the admin address, for browsers
    ///
    /// The page is read-only and contains no secret. Everyone who reaches the address can read it. See
    /// docs/status-page.md.
    #[arg(
        long,
        env = "IMAGESWAP_STATUS_PAGE",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) status_page: Option<String>,

    /// Source of the serving certificate: `managed`, `files` or `self-signed`
    ///
    /// `managed` stores the certificate in Secrets, renews it, and maintains the webhook configuration. `files` reads
    /// it from `--tls-dir`, reloads it when it changes, and makes no call to the API server. `self-signed` creates one
    /// in memory, for development only.
    #[arg(long, env = "IMAGESWAP_TLS_MODE", value_name = "MODE")]
    pub(super) tls_mode: Option<String>,

    /// Directory of `cert.pem` and `key.pem`, or `tls.crt` and `tls.key`, for `--tls-mode files`
    #[arg(long, env = "IMAGESWAP_TLS_DIR", value_name = "DIRECTORY")]
    pub(super) tls_dir: Option<String>,

    /// PEM file with the CAs whose clients may send reviews
    ///
    /// If it is set, reviews are answered only on connections with a client certificate that one of these CAs signed.
    /// Probes and metrics need no certificate. Changes to the file apply without a restart.
    #[arg(long, env = "IMAGESWAP_CLIENT_CA_FILE", value_name = "FILE")]
    pub(super) client_ca_file: Option<String>,

    #[command(flatten)]
    pub(super) cluster: ClusterArguments,

    #[command(flatten)]
    pub(super) admission: AdmissionArguments,

    /// Ask registries for new images: `off`, or `fallback` to keep an image whose new registry does not have it
    ///
    /// With `fallback`, an image keeps its original if the new registry says that it does not have the new image. Every
    /// other answer, and none, count as if it were there. See docs/verified-targets.md.
    #[arg(long, env = "IMAGESWAP_VERIFY_TARGET", value_name = "MODE")]
    pub(super) verify_target: Option<String>,

    /// Maximum time for which a review waits for registries
    ///
    /// It is never more than half of the timeout of the API server. With `0s`, no review waits, and only answers that are
    /// known already count.
    #[arg(long, env = "IMAGESWAP_VERIFY_TIMEOUT", value_name = "DURATION")]
    pub(super) verify_timeout: Option<String>,

    #[command(flatten)]
    pub(super) registry: RegistryArguments,

    #[command(flatten)]
    pub(super) strictness: StrictnessArguments,

    /// Start without a map, and leave all images unchanged until the file exists
    ///
    /// Use it for a first installation, together with an optional volume for the map. If the file disappears later, the
    /// last map stays in use, with or without this setting.
    #[arg(
        long,
        env = "IMAGESWAP_MAPS_OPTIONAL",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) maps_optional: Option<String>,

    /// Maximum size of a request body in bytes
    #[arg(long, env = "IMAGESWAP_MAX_BODY_BYTES", value_name = "BYTES")]
    pub(super) max_body_bytes: Option<String>,

    /// Maximum number of connections of the webhook; further connections wait
    #[arg(long, env = "IMAGESWAP_MAX_CONNECTIONS", value_name = "COUNT")]
    pub(super) max_connections: Option<String>,

    /// Time after SIGTERM in which new connections are still accepted
    #[arg(long, env = "IMAGESWAP_SHUTDOWN_DELAY", value_name = "DURATION")]
    pub(super) shutdown_delay: Option<String>,

    /// Timeout for requests in flight after the shutdown delay
    #[arg(long, env = "IMAGESWAP_SHUTDOWN_TIMEOUT", value_name = "DURATION")]
    pub(super) shutdown_timeout: Option<String>,

    /// Name of this pod, shown by `/healthz`
    #[arg(long, env = "IMAGESWAP_POD_NAME", value_name = "NAME")]
    pub(super) pod_name: Option<String>,

    #[command(flatten)]
    pub(super) log: LogArguments,
}
