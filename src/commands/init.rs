//! `imageswap init`: certificate and webhook configuration, once, as the original's init container.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::{
    certs::CertificateSlot,
    cluster::{Creation, Hints, Keeper, Kept, Shared, TemplateSource},
    health::Health,
    metrics::Metrics,
    reload::{MapError, load_regular_map, log_diagnostics},
    settings::{InitSettings, RuleSource},
};

/// How long everything may take: a rotation of the authority waits half a minute for the API server,
/// and a signer may take as long.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_secs(2);

/// Does what the running webhook would do in its cluster, writes the pair, and returns.
///
/// # Errors
/// When the cluster is not as it should be within two minutes, or the files cannot be written.
pub fn run(settings: InitSettings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let InitSettings { rules, strict_maps, tls_directory, cluster, .. } = settings;
    if let RuleSource::MapFile(file) = rules {
        check_map(&file, strict_maps);
    }
    runtime.block_on(async {
        let template = TemplateSource::load(cluster.template.clone(), Hints::default());
        let shared = Shared {
            template: template.slot(),
            slot: Arc::new(CertificateSlot::default()),
            health: Arc::new(Health::default()),
            metrics: Arc::new(Metrics::default()),
        };
        let mut keeper = Keeper::connect(cluster, Creation::AtOnce, shared).await?;
        prepare(&mut keeper).await?;
        let (certificate, key) = keeper.stored_pair().await?;
        fs::create_dir_all(&tls_directory)
            .with_context(|| format!("making {}", tls_directory.display()))?;
        // The certificate comes last: it is what the server looks for first.
        write(&tls_directory, "key.pem", &key)?;
        write(&tls_directory, "cert.pem", &certificate)?;
        info!(directory = %tls_directory.display(), "cert.pem and key.pem written");
        Ok(())
    })
}

/// Logs what is wrong with the map that `serve` is going to use.
///
/// The webhook configuration is there as soon as `init` is done: with a map that is refused, the API server would ask
/// a webhook that is not ready. The map need not be mounted here.
fn check_map(file: &Path, is_strict: bool) {
    match load_regular_map(file) {
        Ok(map) => {
            log_diagnostics(file, &map.diagnostics);
            if let Some(reason) = map.refusal(is_strict, None) {
                warn!(file = %file.display(), %reason, "`serve` refuses this map");
            }
        }
        Err(MapError::Unreadable { reason, .. }) if reason.kind() == io::ErrorKind::NotFound => {
            debug!(file = %file.display(), "no map file to check");
        }
        Err(error) => warn!(%error, "`serve` cannot load this map"),
    }
}

/// Makes passes until everything is as it should be.
async fn prepare(keeper: &mut Keeper) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut last_failure = String::new();
    loop {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        let pause = match keeper.pass(true).await {
            Ok(Kept::Done) => return Ok(()),
            Ok(Kept::Waiting(pause)) if pause < left => pause,
            Ok(Kept::Waiting(_)) => bail!("not done within {} s", PATIENCE.as_secs()),
            Err(error) if PAUSE < left => {
                let failure = error.to_string();
                if failure != last_failure {
                    warn!(error = %failure, "the cluster is not as it should be; trying again");
                    last_failure = failure;
                }
                PAUSE
            }
            Err(error) => return Err(error.into()),
        };
        sleep(pause).await;
    }
}

/// Writes a file that only the owner can read, at once: whoever reads it sees all of it.
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
