//! The controller: keeps certificates and the webhook configuration right.
//!
//! It reads the Secrets, serves the certificate they hold, updates the webhook configuration, and takes the next action
//! of a rotation. [`rotation`] decides what that action is, and is pure. The controller carries it out, one write at a
//! time. A write fails if another client has changed the object since it was read. There is deliberately no leader: any
//! replica can continue from the state that another one has left.

mod backoff;
mod configuration;
mod contest;
mod creation;
mod csr;
mod destination;
mod differences;
mod issue;
mod managed_fields;
mod metrics;
mod owner;
mod patch;
mod propagation;
mod removal;
pub mod rotation;
mod run;
mod secrets;
mod selector;
mod settings;
mod template;
mod template_in_force;
mod user_provided;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use tracing::warn;

use self::{
    configuration::{Configuration, LiveConfiguration},
    creation::CreationClock,
    csr::CsrSigner,
    destination::Address,
    metrics::RotationResult,
    rotation::{Action, Configured, Issuer, Observed, PropagationClock, Rotation, SurplusRoots},
    secrets::{AUTHORITY, CERTIFICATE, Secrets, StoredSecret},
    template_in_force::TemplateInForce,
    user_provided::Provision,
};
pub use self::{
    metrics::ControllerMetrics,
    removal::{OwnSecrets, Removal},
    settings::ControllerSettings,
    template::{CONFIGURATION_NAME, MAX_TEMPLATE_BYTES, Template, TemplateError},
};
use crate::{
    kubernetes::{Cluster, ClusterError},
    state::{Live, Readiness},
    tls::{Roots, ServerName, ServingCertificate},
};

/// Name of the Service that the API server calls.
const SERVICE: &str = "imageswap";

/// Maximum number of actions in one reconcile. A whole rotation takes four, and a lost race repeats one. More of them
/// mean that another client reverts them.
const MAX_ACTIONS: usize = 20;

/// Delay before the next reconcile while another party has to act first: the cluster's signer, or the loader of the
/// map.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The time at which the webhook configuration may be created.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Creation {
    /// The configuration may be created with the first certificate. This is for `init`, which runs before the server.
    AtOnce,
    /// The configuration may be created once this process is ready and can answer calls.
    WhenReady,
}

/// The parts of the process that a [`Controller`] works with.
#[derive(Debug)]
pub struct Shared {
    /// The template of the webhook configuration.
    pub template: Arc<Live<Template>>,
    /// The serving certificate.
    pub certificate: Arc<Live<ServingCertificate>>,
    /// The readiness of the process, which decides when to create the configuration.
    pub readiness: Arc<Readiness>,
    /// The metrics of the controller.
    pub metrics: Arc<ControllerMetrics>,
}

/// Keeps certificate, certificate authority and webhook configuration right.
#[derive(Debug)]
pub struct Controller {
    namespace: String,
    secrets: Secrets,
    signer: Option<CsrSigner>,
    configuration: Configuration,
    creation: Creation,
    creation_clock: CreationClock,
    /// Names of the server, for the certificate.
    names: Vec<String>,
    /// The name that the API server calls; one of `names`.
    name: ServerName<'static>,
    certificate: Arc<Live<ServingCertificate>>,
    readiness: Arc<Readiness>,
    metrics: Arc<ControllerMetrics>,
    provision: Provision,
    /// Roots that the API server has to trust to accept the serving certificate.
    bundle: Roots,
    /// Measures how long the API server has trusted the roots that are about to be used.
    propagation_clock: PropagationClock,
    /// Roots that are about to be removed from the configuration.
    surplus: SurplusRoots,
    /// Number of conflicts with other writers of the configuration in this reconcile.
    conflicts: usize,
    /// Roots that are missing in the configuration, and that the log has already reported.
    untrusted: Option<Roots>,
    /// Time at which this replica, which serves no accepted certificate, first found no authority.
    found_missing: Option<Instant>,
    /// Retiring roots, which slower replicas may still need, and the time until which they are trusted.
    retiring: Option<(Roots, Instant)>,
}

/// The outcome of a reconcile.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReconcileOutcome {
    /// Everything is right.
    Done,
    /// Everything is right but for the configuration, which may not be created yet; reconcile again after this time.
    AwaitingConfiguration(Duration),
    /// Another party has to act first; reconcile again after this time.
    RequeueAfter(Duration),
}

/// The state of the cluster from which the controller chooses an action.
struct Findings {
    issuer: Issuer,
    configured: Configured,
    /// Roots that the API server trusted for the certificate in use, whoever added them.
    taken_over: Roots,
    /// Time for which the API server is known to have trusted the newest authority.
    newest_trusted_for: Duration,
    /// The error of the API server if it refused the configuration.
    refusal: Option<ClusterError>,
}

impl Controller {
    /// Creates a controller. It finds the cluster but does not call it yet. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// If no cluster can be found, or the host of the URL is not a valid host name or address.
    pub async fn connect(
        settings: ControllerSettings,
        creation: Creation,
        shared: Shared,
    ) -> Result<Self, ClusterError> {
        let Cluster { client, namespace } = Cluster::find(settings.namespace.as_deref()).await?;
        let Address { destination, names, host } = Address::new(settings.url, &namespace);
        let name = ServerName::try_from(host.clone())
            .map_err(|error| ClusterError::content(host, error))?;
        let Shared { template, certificate, readiness, metrics } = shared;
        Ok(Self {
            secrets: Secrets::new(client.clone(), &namespace),
            signer: settings.signer.map(|signer| CsrSigner::new(&client, &namespace, signer)),
            configuration: Configuration::new(
                &client,
                TemplateInForce::new(template, creation, Instant::now()),
                destination,
                settings.is_configuration_foreign,
                metrics.clone(),
            ),
            namespace,
            creation,
            creation_clock: CreationClock::new(creation),
            names,
            name,
            certificate,
            readiness,
            metrics,
            provision: Provision::default(),
            bundle: Roots::default(),
            propagation_clock: PropagationClock::default(),
            surplus: SurplusRoots::default(),
            conflicts: 0,
            untrusted: None,
            found_missing: None,
            retiring: None,
        })
    }

    /// Returns the namespace of the webhook.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the stored certificate and key in PEM.
    ///
    /// # Errors
    /// If the API server cannot be reached, or there is no certificate.
    pub async fn stored_pair(&self) -> Result<(Vec<u8>, Vec<u8>), ClusterError> {
        let stored = self.secrets.read(CERTIFICATE).await?;
        let served = self.served();
        let pair = stored.pair(served.as_deref());
        let pair = pair.map(|(certificate, key)| (certificate.to_vec(), key.to_vec()));
        pair.ok_or_else(|| ClusterError::content(CERTIFICATE, "there is no certificate"))
    }

    /// Observes the cluster and takes actions until none is left. With `may_switch` the state follows the settings of
    /// this process; see [`Observed::may_switch`].
    ///
    /// # Errors
    /// If a call fails, or the state of the cluster is invalid. A later reconcile may succeed.
    pub async fn reconcile(&mut self, may_switch: bool) -> Result<ReconcileOutcome, ClusterError> {
        self.conflicts = 0;
        for _ in 0..MAX_ACTIONS {
            match self.advance(may_switch).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) | Err(ClusterError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ClusterError::content(
            format_args!("Secrets {CERTIFICATE} and {AUTHORITY}"),
            "repeatedly changed by another client",
        ))
    }

    /// Takes one action. Returns `None` if another one may follow.
    async fn advance(
        &mut self,
        may_switch: bool,
    ) -> Result<Option<ReconcileOutcome>, ClusterError> {
        let live = self.configuration.observe().await;
        let stored = self.secrets.read(CERTIFICATE).await?;
        self.provision = self.provision.observed(stored.is_user_provided());
        if stored.is_user_provided() {
            return self.reconcile_user_provided(live?, &stored, may_switch).await.map(Some);
        }
        let certificate = Self::usable_certificate(&stored);
        if self.served().is_none()
            && let Some(certificate) = &certificate
        {
            self.serve(certificate, &stored);
        }
        let live = live?;
        self.rotate(live, stored, certificate, may_switch).await
    }

    /// Takes one action for the webhook's own certificate. The arguments are what was read.
    async fn rotate(
        &mut self,
        live: LiveConfiguration,
        stored: StoredSecret,
        certificate: Option<ServingCertificate>,
        may_switch: bool,
    ) -> Result<Option<ReconcileOutcome>, ClusterError> {
        let authority = self.secrets.read(AUTHORITY).await?;
        let rotation = authority.rotation();
        self.exchange(certificate.as_ref(), &stored, &live, &rotation.bundle());
        let findings = self.update_and_observe(&rotation, live).await?;
        let served = self.served();
        let name = self.name.clone();
        let observed = Observed {
            rotation: &rotation,
            certificate: certificate.as_ref(),
            served: served.as_deref(),
            is_renewal_requested: stored.is_rotation_requested(),
            issuer: &findings.issuer,
            verifier: &name,
            configured: &findings.configured,
            taken_over: &findings.taken_over,
            newest_trusted_for: findings.newest_trusted_for,
            // All replicas see that the user-provided certificate has been removed, so they all may switch.
            may_switch: may_switch || self.provision == Provision::SwitchingBack,
            now: OffsetDateTime::now_utc(),
        };
        let action = observed.next_action();
        let is_accepted = observed.is_in_use_accepted();
        if let Some(delay) = self.head_start_left(action, is_accepted, &findings.configured) {
            return Ok(Some(ReconcileOutcome::RequeueAfter(delay)));
        }
        let result = match action {
            Action::Nothing | Action::Wait if findings.refusal.is_some() => {
                return findings.refusal.map_or(Ok(None), Err);
            }
            Action::Nothing => return self.done().map(Some),
            Action::Wait => {
                let delay = self.propagation_left(findings.newest_trusted_for);
                return Ok(Some(ReconcileOutcome::RequeueAfter(delay)));
            }
            Action::Issue(cause) => self.issue(stored, &observed, cause).await,
            Action::DropPrevious | Action::Prepare(_) | Action::Promote | Action::Retain => {
                self.change_authority(authority, &observed, action).await.map(|()| None)
            }
        };
        if matches!(&result, Err(error) if !matches!(error, ClusterError::Conflict { .. })) {
            self.metrics.rotation(RotationResult::Failed);
        }
        result
    }

    /// Updates the configuration for the state of a rotation, and returns the state that the next action depends on.
    async fn update_and_observe(
        &mut self,
        rotation: &Rotation,
        live: LiveConfiguration,
    ) -> Result<Findings, ClusterError> {
        let last = std::mem::replace(&mut self.bundle, rotation.bundle());
        let before = self.configuration.configured(&live);
        let (served, now) = (self.served(), OffsetDateTime::now_utc());
        let taken_over = before.taken_over(served.as_deref(), &self.bundle, &last, &self.name, now);
        self.bundle.add(&taken_over);
        if !served.is_some_and(|served| before.accepts(&served, &self.name, now)) {
            // Another replica may serve a certificate that the API server accepts, and needs its root.
            self.bundle.add(&before.roots());
        }
        // `init` exits after one setup, so it cannot wait for the delay.
        if self.creation == Creation::WhenReady || !before.is_propagated(now) {
            self.bundle = self.surplus.keep(&before.roots(), &self.bundle, Instant::now());
        }
        let update = self.update_configuration(live, &self.bundle.clone()).await?;
        let issuer = match &self.signer {
            Some(signer) => Issuer::Signer(signer.roots().await?),
            None => Issuer::Own,
        };
        let newest_trusted_for = self.newest_trusted_for(rotation, &before, &update.configured);
        let (configured, refusal) = (update.configured, update.refusal);
        Ok(Findings { issuer, configured, taken_over, newest_trusted_for, refusal })
    }

    /// Finishes a reconcile in which the certificate needs no further action.
    fn done(&mut self) -> Result<ReconcileOutcome, ClusterError> {
        if self.configuration.lacks_template() {
            let reason = "not updated, because its template is not usable";
            return Err(ClusterError::content("the webhook configuration", reason));
        }
        if self.configuration.is_awaited() {
            return Ok(ReconcileOutcome::AwaitingConfiguration(self.creation_delay()));
        }
        self.provision = Provision::Managed;
        Ok(ReconcileOutcome::Done)
    }

    /// Returns the certificate of the Secret; `None` if it is not usable.
    fn usable_certificate(stored: &StoredSecret) -> Option<ServingCertificate> {
        stored.certificate().unwrap_or_else(|error| {
            warn!(%error, "stored certificate is not usable; issuing a new one");
            None
        })
    }

    /// Serves the certificate of the Secret if the API server accepts it, or if no certificate is in use. Without a
    /// webhook configuration, it has to be valid under `bundle`.
    fn exchange(
        &mut self,
        certificate: Option<&ServingCertificate>,
        stored: &StoredSecret,
        live: &LiveConfiguration,
        bundle: &Roots,
    ) {
        let Some(certificate) = certificate else { return };
        let (served, now) = (self.served(), OffsetDateTime::now_utc());
        let configured = self.configuration.configured(live);
        if configured.permits_exchange(served.as_deref(), certificate, bundle, &self.name, now) {
            self.serve(certificate, stored);
        }
    }

    /// Returns the serving certificate.
    fn served(&self) -> Option<Arc<ServingCertificate>> {
        self.certificate.load_full()
    }

    /// Returns true if `certificate` is the serving certificate.
    fn serves(&self, certificate: &ServingCertificate) -> bool {
        self.served().is_some_and(|served| served.is_same(certificate))
    }

    fn serve(&mut self, certificate: &ServingCertificate, stored: &StoredSecret) {
        if self.serves(certificate) {
            self.certificate.confirm();
        } else {
            let load = certificate.load(stored.origin().clone());
            self.certificate.publish(certificate.clone(), load);
        }
    }
}
