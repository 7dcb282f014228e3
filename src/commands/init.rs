//! `imageswap init`: creates the certificate and the webhook configuration once, like the init container of the Python
//! version.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::{
    controller::{Controller, ControllerMetrics, Creation, ReconcileOutcome, Shared},
    log_once::LogOnce,
    metrics::Registry,
    settings::{ClusterSettings, InitSettings, RuleSource},
    sources::{TemplateSource, load_regular_map, log_diagnostics, refresh},
    state::{Live, Readiness, Subject},
};

/// Timeout for the whole command. A rotation of the certificate authority waits half a minute for the API server, and a
/// signer may take as long.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Delay before a retry after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// Reconciles the cluster like the controller of the running webhook, writes certificate and key, and returns.
///
/// # Errors
/// If reconciliation does not succeed within two minutes, or the files cannot be written.
pub fn run(settings: InitSettings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let InitSettings { rules, strict_maps, tls_directory, cluster, .. } = settings;
    if let RuleSource::DefaultMapFile(file) | RuleSource::MapFile(file) = rules {
        check_map(&file, strict_maps);
    }
    runtime.block_on(async {
        let ClusterSettings { controller, template } = cluster;
        let live = Arc::new(Live::new(Subject::WebhookTemplate, Arc::default()));
        let shared = Shared {
            template: live.clone(),
            certificate: Arc::new(Live::new(Subject::Certificate, Arc::default())),
            readiness: Arc::new(Readiness::default()),
            metrics: Arc::new(ControllerMetrics::new(&Registry::default())),
        };
        let is_outside = controller.url.is_some();
        let mut controller = Controller::connect(controller, Creation::AtOnce, shared).await?;
        let mut source = TemplateSource::new(template);
        if !is_outside {
            source = source.for_pods_in(controller.namespace());
        }
        refresh(&mut source, &live);
        prepare(&mut controller).await?;
        let (certificate, key) = controller.stored_pair().await?;
        fs::create_dir_all(&tls_directory)
            .with_context(|| format!("creating {}", tls_directory.display()))?;
        // The server reads the certificate first, so it is written last.
        write(&tls_directory, "key.pem", &key)?;
        write(&tls_directory, "cert.pem", &certificate)?;
        info!(directory = %tls_directory.display(), "cert.pem and key.pem written");
        Ok(())
    })
}

/// Logs the errors of the map that `serve` will use.
///
/// The webhook configuration exists as soon as `init` is done. If `serve` then refuses the map, the API server calls a
/// webhook that is not ready. The map need not be mounted here.
fn check_map(file: &Path, is_strict: bool) {
    match load_regular_map(file) {
        Ok(map) => {
            log_diagnostics(file, &map.diagnostics);
            if let Some(reason) = map.refusal(is_strict, None) {
                warn!(file = %file.display(), %reason, "`serve` refuses this map");
            }
        }
        Err(error) if error.is_missing() => {
            debug!(file = %file.display(), "no map file to check");
        }
        Err(error) => warn!(%error, "`serve` cannot load this map"),
    }
}

/// Reconciles until nothing is left to do.
async fn prepare(controller: &mut Controller) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut log_once = LogOnce::default();
    loop {
        let remaining = TIMEOUT.saturating_sub(start.elapsed());
        let delay = match controller.reconcile(true).await {
            Ok(ReconcileOutcome::Done) => return Ok(()),
            Ok(
                ReconcileOutcome::AwaitingConfiguration(delay)
                | ReconcileOutcome::RequeueAfter(delay),
            ) => {
                ensure!(delay < remaining, "not done within {} s", TIMEOUT.as_secs());
                delay
            }
            Err(error) if RETRY_DELAY < remaining => {
                if log_once.is_new(&error.to_string()) {
                    warn!(%error, "reconciliation failed; retrying");
                }
                RETRY_DELAY
            }
            Err(error) => return Err(error.into()),
        };
        sleep(delay).await;
    }
}

/// Writes a file that only its owner can read. The write is atomic, so no reader sees a part of the file.
fn write(directory: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let file = directory.join(name);
    let written = || {
        let draft = directory.join(format!(".{name}.new"));
        let _ = fs::remove_file(&draft);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(&draft)?.write_all(content)?;
        fs::rename(&draft, &file)
    };
    written().with_context(|| format!("writing {}", file.display()))
}
