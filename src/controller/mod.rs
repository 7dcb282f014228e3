//! The controller: keeps certificates and the webhook configuration right.
//!
//! It reads the Secrets, serves the certificate they hold, updates the webhook configuration, and takes the next action
//! of a rotation. What is to be done is decided in [`rotation`], which is pure; the controller does it, one write at a
//! time, each on condition that nobody was faster. There is deliberately no leader: a replica that stops leaves a state
//! from which any other goes on.

mod backoff;
mod configuration;
mod csr;
mod destination;
mod differences;
mod issue;
mod metrics;
mod owner;
mod propagation;
pub mod rotation;
mod run;
mod secrets;
mod settings;
mod template;
mod user_provided;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use tracing::warn;

use self::{
    configuration::Configuration,
    csr::CsrSigner,
    destination::Address,
    metrics::RotationResult,
    propagation::taken_over,
    rotation::{Action, Configured, Issuer, Observed, PropagationClock, Rotation},
    secrets::{AUTHORITY, CERTIFICATE, Secrets, StoredSecret},
    user_provided::Provision,
};
pub use self::{
    metrics::ControllerMetrics,
    settings::{ControllerSettings, WebhookUrl},
    template::{MAX_TEMPLATE_BYTES, Template, TemplateError},
};
use crate::{
    kubernetes::{Cluster, ClusterError},
    state::{Live, Readiness},
    tls::{Roots, ServerName, ServingCertificate},
};

/// Name of the Service that the API server calls.
const SERVICE: &str = "imageswap";

/// Maximum number of actions in one reconcile. A whole rotation has four, and a lost race repeats one; more means that
/// somebody undoes them.
const MAX_ACTIONS: usize = 20;

/// Delay before the next reconcile while another party has to do something first: the cluster's signer, the loader of
/// the map.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// When the webhook configuration may be created.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Creation {
    /// As soon as there is a certificate: for `init`, after which the server is started.
    AtOnce,
    /// When this process is ready, so that a call is answered.
    WhenReady,
}

/// The parts of the process that a [`Controller`] works with.
#[derive(Debug)]
pub struct Shared {
    /// The template of the webhook configuration.
    pub template: Arc<Live<Template>>,
    /// The certificate that is served.
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
    /// The names of the server, for the certificate.
    names: Vec<String>,
    /// The one of them that the API server calls.
    name: ServerName<'static>,
    certificate: Arc<Live<ServingCertificate>>,
    readiness: Arc<Readiness>,
    metrics: Arc<ControllerMetrics>,
    provision: Provision,
    /// The roots that the API server has to trust for the certificate that is served.
    bundle: Roots,
    /// Measures for how long the API server has trusted roots that are about to be used.
    propagation_clock: PropagationClock,
    /// Roots that the configuration lacks, about which the user was warned.
    untrusted: Option<Roots>,
    /// Retiring roots, which replicas that are behind may still need, and the time until which they are trusted.
    retiring: Option<(Roots, Instant)>,
}

/// The outcome of a reconcile.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReconcileOutcome {
    /// Everything is right.
    Done,
    /// Something has to be waited for; reconcile again after this time.
    RequeueAfter(Duration),
}

/// The cluster as the controller has found and left it before it chooses an action.
struct Findings {
    issuer: Issuer,
    configured: Configured,
    /// Roots that the API server trusted for the certificate in use, whoever put them there.
    taken_over: Roots,
    next_trusted_for: Duration,
    /// The reason for which the API server refused the configuration.
    refusal: Option<ClusterError>,
}

impl Controller {
    /// Creates a controller; the cluster is found, and not called yet. Must be called within a runtime.
    ///
    /// # Errors
    /// If no cluster can be found, or the host of the URL is no host name or address.
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
                template,
                destination,
                settings.is_configuration_foreign,
                metrics.clone(),
            ),
            namespace,
            creation,
            names,
            name,
            certificate,
            readiness,
            metrics,
            provision: Provision::default(),
            bundle: Roots::default(),
            propagation_clock: PropagationClock::default(),
            untrusted: None,
            retiring: None,
        })
    }

    /// Returns certificate and key in PEM, as they are stored.
    ///
    /// # Errors
    /// If the API server cannot be asked, or there is no certificate.
    pub async fn stored_pair(&self) -> Result<(Vec<u8>, Vec<u8>), ClusterError> {
        let stored = self.secrets.read(CERTIFICATE).await?;
        let pair = stored.pair().map(|(certificate, key)| (certificate.to_vec(), key.to_vec()));
        pair.ok_or_else(|| ClusterError::content(CERTIFICATE, "there is no certificate"))
    }

    /// Reads everything, and does what there is to do. With `may_switch` the state follows this process's own settings;
    /// see [`Observed::may_switch`].
    ///
    /// # Errors
    /// If something is wrong in the cluster; a later reconcile may succeed.
    pub async fn reconcile(&mut self, may_switch: bool) -> Result<ReconcileOutcome, ClusterError> {
        for _ in 0..MAX_ACTIONS {
            match self.advance(may_switch).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) | Err(ClusterError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ClusterError::content(
            format_args!("Secrets {CERTIFICATE} and {AUTHORITY}"),
            "they are changed by somebody else again and again",
        ))
    }

    /// Takes one action. `None` means that there may be another one.
    async fn advance(
        &mut self,
        may_switch: bool,
    ) -> Result<Option<ReconcileOutcome>, ClusterError> {
        let stored = self.secrets.read(CERTIFICATE).await?;
        let authority = self.secrets.read(AUTHORITY).await?;
        if stored.is_user_provided() {
            return self.reconcile_user_provided(&stored, &authority, may_switch).await.map(Some);
        }
        self.provision = self.provision.managed();
        let certificate = self.serve_stored(&stored);
        let rotation = authority.rotation();
        let findings = self.find(&rotation).await?;
        let served = self.served();
        let observed = Observed {
            rotation: &rotation,
            certificate: certificate.as_ref(),
            served: served.as_deref(),
            is_renewal_requested: stored.is_rotation_requested(),
            issuer: &findings.issuer,
            name: &self.name,
            configured: &findings.configured,
            next_trusted_for: findings.next_trusted_for,
            // All replicas see that the user-provided certificate is gone.
            may_switch: may_switch || self.provision == Provision::SwitchingBack,
            now: OffsetDateTime::now_utc(),
        };
        let action = observed.next_action();
        let result = match action {
            Action::Nothing | Action::Wait if findings.refusal.is_some() => {
                return findings.refusal.map_or(Ok(None), Err);
            }
            Action::Nothing => return self.done().map(Some),
            Action::Wait => {
                let delay = self.propagation_left(findings.next_trusted_for);
                return Ok(Some(ReconcileOutcome::RequeueAfter(delay)));
            }
            Action::Issue(cause) => self.issue(stored, &rotation, cause).await,
            Action::DropPrevious | Action::Prepare(_) | Action::Promote => {
                self.change(authority, rotation, action, &findings).await.map(|()| None)
            }
        };
        if matches!(&result, Err(error) if !matches!(error, ClusterError::Conflict { .. })) {
            self.metrics.rotation(RotationResult::Failed);
        }
        result
    }

    /// Updates the configuration for the state of a rotation, and returns what the next action depends on.
    async fn find(&mut self, rotation: &Rotation) -> Result<Findings, ClusterError> {
        self.bundle = rotation.bundle();
        let live = self.configuration.observe().await?;
        let before = self.configuration.configured(&live);
        // What the API server trusts for the certificate in use stays trusted, whoever put it there: the original, or a
        // state of the Secret that is lost.
        let served = self.served();
        let taken_over = taken_over(&before, served.as_deref(), &self.bundle, &self.name);
        self.bundle.add(&taken_over);
        let update = self.update_configuration(live, &self.bundle.clone()).await?;
        let issuer = match &self.signer {
            Some(signer) => Issuer::Signer(signer.roots().await?),
            None => Issuer::Own,
        };
        let next = rotation.next.as_ref().map(|next| &next.roots);
        let next_trusted_for = self.next_trusted_for(next, &before, &update.configured);
        let (configured, refusal) = (update.configured, update.refusal);
        Ok(Findings { issuer, configured, taken_over, next_trusted_for, refusal })
    }

    /// Ends a reconcile in which nothing is left to do for the certificate.
    fn done(&mut self) -> Result<ReconcileOutcome, ClusterError> {
        if self.configuration.lacks_template() {
            let reason = "it is left as it is, because its template cannot be used";
            return Err(ClusterError::content("the webhook configuration", reason));
        }
        if self.configuration.is_awaited() {
            return Ok(ReconcileOutcome::RequeueAfter(RETRY_DELAY));
        }
        self.provision = Provision::Managed;
        Ok(ReconcileOutcome::Done)
    }

    /// Serves the certificate of the Secret, and returns it if it can be used.
    fn serve_stored(&mut self, stored: &StoredSecret) -> Option<ServingCertificate> {
        match stored.certificate() {
            Ok(Some(certificate)) => {
                self.serve(&certificate, stored);
                Some(certificate)
            }
            Ok(None) => None,
            Err(error) => {
                warn!(%error, "stored certificate is not usable; issuing a new one");
                None
            }
        }
    }

    /// Returns the certificate that is served.
    fn served(&self) -> Option<Arc<ServingCertificate>> {
        self.certificate.load_full()
    }

    /// Returns true if the certificate is the one that is served.
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
