//! The authorities whose clients may ask for reviews.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing::{info, warn};

use super::{Freshness, Source, directory_of};
use crate::{
    certs::{ClientAuthorities, ClientTrust},
    metrics::{Metrics, ReloadResult},
};

/// Loads the file of the authorities into their slot.
#[derive(Debug)]
pub struct ClientAuthoritySource {
    directory: PathBuf,
    current: ClientAuthorities,
    trust: Arc<ClientTrust>,
    metrics: Arc<Metrics>,
    /// The failure that was logged last, so that a lasting one is logged and counted once.
    last_failure: Option<String>,
}

impl ClientAuthoritySource {
    /// Will keep `trust`, which holds `current`, as the file of `current` is. That it holds it counts
    /// as the first load.
    #[must_use]
    pub fn new(current: ClientAuthorities, trust: Arc<ClientTrust>, metrics: Arc<Metrics>) -> Self {
        let (file, authorities) = (current.file().display(), current.roots().len());
        info!(%file, authorities, "client authorities loaded");
        metrics.client_ca_reload(ReloadResult::Applied);
        let directory = directory_of(current.file());
        Self { directory, current, trust, metrics, last_failure: None }
    }

    fn apply(&mut self, new: ClientAuthorities) {
        let (old, roots) = (self.current.roots(), new.roots());
        info!(
            file = %new.file().display(), authorities = roots.len(),
            added = roots.without(old).len(), removed = old.without(roots).len(),
            "client authorities loaded"
        );
        self.trust.store(&new);
        self.metrics.client_ca_reload(ReloadResult::Applied);
        self.current = new;
    }
}

impl Source for ClientAuthoritySource {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn reload(&mut self) -> Freshness {
        match ClientAuthorities::read(self.current.file()) {
            Ok(authorities) => {
                self.last_failure = None;
                if authorities.roots() != self.current.roots() {
                    self.apply(authorities);
                }
                Freshness::Fresh
            }
            Err(error) => {
                let failure = error.to_string();
                if self.last_failure.as_ref() != Some(&failure) {
                    warn!(
                        error = %failure,
                        "the client authorities could not be loaded; the last good ones stay in use"
                    );
                    self.metrics.client_ca_reload(ReloadResult::Failed);
                    self.last_failure = Some(failure);
                }
                Freshness::Stale
            }
        }
    }
}
