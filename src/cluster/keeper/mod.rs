//! Does what has to be done: reads the Secrets, serves what they hold, keeps the webhook
//! configuration, and takes the next step of a rotation.

mod brought;
mod issue;
mod trusted;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use trusted::taken_over;

use super::{
    Cluster, ClusterError, ClusterSettings,
    configuration::{self, Configuration},
    destination::Address,
    hints::Hints,
    pace::{Debounce, Failures, jittered},
    secrets::{AUTHORITY, CERTIFICATE, Secrets, Stored},
    signing::{CLUSTER_ROOTS, Signing},
    template::TemplateSlot,
    trust::{Issuer, Situation, Step, TrustClock},
};
use crate::{
    certs::{CertificateSlot, Roots, ServerName, ServingCertificate},
    health::Health,
    metrics::{Metrics, ReloadResult, RotationResult},
};

/// The most steps of one pass. A whole rotation has four, and a lost race repeats one; more means
/// that somebody undoes them.
const MAX_STEPS: usize = 20;

/// How often everything is looked at without a hint, give or take a quarter.
const INTERVAL: Duration = Duration::from_hours(1);

/// How long at most a hint counts for nothing after a failed call: hints tell that the API server is
/// back.
const MAX_DEAFNESS: Duration = Duration::from_secs(5);

/// How long at most a hint counts for nothing when what is in the cluster was at fault: what failed is
/// not tried again at once because of a change that it has made itself, such as another request to a
/// signer that refuses them all.
const MAX_CONTENT_DEAFNESS: Duration = Duration::from_secs(30);

/// How soon to look again for what another has to do first: the cluster's signer, the loader of the
/// map.
const SOON: Duration = Duration::from_secs(1);

/// When the webhook configuration may be created.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Creation {
    /// As soon as there is a certificate: `init`, after which the server is started.
    AtOnce,
    /// When this process is ready, so that a call is answered.
    WhenReady,
}

/// What a [`Keeper`] shares with the rest of the process.
#[derive(Debug)]
pub struct Shared {
    /// The template of the webhook configuration.
    pub template: TemplateSlot,
    /// Where the certificate is served from.
    pub slot: Arc<CertificateSlot>,
    /// Told when there is a certificate; asked when to create the configuration.
    pub health: Arc<Health>,
    /// Counts what is done.
    pub metrics: Arc<Metrics>,
}

/// Keeps certificate, authority and webhook configuration right.
#[derive(Debug)]
pub struct Keeper {
    namespace: String,
    secrets: Secrets,
    signing: Option<Signing>,
    configuration: Configuration,
    creation: Creation,
    /// The names of the server, for the certificate.
    names: Vec<String>,
    /// The one of them that the API server calls.
    name: ServerName<'static>,
    slot: Arc<CertificateSlot>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    served: Option<ServingCertificate>,
    /// What the API server is to trust for the certificate that is served.
    bundle: Roots,
    /// Measures for how long the API server has trusted roots that are about to be used.
    trust_clock: TrustClock,
    /// Roots that an operator was told about, because the configuration lacks them.
    untrusted: Option<Roots>,
    /// Roots that replicas which are behind may still need, and until when they are trusted.
    leaving: Option<(Roots, Instant)>,
    /// Whether the certificate was the operator's own when it was last looked at.
    was_brought: bool,
    /// Whether the operator's own certificate has been refused, and counted.
    is_brought_refused: bool,
    /// Since when the signer has been waited for.
    signer_asked: Option<Instant>,
}

/// How a pass ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kept {
    /// Everything is as it should be.
    Done,
    /// Something has to be waited for; to be looked at again after this time.
    Waiting(Duration),
}

impl Keeper {
    /// Puts a keeper together; the cluster is found, and not asked yet. Must be called within a
    /// runtime.
    ///
    /// # Errors
    /// When no cluster can be found, or the host of the URL is no host name or address.
    pub async fn connect(
        settings: ClusterSettings,
        creation: Creation,
        shared: Shared,
    ) -> Result<Self, ClusterError> {
        let cluster = Cluster::find(settings.namespace.as_deref()).await?;
        let Cluster { client, namespace } = cluster;
        let Address { destination, names, host } = Address::new(settings.url, &namespace);
        let name = ServerName::try_from(host.clone())
            .map_err(|error| ClusterError::content(host, error))?;
        let Shared { template, slot, health, metrics } = shared;
        Ok(Self {
            secrets: Secrets::new(client.clone(), &namespace),
            signing: settings.signer.map(|signer| Signing::new(&client, &namespace, signer)),
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
            slot,
            health,
            metrics,
            served: None,
            bundle: Roots::default(),
            trust_clock: TrustClock::default(),
            untrusted: None,
            leaving: None,
            was_brought: false,
            is_brought_refused: false,
            signer_asked: None,
        })
    }

    /// Gives hints when something changes that this keeper looks at, until `stop` is cancelled.
    pub fn watch(
        &self,
        hints: &Hints,
        stop: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (secrets, configurations) = (self.secrets.api(), self.configuration.api());
        let config_maps = self.signing.as_ref().map(Signing::config_maps);
        let (hints, stop) = (hints.clone(), stop.clone());
        async move {
            tokio::join!(
                hints.watch(secrets.clone(), CERTIFICATE, &stop),
                hints.watch(secrets, AUTHORITY, &stop),
                hints.watch(configurations, configuration::NAME, &stop),
                async {
                    if let Some(config_maps) = config_maps {
                        hints.watch(config_maps, CLUSTER_ROOTS, &stop).await;
                    }
                },
            );
        }
    }

    /// Makes passes until `stop` is cancelled: at once, after each hint, and every hour.
    pub async fn run(mut self, hints: Hints, stop: CancellationToken) {
        let mut failures = Failures::default();
        let mut debounce = Debounce::default();
        // Until everything was right once, and then every hour.
        let mut may_switch = true;
        let mut regular = Instant::now();
        while let Some(result) = stop.run_until_cancelled(Box::pin(self.pass(may_switch))).await {
            let pause = match &result {
                Ok(Kept::Done) => {
                    failures.end();
                    if may_switch {
                        may_switch = false;
                        regular = Instant::now() + jittered(INTERVAL);
                    }
                    regular.saturating_duration_since(Instant::now())
                }
                Ok(Kept::Waiting(pause)) => *pause,
                Err(error) => {
                    self.metrics.cluster_failure();
                    let failure = error.to_string();
                    self.health.certificate.failed(&failure);
                    failures.pause_after(failure)
                }
            };
            // One change often comes as several, its maker may have more to do, and one who always
            // changes it back must not keep everybody busy.
            let deaf = debounce.after(self.configuration.take_repaired());
            let deaf = deaf.max(match &result {
                Ok(_) => Duration::ZERO,
                Err(ClusterError::Content { .. }) => pause.min(MAX_CONTENT_DEAFNESS),
                Err(_) => pause.min(MAX_DEAFNESS),
            });
            let hint = async {
                sleep(deaf).await;
                hints.taken().await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause.max(deaf)) => {}
                () = hint => {}
            }
            may_switch |= regular <= Instant::now();
        }
    }

    /// Certificate and key in PEM, as they are stored.
    ///
    /// # Errors
    /// When the API server cannot be asked, or there is none.
    pub async fn stored_pair(&self) -> Result<(Vec<u8>, Vec<u8>), ClusterError> {
        let stored = self.secrets.read(CERTIFICATE).await?;
        let pair = stored.pair().map(|(certificate, key)| (certificate.to_vec(), key.to_vec()));
        pair.ok_or_else(|| ClusterError::content(CERTIFICATE, "there is no certificate"))
    }

    /// Looks at everything, and does what there is to do. With `may_switch` the state is brought in
    /// line with this process's own settings; see [`Situation::may_switch`].
    ///
    /// # Errors
    /// When something is wrong in the cluster; a later pass may succeed.
    pub async fn pass(&mut self, may_switch: bool) -> Result<Kept, ClusterError> {
        for _ in 0..MAX_STEPS {
            match self.step(may_switch).await {
                Ok(Some(kept)) => return Ok(kept),
                Ok(None) | Err(ClusterError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ClusterError::content(
            format_args!("Secrets {CERTIFICATE} and {AUTHORITY}"),
            "they are changed by somebody else again and again",
        ))
    }

    /// One step; none when there may be another.
    async fn step(&mut self, may_switch: bool) -> Result<Option<Kept>, ClusterError> {
        let stored = self.secrets.read(CERTIFICATE).await?;
        let mut authority = self.secrets.read(AUTHORITY).await?;
        if stored.is_brought() {
            self.was_brought = true;
            return self.keep_brought(&stored, &authority, may_switch).await.map(Some);
        }
        let certificate = self.serve_stored(&stored);
        let trust = authority.trust();
        self.bundle = trust.bundle();
        // What the API server trusts for the certificate in use stays trusted, whoever put it there:
        // the original, or a state of the Secret that is lost.
        let live = self.configuration.look().await?;
        let taken_over = taken_over(&live, self.served.as_ref(), &self.bundle, &self.name);
        self.bundle.add(&taken_over);
        let mut refusal = None;
        let configured = self.try_configuration(&self.bundle.clone(), &mut refusal).await?;
        let issuer = match &self.signing {
            Some(signing) => Issuer::Signer(signing.roots().await?),
            None => Issuer::Own,
        };
        let next = trust.next.as_ref().map(|next| &next.roots);
        let next_trusted_for = self.next_trusted_for(next, &live, &configured);
        let situation = Situation {
            trust: &trust,
            certificate: certificate.as_ref(),
            served: self.served.as_ref(),
            is_renewal_requested: stored.is_rotation_requested(),
            issuer: &issuer,
            name: &self.name,
            configured: &configured,
            next_trusted_for,
            // All replicas see that the operator's own certificate is gone.
            may_switch: may_switch || self.was_brought,
            now: OffsetDateTime::now_utc(),
        };
        let step = situation.next_step();
        if let (Step::Done | Step::Wait, Some(refusal)) = (step, refusal) {
            return Err(refusal);
        }
        let result = match step {
            Step::Done => return self.done().map(Some),
            Step::Wait => Ok(Some(Kept::Waiting(self.settling_left(next_trusted_for)))),
            Step::Issue(cause) => self.issue(stored, &trust, cause).await,
            Step::Forget | Step::Prepare(_) | Step::Promote => {
                let trust =
                    issue::changed(trust, step, self.served.as_ref(), &issuer, &taken_over)?;
                authority.set_trust(&trust);
                self.secrets.write(&authority).await.map(|()| {
                    self.tell(step);
                    None
                })
            }
        };
        if matches!(&result, Err(error) if !matches!(error, ClusterError::Conflict { .. })) {
            self.metrics.certificate_rotation(RotationResult::Failed);
        }
        result
    }

    /// Ends a pass in which nothing is left to do for the certificate.
    fn done(&mut self) -> Result<Kept, ClusterError> {
        if self.configuration.lacks_template() {
            let reason = "the template cannot be used, so that it is left as it is";
            return Err(ClusterError::content("the webhook configuration", reason));
        }
        if self.configuration.is_awaited() {
            return Ok(Kept::Waiting(SOON));
        }
        self.was_brought = false;
        Ok(Kept::Done)
    }

    /// Logs and counts a step that changed what is trusted.
    fn tell(&self, step: Step) {
        let namespace = &self.namespace;
        match step {
            Step::Prepare(cause) => {
                self.metrics.certificate_rotation(RotationResult::Issued);
                info!(namespace, secret = AUTHORITY, cause, "next authority made");
            }
            Step::Promote => {
                info!(namespace, secret = AUTHORITY, "the next authority signs from now on");
            }
            Step::Forget => {
                info!(namespace, secret = AUTHORITY, "previous authorities dropped");
            }
            Step::Done | Step::Issue(_) | Step::Wait => {}
        }
    }

    /// Serves the certificate of the Secret, and returns it if it can be used.
    fn serve_stored(&mut self, stored: &Stored) -> Option<ServingCertificate> {
        match stored.certificate() {
            Ok(Some(certificate)) => {
                self.serve(certificate.clone());
                Some(certificate)
            }
            Ok(None) => None,
            Err(error) => {
                warn!(%error, "the stored certificate cannot be used; there will be a new one");
                None
            }
        }
    }

    fn serve(&mut self, certificate: ServingCertificate) {
        if self.served.as_ref().is_some_and(|served| served.is_same(&certificate)) {
            return;
        }
        let (validity, now) = (certificate.validity(), OffsetDateTime::now_utc());
        self.slot.store(&certificate);
        self.metrics.tls_reload(ReloadResult::Applied);
        self.metrics.tls_not_after(validity.not_after);
        self.health.certificate.ready();
        let namespace = &self.namespace;
        info!(
            namespace,
            secret = CERTIFICATE,
            days_left = validity.days_left(now),
            "certificate loaded"
        );
        self.served = Some(certificate);
    }
}
