//! What each metric is, for the `HELP` lines.

use metrics::{describe_counter, describe_gauge};

/// Describes all but the histograms and what is told of the process.
pub(super) fn all() {
    describe_counter!("imageswap_http_request_total", "HTTP requests answered.");
    describe_counter!(
        "imageswap_http_request_exceptions_total",
        "HTTP requests that failed by a fault of this program."
    );
    describe_counter!(
        "imageswap_admission_reviews_total",
        "Admission reviews by what came of them."
    );
    describe_counter!("imageswap_images_total", "Images decided, by reason.");
    describe_counter!("imageswap_map_reloads_total", "Map reloads by result.");
    describe_gauge!(
        "imageswap_map_last_success_timestamp_seconds",
        "When the map in use was loaded, in seconds since 1970."
    );
    describe_gauge!("imageswap_map_rules", "Rules of the map in use, by kind.");
    describe_gauge!(
        "imageswap_map_builtin",
        "1 while no map file is in use, but a map that is built into the program."
    );
    describe_gauge!("imageswap_map_diagnostics", "Diagnostics of the map in use, by severity.");
    describe_gauge!(
        "imageswap_tls_not_after_timestamp_seconds",
        "When the serving certificate ends, in seconds since 1970."
    );
    describe_counter!("imageswap_tls_reloads_total", "Certificate reloads by result.");
    describe_counter!(
        "imageswap_client_ca_reloads_total",
        "Reloads of the authorities whose clients may ask for reviews, by result."
    );
    describe_counter!(
        "imageswap_certificate_rotations_total",
        "Certificates and authorities made by this replica, by result."
    );
    describe_counter!(
        "imageswap_webhook_configuration_writes_total",
        "Writes of this replica to the webhook configuration, by result."
    );
    describe_counter!(
        "imageswap_tls_handshake_failures_total",
        "TLS handshakes that failed, as when the API server does not trust the certificate."
    );
    describe_counter!(
        "imageswap_cluster_failures_total",
        "Looks at the cluster that failed, by the API server or by what is there."
    );
    describe_gauge!("imageswap_connections", "Connections that are open now.");
    describe_gauge!("imageswap_build_info", "Version and git revision of the program, as labels.");
}
