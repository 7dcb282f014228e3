//! The running webhook: starts its tasks, supervises them, and shuts them down.
//!
//! Every task has an owner here that waits for it. A task that stops unexpectedly ends the process, because a webhook
//! that no longer follows its map or certificate is worse than one that is restarted.
//!
//! This module only connects the parts. It decides nothing about images, certificates or connections.

mod metrics;
mod rules;
mod signals;
mod targets;
mod tasks;
mod values;

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::{
    metrics::BUILD_INFO,
    tasks::{Task, Tasks},
    values::Values,
};
pub use self::{metrics::declared_metrics, signals::Signals};
use crate::{
    admission::Shadow,
    controller::{Controller, ControllerMetrics, Creation, Shared},
    kubernetes::{ClusterError, Wakeup},
    metrics::Registry,
    origin::Origin,
    server::{Listener, Port, Service, Shutdown, Workers, acceptor, open_files},
    settings::{CertificateOrigin, ClusterSettings, ServeSettings},
    sources::{
        CertificateFiles, ClientCaSource, Loaded, Source, TemplateSource, Timing, keep_fresh,
        refresh,
    },
    state::{HasStatus, Live, LoadError, Readiness, Subject},
    tls::{CertificateResolver, ClientTrust, Roots, self_signed},
    version::{REVISION, VERSION},
};

/// An unusable client CA file, with which the program does not start.
#[derive(Debug, thiserror::Error)]
#[error(
    "IMAGESWAP_CLIENT_CA_FILE (--client-ca-file): {0}; expected a PEM file with the certificates of the \
     CAs whose clients may send reviews"
)]
pub struct UnusableClientCa(LoadError);

/// Maximum time for which the end of the process waits for another readiness probe: the period of the probe in
/// `deploy/manifests`, and a second for a late one.
const PROBE_WAIT: Duration = Duration::from_secs(6);

/// Number of threads besides those of the webhook: for probes, reloads and the controller. With two, a task that takes
/// long holds up no other.
const THREADS: usize = 2;

/// Serves until a signal stops the program.
///
/// # Errors
/// If a port cannot be bound, or a task stops unexpectedly. [`UnusableClientCa`] if that file is not usable.
pub fn serve(settings: ServeSettings) -> anyhow::Result<()> {
    let settings = ServeSettings {
        limits: open_files::fit(settings.limits, settings.verify.is_some()),
        ..settings
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let served = runtime.block_on(async {
        let signals = Signals::listen()?;
        App::start(settings).await?.run(signals).await
    });
    // Does not wait for a load that hangs, as on a dead network volume.
    runtime.shutdown_background();
    served
}

/// The webhook with its ports bound and its tasks running.
#[derive(Debug)]
pub struct App {
    settings: ServeSettings,
    readiness: Arc<Readiness>,
    address: SocketAddr,
    admin_address: SocketAddr,
    shutdown: Shutdown,
    /// Stops everything but the two servers, after the connections of the webhook are closed.
    stop: CancellationToken,
    /// Stops the admin server, as the last action of a shutdown.
    stop_admin: CancellationToken,
    tasks: Tasks,
}

impl App {
    /// Binds the ports and starts all tasks.
    ///
    /// # Errors
    /// If a file or a port is not usable, or no cluster can be found.
    pub async fn start(settings: ServeSettings) -> anyhow::Result<Self> {
        let registry = Registry::default();
        registry.describe(&BUILD_INFO);
        registry.gauge(&BUILD_INFO, &[VERSION, REVISION]).set(1.0);
        let mut values = Values::new(settings.admission.clone(), &registry);
        // The metrics page has the same counters in every mode, so that alerts do not depend on it.
        let controller_metrics = Arc::new(ControllerMetrics::new(&registry));
        let (stop, mut tasks) = (CancellationToken::new(), Tasks::default());
        let clients = client_trust(&settings, &mut values, &mut tasks, &stop)?;
        let tls = acceptor(CertificateResolver::new(values.certificate.clone()), clients.clone())
            .context("creating the TLS settings")?;
        let workers = Workers::start().context("starting the threads of the webhook")?;
        let listener = Listener::bind(settings.listen, Port::Webhook { tls, clients });
        let listener = listener.with_context(|| {
            format!("IMAGESWAP_LISTEN (--listen): cannot bind {}", settings.listen)
        })?;
        let admin_listener = Listener::bind(settings.admin_listen, Port::Admin);
        let admin_listener = admin_listener.with_context(|| {
            format!(
                "IMAGESWAP_ADMIN_LISTEN (--admin-listen): cannot bind {}",
                settings.admin_listen
            )
        })?;
        let awaited: Vec<Arc<dyn HasStatus>> =
            vec![values.policy.clone(), values.certificate.clone()];
        let mut app = Self {
            address: listener.address(),
            admin_address: admin_listener.address(),
            settings,
            readiness: Arc::new(Readiness::new(awaited)),
            shutdown: Shutdown::default(),
            stop,
            stop_admin: CancellationToken::new(),
            tasks,
        };
        let pod_name = app.settings.pod_name.clone().unwrap_or_else(host_name);
        app.load_rules(&values)?;
        app.load_certificate(&mut values, controller_metrics).await?;
        let targets = app.start_targets(&mut values, &registry);
        let service = Service::new(
            values.world.clone(),
            &pod_name,
            app.readiness.clone(),
            registry.clone(),
            app.settings.limits,
            targets.clone(),
            app.settings.status_page.then(|| {
                let resolver = targets.map(|targets| targets.resolver().clone());
                values.status_page(&pod_name, &app.settings, &app.readiness, resolver)
            }),
        )
        .context("starting the thread for large reviews")?;
        let service = Arc::new(service);
        app.tasks
            .spawn(Task::Webhook, listener.serve(service.clone(), workers, app.shutdown.clone()));
        app.tasks.spawn(Task::AdminServer, {
            // Probes and metrics are answered until the end, so that no probe fails and the drain is visible.
            let shutdown =
                Shutdown { drain: app.stop_admin.clone(), abort: app.stop_admin.clone() };
            admin_listener.serve(service, Workers::of_this_runtime(), shutdown)
        });
        app.log_start();
        Ok(app)
    }

    fn log_start(&self) {
        // In a cluster, the page has no URL before a port is forwarded to it.
        let has_url = self.settings.status_page && self.admin_address.ip().is_loopback();
        let status_page = has_url.then(|| format!("http://{}/", self.admin_address));
        info!(
            version = VERSION, revision = REVISION,
            listen = %self.address, admin_listen = %self.admin_address, rules = %self.settings.rules,
            status_page,
            "imageswap started"
        );
        match &self.settings.admission.shadow {
            Shadow::Everywhere => warn!("shadow mode; no object is changed"),
            Shadow::In(namespaces) => {
                warn!(?namespaces, "shadow mode; no object in these namespaces is changed");
            }
            Shadow::Nowhere => {}
        }
    }

    /// Returns the address of the webhook.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of probes and metrics.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Runs until a signal comes, then shuts down in order. First the webhook still accepts connections, until load
    /// balancers and kube-proxy send no new ones. Then it accepts none, and closes open ones after their requests. Then
    /// everything stops, the admin port last.
    ///
    /// # Errors
    /// If a task stops unexpectedly, or a second signal aborts the shutdown.
    pub async fn run(mut self, mut signals: Signals) -> anyhow::Result<()> {
        tokio::select! {
            signal = signals.next() => info!(signal, "shutting down"),
            ended = self.tasks.next() => bail!("{ended} stopped unexpectedly"),
        }
        tokio::select! {
            result = self.shut_down() => result,
            signal = signals.next() => bail!("a second signal ({signal}) aborted the shutdown"),
        }
    }

    async fn shut_down(&mut self) -> anyhow::Result<()> {
        self.readiness.drain();
        let probes = self.readiness.probes();
        sleep(self.settings.shutdown_delay).await;
        // The kubelet probes until the sandbox of the pod has stopped. A probe after the end of the process is refused,
        // and reported as a failure. Right after a probe there is enough time before the next one.
        if self.readiness.probes() > probes {
            let _ = timeout(PROBE_WAIT, self.readiness.next_probe()).await;
        }
        self.shutdown.drain.cancel();
        // The webhook's task ends with its last connection.
        match timeout(self.settings.shutdown_timeout, self.tasks.next()).await {
            Ok(ended) if ended.is(Task::Webhook) => {}
            Ok(ended) => bail!("{ended} stopped during the shutdown"),
            Err(_) => warn!("shutdown timeout expired with requests in flight"),
        }
        self.shutdown.abort.cancel();
        self.stop.cancel();
        // The admin server is left.
        self.tasks.join_to(1).await?;
        self.stop_admin.cancel();
        self.tasks.join_to(0).await?;
        info!("imageswap stopped");
        Ok(())
    }

    async fn load_certificate(
        &mut self,
        values: &mut Values,
        controller_metrics: Arc<ControllerMetrics>,
    ) -> anyhow::Result<()> {
        let certificate = &values.certificate;
        match self.settings.certificate.clone() {
            CertificateOrigin::Files(directory) => {
                let source = CertificateFiles::new(directory);
                self.follow(Task::CertificateReload, source, certificate.clone());
            }
            CertificateOrigin::Managed(settings) => {
                self.start_controller(settings, values, controller_metrics).await?;
            }
            CertificateOrigin::SelfSigned(names) => {
                let self_signed = self_signed(&names)?;
                let load = self_signed.load(Origin::Generated);
                certificate.publish(self_signed, load);
                warn!("serving a self-signed certificate, for development only");
            }
        }
        Ok(())
    }

    async fn start_controller(
        &mut self,
        ClusterSettings { controller, template }: ClusterSettings,
        values: &mut Values,
        metrics: Arc<ControllerMetrics>,
    ) -> anyhow::Result<()> {
        let wakeup = Wakeup::default();
        let is_outside = controller.url.is_some();
        let live = Live::new(Subject::WebhookTemplate, values.observer.clone()).on_change({
            let wakeup = wakeup.clone();
            move |_| wakeup.wake()
        });
        let live = Arc::new(live);
        values.followed.push(live.clone());
        let shared = Shared {
            template: live.clone(),
            certificate: values.certificate.clone(),
            readiness: self.readiness.clone(),
            metrics,
        };
        let controller = Controller::connect(controller, Creation::WhenReady, shared).await;
        let controller = match controller {
            Err(error @ ClusterError::Unreachable(_)) => Err(error).context(
                "the certificate is managed in a cluster, because IMAGESWAP_TLS_MODE (--tls-mode) \
                 is managed; set it to `files` for a certificate in files, or use `serve --dev` \
                 for a self-signed one",
            )?,
            controller => controller?,
        };
        let mut source = TemplateSource::new(template);
        if !is_outside {
            source = source.for_pods_in(controller.namespace());
        }
        refresh(&mut source, &live);
        let stop = self.stop.clone();
        self.follow(Task::TemplateReload, source, live);
        self.tasks.spawn(Task::ClusterWatch, controller.watch(&wakeup, &stop));
        self.tasks.spawn(Task::Controller, controller.run(wakeup, stop));
        Ok(())
    }

    fn follow<S: Source>(&mut self, task: Task, source: S, live: Arc<Live<S::Value>>) {
        let stop = self.stop.clone();
        self.tasks.spawn(task, keep_fresh(source, live, Timing::default(), stop));
    }
}

/// Loads the client CA file and follows it; `None` if client authentication is off.
///
/// Without the file, the webhook would not know which clients to refuse. So it does not start.
fn client_trust(
    settings: &ServeSettings,
    values: &mut Values,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Arc<ClientTrust>>> {
    let Some(file) = settings.client_ca_file.clone() else { return Ok(None) };
    let live: Arc<Live<Roots>> = Arc::new(Live::new(Subject::ClientCa, values.observer.clone()));
    values.followed.push(live.clone());
    let mut source = ClientCaSource::new(file);
    if let Loaded::New(roots, load) = source.load(&live).map_err(UnusableClientCa)? {
        live.publish(roots, load);
    }
    let following = keep_fresh(source, live.clone(), Timing::default(), stop.clone());
    tasks.spawn(Task::ClientCaReload, following);
    Ok(Some(Arc::new(ClientTrust::new(live))))
}

/// Returns the name of the host, which in a pod is the pod's name.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "imageswap".to_owned() } else { name.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        server::Limits,
        settings::{DefaultValue, SETTINGS},
    };

    /// Returns the default of a setting in seconds.
    fn seconds(variable: &str) -> u64 {
        let setting = SETTINGS.iter().find(|setting| setting.variable() == variable).unwrap();
        let (DefaultValue::Described(text) | DefaultValue::Text(text)) = setting.default();
        text.strip_suffix('s').unwrap().parse().unwrap()
    }

    #[test]
    fn the_manifests_leave_time_for_probes_and_shutdown() {
        let deployment = include_str!("../../deploy/manifests/deployment.yaml");
        let deployment: Value = serde_saphyr::from_str(deployment).unwrap();
        let pod = &deployment["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let probe = |name: &str, field: &str| container[name][field].as_u64().unwrap();
        let startup_wait = Limits::default().startup_wait.as_secs();
        assert!(probe("startupProbe", "timeoutSeconds") > startup_wait);
        assert!(probe("readinessProbe", "periodSeconds") < PROBE_WAIT.as_secs());
        let shutdown = seconds("IMAGESWAP_SHUTDOWN_DELAY")
            + PROBE_WAIT.as_secs()
            + seconds("IMAGESWAP_SHUTDOWN_TIMEOUT");
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > shutdown);
    }
}
