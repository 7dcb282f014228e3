//! The meaning of each log message, written by hand.

use super::calls::Message;

/// Messages that are not fixed texts: the expression in the source, and what the page says instead.
const VALUES: &[(&str, &str)] = &[("diagnostic.message", "(a diagnostic of the map)")];

/// Messages with their meanings, sorted by message.
pub(crate) const MESSAGES: &[(&str, &str)] = &[
    (
        "(a diagnostic of the map)",
        "The message of the diagnostic, as `imageswap check` prints it. At most 20 are logged for each load.",
    ),
    (
        "--image-prefix has no effect in MAPS mode",
        "Only `LEGACY` mode uses the prefix. Set `--mode LEGACY`, or omit the flag.",
    ),
    (
        "CA created, not yet in use",
        "The next CA is in the Secret. It signs nothing before the API server trusts it.",
    ),
    (
        "CA in use",
        "The next CA signs certificates from now on. The API server has trusted it for 30 seconds.",
    ),
    ("IMAGE_PREFIX is empty, so LEGACY mode swaps nothing", "Set `IMAGE_PREFIX`, or use a map."),
    (
        "IPv6 is not available, listening on IPv4",
        "The node has no IPv6, so `0.0.0.0` is used in place of `[::]`.",
    ),
    (
        "LEGACY mode is deprecated; use a map with a `default` rule instead",
        "`IMAGESWAP_MODE` is `LEGACY`.",
    ),
    (
        "TLS handshake failed",
        "`reason` is that of the [metric](metrics.md): `alert` if the client does not trust the certificate. If it is \
         the API server, see [troubleshooting](../troubleshooting.md#x509).",
    ),
    (
        "`serve` cannot load this map",
        "`init` has checked the map file, and it cannot be read or decoded. `init` continues.",
    ),
    (
        "`serve` refuses this map",
        "`init` has checked the map file, and `serve` would not use it. `init` continues.",
    ),
    (
        "candidate map cannot be loaded, comparing no map",
        "`error` has the reason. Only the comparison is missing; reviews are answered as usual.",
    ),
    (
        "candidate map cannot be loaded, keeping the last good candidate map",
        "`error` has the reason. The last good candidate map is still compared.",
    ),
    (
        "candidate map differs",
        "The candidate map would give this image another name. Reviews follow the map in use.",
    ),
    (
        "candidate map loaded",
        "Each image is also decided by the candidate map, and the differences are counted.",
    ),
    (
        "candidate map refused, comparing no map",
        "`reason` says why: the candidate map has no rules, is a manifest, or has errors and `IMAGESWAP_STRICT_MAPS` is set.",
    ),
    (
        "candidate map refused, keeping the last good candidate map",
        "`reason` says why. The last good candidate map is still compared.",
    ),
    ("candidate map removed", "The file is gone, so nothing is compared any more."),
    (
        "cannot accept connections",
        "The system refuses new connections, usually because the process has too many open files. Open connections are \
         served.",
    ),
    ("cert.pem and key.pem written", "`init` has written the certificate and the key for `serve`."),
    (
        "certificate has expired; the API server refuses it",
        "The certificate that was just loaded has expired. Replace it.",
    ),
    (
        "certificate is not valid yet",
        "The certificate that was just loaded becomes valid later, by the clock of this node. One of the clocks is wrong.",
    ),
    ("certificate issued", "This replica has stored a new certificate in the Secret."),
    (
        "certificate load failed, no certificate in use",
        "The certificate files cannot be used, and there is no earlier certificate. The replica is not ready.",
    ),
    ("certificate loaded", "This replica serves this certificate from now on."),
    (
        "certificate of an unknown authority replaced",
        "Another client had stored a certificate without the annotation for user-provided ones. A copy is kept in the \
         Secret.",
    ),
    (
        "certificate of imageswap is not renewed, because it is marked as user-provided",
        "The annotation for user-provided certificates is set, but the Secret only has a certificate that ImageSwap has \
         made.",
    ),
    (
        "certificate refused, keeping the last good certificate",
        "The user-provided certificate fails a check. The last good certificate is still served.",
    ),
    (
        "certificate refused, no certificate in use",
        "The user-provided certificate fails a check, and there is no earlier certificate. The replica is not ready.",
    ),
    (
        "certificate reload failed, keeping the last good certificate",
        "The certificate files cannot be used. The last good certificate is still served.",
    ),
    (
        "client CA load failed, no client CA in use",
        "Does not happen: `serve` exits with 2 if it cannot load the client CA file at start.",
    ),
    ("client CA loaded", "Only clients with a certificate of these CAs get answers to reviews."),
    (
        "client CA reload failed, keeping the last good client CA",
        "The client CA file cannot be used. The last good CAs still decide which clients get answers.",
    ),
    ("cluster found", "The API server and the namespace that are used."),
    (
        "connection ended",
        "A connection ended with an error, for example because the client closed it early.",
    ),
    (
        "connection established",
        "A client has connected to the webhook with this protocol and this server name (SNI). The API server calls a Service \
         over HTTP/1.1, with the server name `imageswap.NAMESPACE.svc`.",
    ),
    (
        "connection limit lowered to fit the limit of open files",
        "The limit of open files allows fewer connections than `IMAGESWAP_MAX_CONNECTIONS`. Connections above the limit wait. \
         Raise the limit of open files, or lower the setting.",
    ),
    (
        "directory cannot be watched",
        "A directory cannot be watched. Its files are still read every 30 seconds.",
    ),
    (
        "fields of the webhook template ignored; they belong to the object that it was copied from",
        "The template was copied from a live object. Remove these fields.",
    ),
    (
        "file is no map of a namespace",
        "Its name is not that of a namespace with the ending `.conf`. It is ignored.",
    ),
    (
        "following the webhook template of another replica",
        "Another replica has put a newer template into force, or this replica has started with a template that differs from \
         the one in force. See [the template](../configuration.md#replicas-with-different-templates).",
    ),
    ("image swapped", "One rewritten image of a review."),
    ("imageswap started", "The ports are bound. `/readyz` says when the replica is ready."),
    (
        "imageswap stopped",
        "A signal has stopped the program, and all connections have ended. The exit code is 0.",
    ),
    (
        "imageswap stopped by an error",
        "`serve` or `init` failed. The exit code is 1; see [exit codes](exit-codes.md).",
    ),
    (
        "key of the certificate authority is not usable",
        "The key in the Secret does not belong to the root, or cannot be read. ImageSwap creates a new CA, and keeps a \
         copy of key and root in the Secret.",
    ),
    (
        "map load failed, keeping the built-in map",
        "The map file cannot be read or decoded. The built-in map stays in use.",
    ),
    (
        "map load failed, no map in use",
        "The map file cannot be read or decoded, and there is no earlier map. The replica is not ready.",
    ),
    ("map loaded", "A map is in use, with the number of changed rules and of diagnostics."),
    (
        "map refused, keeping the built-in map",
        "The map file must not be used. The built-in map, which leaves all images alone, stays in use.",
    ),
    (
        "map refused, no map in use",
        "The map must not be used, and there is no earlier map. The replica is not ready.",
    ),
    (
        "map reload failed, keeping the last good map",
        "The map file cannot be read or decoded. The last good map stays in use.",
    ),
    (
        "map reload refused, keeping the last good map",
        "The map can be read, but must not be used: it has no rules, is a manifest, has lost its `default`, or has errors and \
         `IMAGESWAP_STRICT_MAPS` is set. The last good map stays in use.",
    ),
    (
        "more diagnostics; `imageswap check` lists them",
        "The map has more diagnostics than are logged.",
    ),
    (
        "more differences of the candidate map",
        "Number of differences of this review beyond the first 64, which are logged one by one.",
    ),
    ("more images swapped", "A review has more rewritten images than are logged."),
    ("more namespace maps failed", "Only the first 20 of a load are logged one by one."),
    (
        "namespace map failed, keeping the last good map",
        "The file of this namespace cannot be used; `error` says why. Other namespaces are not affected.",
    ),
    (
        "namespace map failed, using the map of the cluster",
        "As before, and the namespace has no last good map.",
    ),
    ("namespace map loaded", "The map of this namespace is in use."),
    (
        "namespace map removed",
        "The file is gone, so the map of the cluster decides in this namespace.",
    ),
    (
        "namespace maps cannot be read, keeping the last good maps",
        "The directory cannot be listed. It is tried again each second.",
    ),
    (
        "namespace maps cannot be read, using the map of the cluster",
        "The directory exists, but cannot be listed. It is tried again each second.",
    ),
    (
        "new root missing from caBundle of the unmanaged webhook configuration",
        "`IMAGESWAP_DISABLE_AUTO_MWC` is set, and a rotation waits until the root is in caBundle.",
    ),
    (
        "new root repeatedly removed from caBundle, waiting to use it",
        "Another tool overwrites the webhook configuration, so a rotation waits. See \
         [troubleshooting](../troubleshooting.md#a-rotation-does-not-finish).",
    ),
    ("no map file to check", "`init` found no map file. The map need not be mounted there."),
    (
        "no map file, using the built-in map",
        "`IMAGESWAP_MAPS_OPTIONAL` is set, and there is no map file yet. All images are left alone.",
    ),
    (
        "no webhook template file, using the built-in template",
        "If the ConfigMap exists, its key is wrong. See [troubleshooting](../troubleshooting.md#the-template-is-not-used).",
    ),
    ("object deleted", "`uninstall` has deleted an object."),
    (
        "one of two user-provided certificates ignored",
        "The Secret has `cert.pem` and `tls.crt`, and another one than this is in use. Remove it, or correct it.",
    ),
    (
        "original image kept, target not found",
        "The new image is `absent` from its registry, so the container keeps its image.",
    ),
    (
        "other files found in place of the webhook template",
        "The directory of the template has files, but not the template. See the hint.",
    ),
    (
        "owner of the webhook configuration not set",
        "The owner reference was refused or cannot be read. The configuration is written without it. See \
         [rights](../configuration.md#rights).",
    ),
    (
        "reconciliation failed; retrying",
        "Certificates or the webhook configuration cannot be read or written, or an object is invalid. Logged once for \
         each error. See [troubleshooting](../troubleshooting.md#the-certificate-is-not-issued).",
    ),
    ("reconciliation succeeded again", "The first success after a failure."),
    (
        "registry CA load failed, trusting the CAs of the system only",
        "The file cannot be read or used. It is read again when it changes.",
    ),
    ("registry CA loaded", "The CAs are trusted for registries, besides those of the system."),
    (
        "registry CA reload failed, keeping the last good CAs",
        "The file cannot be read or used any more. It is read again when it changes.",
    ),
    (
        "registry answers again",
        "A registry that has failed answers. Its images are verified again.",
    ),
    ("registry asked for an image", "A registry was asked whether it has an image."),
    ("registry client cannot be created", "The CAs cannot be used. What was in use stays in use."),
    (
        "registry client panicked",
        "A fault of ImageSwap. The image is unknown, and is swapped as usual.",
    ),
    ("registry config entry ignored", "`problem` says which. The rest of the file is in use."),
    (
        "registry config load failed, using no credentials",
        "The file cannot be read or used. Registries that need credentials refuse the questions, so their images are swapped as usual.",
    ),
    ("registry config loaded", "The credentials are in use."),
    (
        "registry config reload failed, keeping the last good credentials",
        "The file cannot be read or used any more. It is read again when it changes.",
    ),
    (
        "registry failing, checks paused",
        "Five checks in a row have failed, or the registry wants fewer requests. Its images are swapped as usual, without \
         a check. At most one line a minute for each registry.",
    ),
    (
        "registry gives no clear answer",
        "It refuses the credentials, or answers in another form; `result` and `error` say which. Its images are swapped as \
         usual. At most one line a minute for each registry.",
    ),
    ("removal failed; retrying", "`uninstall` repeats what failed, for two minutes."),
    (
        "replaced certificate kept in the Secret",
        "ImageSwap has replaced a certificate that it had not made. The copy is under the names that start with \
         `replaced-`.",
    ),
    ("retired CAs removed", "The webhook configuration no longer needs the roots of earlier CAs."),
    (
        "review handler panicked",
        "A fault of ImageSwap. The request was answered with 500; the connection and other requests continue.",
    ),
    (
        "review refused",
        "A review was answered with an error status. At most one line a second for each status. See \
         [statuses](http.md#statuses).",
    ),
    ("reviewed", "A review was answered."),
    (
        "roots of the certificate in use retained",
        "Another client has replaced the CA. The former root stays in caBundle until the certificate in use expires.",
    ),
    (
        "serving a self-signed certificate, for development only",
        "`IMAGESWAP_TLS_MODE` is `self-signed`. No API server trusts the certificate.",
    ),
    (
        "shadow mode; no object in these namespaces is changed",
        "`IMAGESWAP_SHADOW_NAMESPACES` names them. Images are decided, counted and recorded.",
    ),
    (
        "shadow mode; no object is changed",
        "`IMAGESWAP_SHADOW` is `true`. Images are decided, counted and recorded.",
    ),
    (
        "shutdown timeout expired with requests in flight",
        "The remaining connections are closed. Raise `IMAGESWAP_SHUTDOWN_TIMEOUT` if it happens often.",
    ),
    (
        "shutting down",
        "The first signal. Requests are still answered. `/readyz` fails from now on at the webhook port, but not at the admin \
         port.",
    ),
    (
        "sites cannot be loaded, keeping the last good sites",
        "`error` has the reason. The last sites stay in use until the file can be read, or until a restart.",
    ),
    (
        "sites cannot be loaded, using the built-in sites",
        "`error` has the reason. No file has been loaded yet, so only the built-in sites are in use.",
    ),
    (
        "sites loaded",
        "Images at these sites of custom resources are rewritten, the built-in ones included.",
    ),
    (
        "started under a name of the Python ImageSwap",
        "The manifests of the Python ImageSwap start this program. `gunicorn` is `serve` with the certificate from files, \
         `imageswap-init.py` is `init`. Their arguments are ignored.",
    ),
    (
        "status page panicked",
        "A bug, which cost this page. Please report it with the log of this time.",
    ),
    (
        "stored certificate is not usable; issuing a new one",
        "The certificate in the Secret cannot be read, or does not match its key.",
    ),
    ("stored roots are not usable", "A root in the Secret cannot be read. ImageSwap replaces it."),
    (
        "target verification enabled",
        "`IMAGESWAP_VERIFY_TARGET` is `fallback`. A review waits for `timeout` at most.",
    ),
    (
        "the map of --maps-file is used, although IMAGESWAP_MODE is LEGACY",
        "The command line has a map, and the environment has `IMAGESWAP_MODE`. The flag wins.",
    ),
    (
        "uninstallation prepared, the manifests can be deleted",
        "`uninstall` has finished: the API server calls the webhook no more.",
    ),
    ("unknown setting", "An environment variable looks like a setting, but is not one."),
    (
        "user-provided certificate expires soon; replace it in time",
        "The certificate expires within 30 days. ImageSwap does not renew it.",
    ),
    ("user-provided certificate kept", "`uninstall` leaves the Secrets of its owner alone."),
    (
        "watch failed; retrying",
        "Until the watch works again, changes of this object are noticed only by the hourly reconciliation.",
    ),
    ("webhook URL has a path that is not answered", "Change the path in `IMAGESWAP_WEBHOOK_URL`."),
    ("webhook configuration created", "This replica has created the webhook configuration."),
    (
        "webhook configuration created again, deleting it",
        "A replica or another client has created it after `uninstall` had deleted it.",
    ),
    (
        "webhook configuration deleted, no image is swapped",
        "Someone has deleted it. See [break glass](../operations.md#break-glass).",
    ),
    (
        "webhook configuration field left to another client",
        "The field was repaired ten times within an hour. It is repaired again when the hour is over. See \
         [the template](../configuration.md#the-template-of-the-webhook-configuration).",
    ),
    (
        "webhook configuration is not managed, as configured",
        "`IMAGESWAP_DISABLE_AUTO_MWC` is set. ImageSwap reads the configuration, but does not write it.",
    ),
    ("webhook configuration refused", "The API server does not accept the webhook configuration."),
    (
        "webhook configuration updated",
        "It differed from the template, or its caBundle has changed.",
    ),
    (
        "webhook template does not exclude the namespace of ImageSwap",
        "If the namespace has no label that excludes it, ImageSwap cannot start again after the loss of all replicas. \
         Exclude it by its name.",
    ),
    (
        "webhook template has a path that is not answered",
        "Change the path in the `clientConfig` of the template.",
    ),
    (
        "webhook template load failed, leaving the webhook configuration as it is",
        "The template cannot be used, and there is no earlier one.",
    ),
    ("webhook template loaded", "The template from the file, or the built-in one, is in use."),
    (
        "webhook template names ReplicaSets; those of a Deployment are left alone",
        "Replace `replicasets` with `deployments` in the `rules` of the template. ReplicaSets that a Deployment controls \
         are never swapped.",
    ),
    (
        "webhook template reload failed, keeping the last good template",
        "The template cannot be used. The webhook configuration follows the last good one.",
    ),
];

/// Returns a message as the page shows it.
pub(crate) fn shown(message: &Message) -> String {
    match message {
        Message::Fixed(text) => text.clone(),
        Message::Value(expression) => {
            let found = VALUES.iter().find(|(value, _)| value == expression);
            found.unwrap_or_else(|| panic!("{expression} is not in VALUES")).1.to_owned()
        }
    }
}
