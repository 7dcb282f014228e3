//! The flags and environment variables of the program, as text.
//!
//! The doc comments here are the program's help.

use clap::Args;

/// The raw text of the flags that say which rules apply.
#[derive(Args, Clone, Debug)]
pub struct RuleArguments {
    /// The map file: which images go where [default: /app/maps/imageswap-maps.conf]
    ///
    /// A rule a line, such as `docker.io::registry.example.com`; see the README. `serve --dev` has a
    /// sample built in.
    #[arg(long, visible_alias = "maps", env = "IMAGESWAP_MAPS_FILE", value_name = "FILE")]
    pub(super) maps_file: Option<String>,

    /// How images are swapped: `MAPS`, by the map file, or `LEGACY`, by one prefix (deprecated)
    /// [default: MAPS]
    #[arg(long, env = "IMAGESWAP_MODE", value_name = "MODE")]
    pub(super) mode: Option<String>,

    /// The registry that LEGACY mode puts before images
    #[arg(long, env = "IMAGE_PREFIX", value_name = "PREFIX")]
    pub(super) image_prefix: Option<String>,
}

/// The raw text of the flags that say where the cluster is, and what to do in it.
#[derive(Args, Clone, Debug)]
pub struct ClusterArguments {
    /// The namespace of the Service and of the Secrets [default: that of the pod]
    #[arg(long, env = "IMAGESWAP_NAMESPACE_NAME", value_name = "NAMESPACE")]
    pub(super) namespace_name: Option<String>,

    /// The signer that issues the certificate, such as `kubernetes.io/kubelet-serving`
    /// [default: none; the webhook has an authority of its own]
    #[arg(long, env = "IMAGESWAP_CSR_SIGNER_NAME", value_name = "SIGNER")]
    pub(super) csr_signer_name: Option<String>,

    /// Leave the webhook configuration alone, because something else owns it [default: false]
    #[arg(
        long,
        env = "IMAGESWAP_DISABLE_AUTO_MWC",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) disable_auto_mwc: Option<String>,

    /// The template of the webhook configuration
    /// [default: /mwc/imageswap-mwc.yaml where it is there, and else one that is built in]
    #[arg(long, env = "IMAGESWAP_MWC_TEMPLATE_FILE", value_name = "FILE")]
    pub(super) mwc_template_file: Option<String>,

    /// Where the API server calls a webhook outside the cluster, instead of at the Service
    #[arg(long, env = "IMAGESWAP_WEBHOOK_URL", value_name = "URL")]
    pub(super) webhook_url: Option<String>,
}

/// The raw text of the flags of the log.
#[derive(Args, Clone, Debug)]
pub struct LogArguments {
    /// What to log: `DEBUG`, `INFO`, `WARNING`, `ERROR` or `OFF` [default: INFO]
    #[arg(long, env = "IMAGESWAP_LOG_LEVEL", value_name = "LEVEL")]
    pub(super) log_level: Option<String>,

    /// How to log: `json`, `text`, or `auto`, which is text on a terminal and JSON elsewhere
    /// [default: auto]
    #[arg(long, env = "IMAGESWAP_LOG_FORMAT", value_name = "FORMAT")]
    pub(super) log_format: Option<String>,
}

/// The raw text of the flag that says which maps are refused.
#[derive(Args, Clone, Debug)]
pub struct StrictnessArguments {
    /// Refuse a map with any error as a whole, instead of skipping its broken lines [default: false]
    #[arg(
        long,
        env = "IMAGESWAP_STRICT_MAPS",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) strict_maps: Option<String>,
}

/// The raw text of the flags of `init`.
#[derive(Args, Clone, Debug)]
pub struct InitArguments {
    #[command(flatten)]
    pub(super) rules: RuleArguments,

    #[command(flatten)]
    pub(super) strictness: StrictnessArguments,

    /// Where `cert.pem` and `key.pem` are written [default: /tls]
    #[arg(long, env = "IMAGESWAP_TLS_DIR", value_name = "DIRECTORY")]
    pub(super) tls_dir: Option<String>,

    #[command(flatten)]
    pub(super) cluster: ClusterArguments,

    #[command(flatten)]
    pub(super) log: LogArguments,
}

/// The raw text of the flags of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArguments {
    #[command(flatten)]
    pub(super) rules: RuleArguments,

    /// Run for development: loopback, a self-signed certificate, the built-in sample map
    ///
    /// Changes the defaults of `--listen`, `--admin-listen`, `--tls-mode`, `--maps-file` and
    /// `--shutdown-delay`; what is set explicitly stays as set. Needs no cluster.
    #[arg(long)]
    pub(super) dev: bool,

    /// The address of the webhook, over TLS [default: [::]:5000]
    #[arg(long, env = "IMAGESWAP_LISTEN", value_name = "ADDRESS")]
    pub(super) listen: Option<String>,

    /// The address of probes and metrics, over plain HTTP [default: [::]:8080]
    #[arg(long, env = "IMAGESWAP_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub(super) admin_listen: Option<String>,

    /// Where the certificate comes from: `managed`, `files` or `self-signed` [default: managed]
    ///
    /// `managed` keeps it in Secrets of the cluster, renews it, and keeps the webhook configuration;
    /// `files` reads it from `--tls-dir`, follows changes, and needs no cluster; `self-signed` makes
    /// one in memory, which is for development only.
    #[arg(long, env = "IMAGESWAP_TLS_MODE", value_name = "MODE")]
    pub(super) tls_mode: Option<String>,

    /// The directory with `cert.pem` and `key.pem`, or `tls.crt` and `tls.key` [default: /tls]
    #[arg(long, env = "IMAGESWAP_TLS_DIR", value_name = "DIRECTORY")]
    pub(super) tls_dir: Option<String>,

    /// The authorities whose clients may ask for reviews, as a PEM file
    /// [default: none; everybody may]
    ///
    /// With it, a review is only answered on a connection with a client certificate that one of them
    /// has signed; probes and metrics need none. Changes of the file are followed.
    #[arg(long, env = "IMAGESWAP_CLIENT_CA_FILE", value_name = "FILE")]
    pub(super) client_ca_file: Option<String>,

    #[command(flatten)]
    pub(super) cluster: ClusterArguments,

    /// The label that, with the value `disabled`, turns swapping off for a workload
    /// [default: k8s.twr.io/imageswap]
    #[arg(long, env = "IMAGESWAP_DISABLE_LABEL", value_name = "LABEL")]
    pub(super) disable_label: Option<String>,

    #[command(flatten)]
    pub(super) strictness: StrictnessArguments,

    /// Start without a map file, and leave all images alone until there is one [default: false]
    ///
    /// Use it for a first installation, together with an optional volume for the map. A file that
    /// disappears later leaves the last map in use, with or without this setting.
    #[arg(
        long,
        env = "IMAGESWAP_MAPS_OPTIONAL",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) maps_optional: Option<String>,

    /// Also swap images with the pull policy `Never` [default: false]
    ///
    /// The node never pulls these images; it uses what it has under the name as written. Set this if
    /// your nodes hold them under the mirror's name.
    #[arg(
        long,
        env = "IMAGESWAP_SWAP_NEVER_PULLED",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) swap_never_pulled: Option<String>,

    /// The largest body of a request, in bytes [default: 8388608]
    #[arg(long, env = "IMAGESWAP_MAX_BODY_BYTES", value_name = "BYTES")]
    pub(super) max_body_bytes: Option<String>,

    /// The most connections at once; more wait until one ends [default: 1024]
    #[arg(long, env = "IMAGESWAP_MAX_CONNECTIONS", value_name = "COUNT")]
    pub(super) max_connections: Option<String>,

    /// How long to go on accepting after SIGTERM, while the cluster learns of it [default: 3s]
    #[arg(long, env = "IMAGESWAP_SHUTDOWN_DELAY", value_name = "DURATION")]
    pub(super) shutdown_delay: Option<String>,

    /// How long requests in flight may take to end after that [default: 20s]
    #[arg(long, env = "IMAGESWAP_SHUTDOWN_TIMEOUT", value_name = "DURATION")]
    pub(super) shutdown_timeout: Option<String>,

    /// The name of this pod, shown by /healthz [default: the host name]
    #[arg(long, env = "IMAGESWAP_POD_NAME", value_name = "NAME")]
    pub(super) pod_name: Option<String>,

    #[command(flatten)]
    pub(super) log: LogArguments,
}
