//! `imageswap init`: certificate and webhook configuration, once, as the original's init container.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::{
    certs::CertificateSlot,
    cluster::{Creation, Hints, Keeper, Kept, Shared, TemplateSource},
    health::Health,
    metrics::Metrics,
    settings::InitSettings,
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
    let InitSettings { tls_directory, cluster, .. } = settings;
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
