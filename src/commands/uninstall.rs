//! `imageswap uninstall`: removes what the webhook has created, so that its manifests can be deleted.

use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::{
    controller::{OwnSecrets, Removal},
    kubernetes::ClusterError,
    log_once::LogOnce,
    settings::UninstallSettings,
};

/// Timeout for the whole command. It waits some seconds for the API servers, and repeats what fails.
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

/// Repeats the removal until it succeeds.
async fn remove(removal: &Removal, secrets: OwnSecrets) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut log_once = LogOnce::default();
    while let Err(error) = removal.remove(secrets).await {
        let is_lasting = matches!(error, ClusterError::Content { .. });
        if is_lasting || start.elapsed() + RETRY_DELAY >= TIMEOUT {
            return Err(error.into_refusal().into());
        }
        if log_once.is_new(&error.to_string()) {
            warn!(%error, "removal failed; retrying");
        }
        sleep(RETRY_DELAY).await;
    }
    Ok(())
}
