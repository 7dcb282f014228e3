//! The running webhook: what is started in which order, who watches whom, and how it ends.
//!
//! Every task has an owner here that waits for it. A task that ends before its time ends the
//! process, because a webhook that no longer follows its map or certificate is worse than one that
//! is restarted.

use std::{future::Future, net::SocketAddr, sync::Arc};

use anyhow::{Context, bail};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    admission::World,
    certs::{CertificateSlot, ClientTrust, self_signed},
    cluster::{Creation, Hints, Keeper, Shared, TemplateSource},
    descriptors,
    health::Health,
    metrics::{MapOrigin, Metrics},
    reload::{
        CertificateSource, ClientAuthoritySource, MapFileSettings, MapSource, Timing, keep_fresh,
    },
    rules::{LegacyPrefix, LoadedMap, Policy},
    server::{Listener, Service, Shutdown, WorldSlot, tls},
    settings::{CertificateOrigin, RuleSource, ServeSettings},
};

/// Serves until a signal ends it.
///
/// # Errors
/// When a port cannot be bound, or a part of the program ends before its time.
pub fn serve(settings: ServeSettings) -> anyhow::Result<()> {
    let settings = ServeSettings { limits: descriptors::fit(settings.limits), ..settings };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let served = runtime.block_on(async {
        let signals = Signals::listen()?;
        App::start(settings).await?.run(signals).await
    });
    // Not waiting for a file that cannot be read to its end.
    runtime.shutdown_background();
    served
}

/// The webhook, bound and loading.
#[derive(Debug)]
pub struct App {
    settings: ServeSettings,
    health: Arc<Health>,
    address: SocketAddr,
    admin_address: SocketAddr,
    shutdown: Shutdown,
    /// Ends what is not a connection, at the very last.
    stop: CancellationToken,
    tasks: JoinSet<&'static str>,
}

impl App {
    /// Binds the ports and starts all tasks.
    ///
    /// # Errors
    /// When a port cannot be bound, a self-signed certificate not be made, or no cluster be found.
    pub async fn start(settings: ServeSettings) -> anyhow::Result<Self> {
        let health = Arc::new(Health::default());
        let metrics = Arc::new(Metrics::default());
        let world = WorldSlot::default();
        let certificate = Arc::new(CertificateSlot::default());
        let clients = settings.client_authorities.as_ref().map(ClientTrust::new).map(Arc::new);
        let acceptor = tls::acceptor(certificate.clone(), clients.clone());
        let acceptor = acceptor.context("making the TLS settings")?;
        let listener = Listener::bind(settings.listen, Some(acceptor));
        let listener = listener.with_context(|| {
            format!("IMAGESWAP_LISTEN (--listen): cannot bind {}", settings.listen)
        })?;
        let admin_listener = Listener::bind(settings.admin_listen, None);
        let admin_listener = admin_listener.with_context(|| {
            format!(
                "IMAGESWAP_ADMIN_LISTEN (--admin-listen): cannot bind {}",
                settings.admin_listen
            )
        })?;
        let service = Arc::new(Service::new(
            world.clone(),
            clients.clone(),
            &settings.pod_name,
            health.clone(),
            metrics.clone(),
            settings.limits,
        ));
        let mut app = Self {
            address: listener.address(),
            admin_address: admin_listener.address(),
            settings,
            health,
            shutdown: Shutdown::default(),
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        app.load_rules(world, metrics.clone())?;
        app.load_certificate(certificate, metrics.clone()).await?;
        app.follow_client_authorities(clients, metrics);
        app.spawn("webhook", listener.serve(service.clone(), app.shutdown.clone()));
        app.spawn("admin server", {
            // Probes and metrics are answered to the end, so that the drain can be watched.
            let shutdown = Shutdown { drain: app.stop.clone(), abort: app.stop.clone() };
            admin_listener.serve(service, shutdown)
        });
        info!(
            version = env!("CARGO_PKG_VERSION"),
            listen = %app.address, admin_listen = %app.admin_address, rules = %app.settings.rules,
            "imageswap started"
        );
        Ok(app)
    }

    /// The address of the webhook.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of probes and metrics.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Runs until a signal comes, then ends in order: no longer ready, still accepting; then no new
    /// connections, and those that are there end after their requests; then everything.
    ///
    /// # Errors
    /// When a task ends before its time, or a second signal cuts the end short.
    pub async fn run(mut self, mut signals: Signals) -> anyhow::Result<()> {
        tokio::select! {
            signal = signals.next() => info!(signal, "shutting down"),
            ended = self.tasks.join_next() => bail!("{} ended before its time", task_name(ended)),
        }
        tokio::select! {
            result = self.end() => result,
            signal = signals.next() => bail!("a second signal ({signal}) cut the shutdown short"),
        }
    }

    async fn end(&mut self) -> anyhow::Result<()> {
        self.health.drain();
        sleep(self.settings.shutdown_delay).await;
        self.shutdown.drain.cancel();
        let drained = timeout(self.settings.shutdown_timeout, async {
            // The webhook's task ends with its last connection.
            match self.tasks.join_next().await {
                Some(Ok("webhook")) => Ok(()),
                ended => bail!("{} ended during the shutdown", task_name(ended)),
            }
        });
        match drained.await {
            Ok(drained) => drained?,
            Err(_) => warn!("requests were still in flight at the end of the shutdown's timeout"),
        }
        self.shutdown.abort.cancel();
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a task failed during the shutdown")?;
        }
        info!("imageswap ended");
        Ok(())
    }

    fn load_rules(&mut self, world: WorldSlot, metrics: Arc<Metrics>) -> anyhow::Result<()> {
        let (health, scope) = (self.health.clone(), self.settings.scope.clone());
        match self.settings.rules.clone() {
            RuleSource::MapFile(file) => {
                let settings = MapFileSettings {
                    file,
                    is_strict: self.settings.strict_maps,
                    is_optional: self.settings.maps_optional,
                };
                let source = MapSource::new(settings, world, scope, health, metrics);
                self.spawn("map reload", keep_fresh(source, Timing::default(), self.stop.clone()));
            }
            RuleSource::BuiltIn(text) => {
                let map = LoadedMap::from_text(text).context("the built-in map")?;
                metrics.map_applied(&map, MapOrigin::BuiltIn);
                let policy = Policy::Maps(Box::new(map.rules));
                world.store(Some(Arc::new(World::new(policy, scope))));
                health.map.ready();
            }
            RuleSource::Legacy(prefix) => {
                if prefix == LegacyPrefix::new("") {
                    warn!("IMAGE_PREFIX is empty, so that LEGACY mode swaps nothing");
                }
                warn!("LEGACY mode is deprecated; a map with a `default` rule takes its place");
                let policy = Policy::Legacy(prefix);
                world.store(Some(Arc::new(World::new(policy, scope))));
                health.map.ready();
            }
        }
        Ok(())
    }

    async fn load_certificate(
        &mut self,
        slot: Arc<CertificateSlot>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<()> {
        match self.settings.certificate.clone() {
            CertificateOrigin::Files(directory) => {
                let source = CertificateSource::new(directory, slot, self.health.clone(), metrics);
                let reload = keep_fresh(source, Timing::default(), self.stop.clone());
                self.spawn("certificate reload", reload);
            }
            CertificateOrigin::Managed(settings) => {
                let hints = Hints::default();
                let source = TemplateSource::load(settings.template.clone(), hints.clone());
                let shared =
                    Shared { template: source.slot(), slot, health: self.health.clone(), metrics };
                let keeper = Keeper::connect(settings, Creation::WhenReady, shared).await;
                let keeper = keeper.context(
                    "the certificate is kept in a cluster, because IMAGESWAP_TLS_MODE (--tls-mode) \
                     is managed; for one in files it is `files`, and for none at all there is \
                     `serve --dev`",
                )?;
                let stop = self.stop.clone();
                self.spawn("webhook template", keep_fresh(source, Timing::default(), stop.clone()));
                self.spawn("cluster watch", keeper.watch(&hints, &stop));
                self.spawn("cluster", keeper.run(hints, stop));
            }
            CertificateOrigin::SelfSigned(names) => {
                let certificate = self_signed(&names)?;
                metrics.tls_not_after(certificate.validity().not_after);
                slot.store(&certificate);
                self.health.certificate.ready();
                warn!("serving a self-signed certificate, for development only");
            }
        }
        Ok(())
    }

    fn follow_client_authorities(
        &mut self,
        clients: Option<Arc<ClientTrust>>,
        metrics: Arc<Metrics>,
    ) {
        if let (Some(authorities), Some(trust)) = (&self.settings.client_authorities, clients) {
            let source = ClientAuthoritySource::new(authorities.clone(), trust, metrics);
            let reload = keep_fresh(source, Timing::default(), self.stop.clone());
            self.spawn("client authority reload", reload);
        }
    }

    fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            task.await;
            name
        });
    }
}

/// The signals that end the process.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes SIGINT and SIGTERM from now on. Must be called within a runtime.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn listen() -> anyhow::Result<Self> {
        let interrupt = signal(SignalKind::interrupt()).context("handling SIGINT")?;
        let terminate = signal(SignalKind::terminate()).context("handling SIGTERM")?;
        Ok(Self { interrupt, terminate })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

fn task_name(ended: Option<Result<&'static str, tokio::task::JoinError>>) -> String {
    match ended {
        Some(Ok(name)) => format!("the task `{name}`"),
        Some(Err(error)) => format!("a task ({error})"),
        None => "every task".to_owned(),
    }
}
