//! Questions to registries about the new images of reviews.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{App, Values, tasks::Task};
use crate::{
    metrics::Registry,
    registry::{Client, ClientSettings, Credentials, Resolver, ResolverSettings},
    server::Targets,
    settings::VerifySettings,
    sources::{RegistryFileSource, refresh},
    state::{CurrentWorld, HasStatus, Live, Subject},
    tls::Roots,
};

/// The credentials and CAs with which registries are asked. Different tasks replace them.
struct Access {
    settings: ClientSettings,
    targets: Arc<Targets>,
    world: Arc<CurrentWorld>,
    parts: Mutex<Parts>,
}

#[derive(Default)]
struct Parts {
    /// `None` until they are loaded, or it is clear that there are none. Without them, a registry could say that it does
    /// not have a private image.
    credentials: Option<Arc<Credentials>>,
    roots: Option<Arc<Roots>>,
}

impl App {
    /// Starts to ask registries for new images. `None` if that is off, so that no part of it runs.
    pub(super) fn start_targets(
        &mut self,
        values: &mut Values,
        registry: &Registry,
    ) -> Option<Arc<Targets>> {
        let VerifySettings { timeout, registry: settings } = self.settings.verify.clone()?;
        let except = settings.except.iter().map(ToString::to_string).collect();
        let resolver = Resolver::new(ResolverSettings { except, ..Default::default() }, registry);
        let targets = Arc::new(Targets::new(Arc::new(resolver), timeout));
        let access = Access {
            settings: settings.client,
            targets: targets.clone(),
            world: values.world.clone(),
            parts: Mutex::default(),
        };
        let access = Arc::new(access);
        let credentials = Live::new(Subject::RegistryConfig, values.observer.clone()).on_change({
            let access = access.clone();
            move |credentials: &Arc<Credentials>| {
                access.replace(|parts| parts.credentials = Some(credentials.clone()));
            }
        });
        let roots = Live::new(Subject::RegistryCa, values.observer.clone()).on_change({
            let access = access.clone();
            move |roots: &Arc<Roots>| access.replace(|parts| parts.roots = Some(roots.clone()))
        });
        let (credentials, roots) = (Arc::new(credentials), Arc::new(roots));
        values.followed.push(credentials.clone());
        values.followed.push(roots.clone());
        // Before the first review: without the files, registries could refuse its questions.
        let mut source = RegistryFileSource::authorities(settings.ca);
        refresh(&mut source, &roots);
        self.follow(Task::RegistryCaReload, source, roots);
        let mut source = RegistryFileSource::credentials(settings.config);
        refresh(&mut source, &credentials);
        let status = credentials.status();
        if !status.is_loaded() && status.last_error.is_none() {
            access.replace(|parts| parts.credentials = Some(Arc::default()));
        }
        self.follow(Task::RegistryConfigReload, source, credentials);
        let warm_up = warm_up(targets.clone(), values.world.clone(), self.stop.clone());
        self.tasks.spawn(Task::TargetWarmUp, warm_up);
        info!(?timeout, "target verification enabled");
        Some(targets)
    }
}

impl Access {
    fn replace(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut parts);
        let Some(credentials) = &parts.credentials else { return };
        let credentials = (**credentials).clone();
        match Client::new(&self.settings, credentials, parts.roots.as_deref()) {
            Ok(client) => self.targets.resolver().set_client(Arc::new(client)),
            Err(error) => warn!(%error, "registry client cannot be created"),
        }
        // The new client knows no answer yet.
        if let Some(world) = self.world.load_full() {
            self.targets.warm_up(&world);
        }
    }
}

/// Asks for the images of recent reviews after each change of the rules, until `stop` is cancelled.
async fn warm_up(targets: Arc<Targets>, world: Arc<CurrentWorld>, stop: CancellationToken) {
    while stop.run_until_cancelled(world.changed()).await.is_some() {
        if let Some(world) = world.load_full() {
            targets.warm_up(&world);
        }
    }
    targets.resolver().shutdown().await;
}
