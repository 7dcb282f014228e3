//! `imageswap uninstall`: removes what the webhook has created, so that its manifests can be deleted.

use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::{
    controller::{OwnSecrets, Removal},
    kubernetes::ClusterError,
    log_once::LogOnce,
    settings::UninstallSettings,
};

/// Timeout for the whole command, which repeats what fails.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Delay before a retry after a failure, for example while an API server does not know the rights of this command yet.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// Removes the rights of the webhook, its configuration and its Secrets.
///
/// # Errors
/// If that does not succeed within two minutes.
pub fn run(settings: UninstallSettings) -> anyhow::Result<()> {
    let UninstallSettings { namespace, secrets, .. } = settings;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let removal = Removal::connect(namespace.as_deref()).await?;
        remove(&removal, secrets).await?;
        info!("uninstallation prepared, the manifests can be deleted");
        Ok(())
    })
}

/// Repeats the removal until it succeeds, or would fail again.
async fn remove(removal: &Removal, secrets: OwnSecrets) -> anyhow::Result<()> {
    let mut last = None;
    let removed = timeout(TIMEOUT, repeat(removal, secrets, &mut last)).await;
    removed.unwrap_or_else(|_| {
        let error = last.map_or_else(|| anyhow!("a call takes too long"), anyhow::Error::from);
        Err(error.context(format!("not done within {} s", TIMEOUT.as_secs())))
    })
}

/// Repeats the removal, and leaves the last error in `last`.
async fn repeat(
    removal: &Removal,
    secrets: OwnSecrets,
    last: &mut Option<ClusterError>,
) -> anyhow::Result<()> {
    let mut log_once = LogOnce::default();
    while let Err(error) = removal.remove(secrets).await {
        if matches!(error, ClusterError::Content { .. }) {
            return Err(error.into());
        }
        if log_once.is_new(&error.to_string()) {
            warn!(%error, "removal failed; retrying");
        }
        *last = Some(error.into_refusal());
        sleep(RETRY_DELAY).await;
    }
    Ok(())
}
