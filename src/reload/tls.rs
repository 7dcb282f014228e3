//! The serving certificate, from a pair of files.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use time::OffsetDateTime;
use tracing::{info, warn};

use super::{Freshness, Source};
use crate::{
    certs::{CertificateSlot, ServingCertificate},
    health::Health,
    metrics::{Metrics, ReloadResult},
};

/// Loads certificate and key of a directory into the certificate slot.
#[derive(Debug)]
pub struct CertificateSource {
    directory: PathBuf,
    slot: Arc<CertificateSlot>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    current: Option<ServingCertificate>,
    /// The failure that was logged last, so that a lasting one is logged and counted once.
    last_failure: Option<String>,
}

impl CertificateSource {
    /// Will load the pair in `directory` into `slot`.
    #[must_use]
    pub fn new(
        directory: PathBuf,
        slot: Arc<CertificateSlot>,
        health: Arc<Health>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { directory, slot, health, metrics, current: None, last_failure: None }
    }

    fn apply(&mut self, certificate: ServingCertificate) {
        let (validity, now) = (certificate.validity(), OffsetDateTime::now_utc());
        if validity.is_over(now) {
            warn!(
                directory = %self.directory.display(), not_after = validity.end(),
                "the certificate has expired; the API server will refuse it"
            );
        }
        self.slot.store(&certificate);
        self.metrics.tls_reload(ReloadResult::Applied);
        self.metrics.tls_not_after(validity.not_after);
        self.health.certificate.ready();
        let days_left = validity.days_left(now);
        info!(directory = %self.directory.display(), days_left, "certificate loaded");
        self.current = Some(certificate);
    }
}

impl Source for CertificateSource {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn reload(&mut self) -> Freshness {
        match ServingCertificate::read(&self.directory) {
            Ok(certificate) => {
                self.last_failure = None;
                if self.current.as_ref().is_none_or(|current| !current.is_same(&certificate)) {
                    self.apply(certificate);
                }
                Freshness::Fresh
            }
            Err(error) => {
                let failure = error.to_string();
                if self.last_failure.as_ref() != Some(&failure) {
                    let consequence = if self.current.is_some() {
                        "the last good one stays in use"
                    } else {
                        "there is none yet, so the webhook is not ready"
                    };
                    warn!(error = %failure, "the certificate could not be loaded; {consequence}");
                    self.metrics.tls_reload(ReloadResult::Failed);
                    self.health.certificate.failed(&failure);
                    self.last_failure = Some(failure);
                }
                Freshness::Stale
            }
        }
    }
}
