//! Does what has to be done: reads the Secrets, serves what they hold, keeps the webhook
//! configuration, and takes the next step of a rotation.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Cluster, ClusterError, ClusterSettings, SERVICE, WebhookUrl,
    configuration::{self, Configuration, Destination, Permission},
    hints::Hints,
    secrets::{AUTHORITY, CERTIFICATE, Secrets, Stored},
    signing::{CLUSTER_ROOTS, Progress, Signing},
    template::TemplateSlot,
    trust::{Anchor, AnchorKey, Configured, Issuer, SETTLING, Situation, Step, Trust},
};
use crate::{
    certs::{
        Authority, CertificateSlot, PemPair, PendingKey, Roots, ServerName, ServingCertificate,
    },
    health::Health,
    metrics::{Metrics, ReloadResult, RotationResult},
};

/// The most steps of one pass. A whole rotation has four, and a lost race repeats one; more means
/// that somebody undoes them.
const MAX_STEPS: usize = 20;

/// How often everything is looked at without a hint, give or take a quarter.
const INTERVAL: Duration = Duration::from_hours(1);

/// How long to wait after a hint, for others of the same change.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// The longest pause after failures. A hint ends it, as when the API server is back.
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// How soon to look again for what another has to do first: the cluster's signer, the loader of the
/// map.
const SOON: Duration = Duration::from_secs(1);

/// How long before its end a certificate that is not renewed by the webhook is warned about.
const WARNING_DAYS: i64 = 30;

/// How long a signer may take before it is complained about.
const SIGNER_PATIENCE: Duration = Duration::from_secs(30);

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
    /// The roots of the next anchor, and since when the API server has been seen to trust them.
    next_trusted: Option<(Roots, Instant)>,
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
        let service = format!("{SERVICE}.{namespace}.svc");
        let mut names = vec![SERVICE.to_owned(), format!("{SERVICE}.{namespace}"), service.clone()];
        let (destination, host) = match settings.url {
            Some(WebhookUrl { url, host }) => {
                names.push(host.clone());
                (Destination::Url(url), host)
            }
            None => (Destination::Service(namespace.clone()), service),
        };
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
            next_trusted: None,
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
        // Until everything was right once, and then every hour.
        let mut may_switch = true;
        while let Some(result) = stop.run_until_cancelled(Box::pin(self.pass(may_switch))).await {
            let pause = match &result {
                Ok(Kept::Done) => jittered(INTERVAL),
                Ok(Kept::Waiting(pause)) => *pause,
                Err(error) => {
                    let failure = error.to_string();
                    self.health.certificate.failed(&failure);
                    failures.pause_after(failure)
                }
            };
            if result.is_ok() {
                failures = Failures::default();
            }
            let is_done = matches!(result, Ok(Kept::Done));
            may_switch &= !is_done;
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => may_switch |= is_done,
                () = hints.taken() => {
                    // One change often comes as several, and its maker may have more to do.
                    if stop.run_until_cancelled(sleep(DEBOUNCE)).await.is_none() {
                        return;
                    }
                }
            }
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
            return self.keep_brought(&stored, &authority).await.map(Some);
        }
        let certificate = self.serve_stored(&stored);
        let trust = authority.trust();
        let configured = self.keep_configuration(&trust.bundle()).await?;
        let issuer = match &self.signing {
            Some(signing) => Issuer::Signer(signing.roots().await?),
            None => Issuer::Own,
        };
        let next_trusted_for = self.next_trusted_for(&trust, &configured);
        let situation = Situation {
            trust: &trust,
            certificate: certificate.as_ref(),
            is_renewal_requested: stored.is_rotation_requested(),
            issuer: &issuer,
            name: &self.name,
            configured: &configured,
            next_trusted_for,
            may_switch,
            now: OffsetDateTime::now_utc(),
        };
        let step = situation.next_step();
        let result = match step {
            Step::Done if self.configuration.is_awaited() => Ok(Some(Kept::Waiting(SOON))),
            Step::Done => Ok(Some(Kept::Done)),
            Step::Wait => {
                let wait = SETTLING.saturating_sub(next_trusted_for).max(SOON);
                Ok(Some(Kept::Waiting(wait)))
            }
            Step::Issue(cause) => self.issue(stored, &trust, cause).await,
            Step::Forget | Step::Prepare(_) | Step::Promote => {
                let trust = changed(trust, step, certificate.as_ref(), &issuer, &configured)?;
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

    /// Serves the operator's own certificate if its root vouches for it; nothing is written.
    async fn keep_brought(
        &mut self,
        stored: &Stored,
        authority: &Stored,
    ) -> Result<Kept, ClusterError> {
        let place = format!("Secret {}/{CERTIFICATE}", self.namespace);
        let roots = authority.brought_roots()?;
        let certificate = stored.certificate()?.ok_or_else(|| {
            ClusterError::content(
                &place,
                "neither cert.pem and key.pem nor tls.crt and tls.key are there",
            )
        })?;
        let (validity, now) = (certificate.validity(), OffsetDateTime::now_utc());
        let is_served = self.served.as_ref().is_some_and(|served| served.is_same(&certificate));
        if let Err(error) = roots.verify(&certificate, &self.name, now) {
            if !is_served {
                self.metrics.tls_reload(ReloadResult::Refused);
            }
            let reason = format!(
                "the API server would not accept the certificate with the root in Secret \
                 {AUTHORITY}, rootca.pem: {error}"
            );
            return Err(ClusterError::content(&place, reason));
        }
        self.serve(certificate);
        if validity.days_left(now) < WARNING_DAYS {
            warn!(
                secret = CERTIFICATE, not_after = %validity.not_after,
                "your own certificate ends soon; replace it in time"
            );
        }
        let mut bundle = authority.trust().previous;
        bundle.add(&roots);
        self.keep_configuration(&bundle).await?;
        Ok(if self.configuration.is_awaited() { Kept::Waiting(SOON) } else { Kept::Done })
    }

    async fn keep_configuration(&mut self, bundle: &Roots) -> Result<Configured, ClusterError> {
        let may_create = self.served.is_some()
            && match self.creation {
                Creation::AtOnce => true,
                Creation::WhenReady => self.health.reasons().is_empty(),
            };
        let permission = if may_create { Permission::Create } else { Permission::NotYet };
        self.configuration.keep(bundle, permission).await
    }

    /// How long the API server has been seen to trust the next anchor.
    fn next_trusted_for(&mut self, trust: &Trust, configured: &Configured) -> Duration {
        let next = trust.next.as_ref().map(|next| &next.roots);
        let Some(next) = next.filter(|next| configured.trusts(next)) else {
            self.next_trusted = None;
            return Duration::ZERO;
        };
        match &self.next_trusted {
            Some((roots, since)) if roots == next => since.elapsed(),
            _ => {
                self.next_trusted = Some((next.clone(), Instant::now()));
                Duration::ZERO
            }
        }
    }

    /// Puts a new certificate into its Secret.
    async fn issue(
        &mut self,
        mut stored: Stored,
        trust: &Trust,
        cause: &'static str,
    ) -> Result<Option<Kept>, ClusterError> {
        // `Situation` lets nothing be issued by an anchor of the wrong kind.
        let Some(current) = &trust.current else { return Ok(Some(Kept::Done)) };
        let pair = match (&self.signing, &current.key) {
            (None, AnchorKey::Own(authority)) => {
                authority.issue(&self.names, OffsetDateTime::now_utc())?
            }
            (Some(signing), _) => {
                let Some(key) = stored.pending_key() else {
                    stored.set_pending_key(Some(&PendingKey::generate()?));
                    return self.secrets.write(&stored).await.map(|()| None);
                };
                match signing.advance(&key, &self.names).await? {
                    Progress::Issued(pair) => {
                        self.check_issued(signing, &pair, &current.roots)?;
                        self.signer_asked = None;
                        pair
                    }
                    Progress::Approved => return self.await_signer().map(Some),
                    Progress::Refused(reason) => {
                        stored.set_pending_key(None);
                        self.secrets.write(&stored).await?;
                        self.signer_asked = None;
                        return Err(ClusterError::content(signer_title(signing), reason));
                    }
                }
            }
            _ => return Ok(Some(Kept::Done)),
        };
        stored.set_pair(&pair);
        self.secrets.write(&stored).await?;
        self.metrics.certificate_rotation(RotationResult::Issued);
        let namespace = &self.namespace;
        info!(namespace, secret = CERTIFICATE, cause, "certificate issued");
        Ok(None)
    }

    /// Waits for a signer that has not signed yet, within its time.
    fn await_signer(&mut self) -> Result<Kept, ClusterError> {
        let asked = *self.signer_asked.get_or_insert_with(Instant::now);
        match &self.signing {
            Some(signing) if asked.elapsed() >= SIGNER_PATIENCE => Err(ClusterError::content(
                signer_title(signing),
                format_args!(
                    "the approved request was not signed within {} s; is there a signer of that \
                     name in this cluster, and does it sign for servers like this one?",
                    SIGNER_PATIENCE.as_secs()
                ),
            )),
            _ => Ok(Kept::Waiting(SOON)),
        }
    }

    /// Checks that the API server will accept what a signer has issued.
    fn check_issued(
        &self,
        signing: &Signing,
        pair: &PemPair,
        roots: &Roots,
    ) -> Result<(), ClusterError> {
        let PemPair { certificate, key } = pair;
        let place = || "the signed request".into();
        let certificate =
            ServingCertificate::from_pem(certificate.as_bytes(), key.as_bytes(), place(), place())?;
        roots.verify(&certificate, &self.name, OffsetDateTime::now_utc()).map_err(|error| {
            let reason = format!(
                "the API server would not accept the certificate that it issued with the roots in \
                 ConfigMap {CLUSTER_ROOTS}: {error}"
            );
            ClusterError::content(signer_title(signing), reason)
        })
    }
}

fn signer_title(signing: &Signing) -> String {
    format!("the signer {}", signing.signer())
}

/// What is trusted after a step.
fn changed(
    mut trust: Trust,
    step: Step,
    certificate: Option<&ServingCertificate>,
    issuer: &Issuer,
    configured: &Configured,
) -> Result<Trust, ClusterError> {
    match step {
        Step::Prepare(_) => {
            // The first authority of a webhook that is already called, as by the original: what
            // the API server trusts stays trusted, until the certificate in use has ended.
            if let (None, Some(certificate), Configured::Bundles(bundles)) =
                (&trust.current, certificate, configured)
            {
                let until = certificate.validity().not_after;
                for bundle in bundles {
                    trust.keep_trusting(bundle, until);
                }
            }
            trust.prepare(match issuer {
                Issuer::Own => Authority::generate(OffsetDateTime::now_utc())?.into(),
                Issuer::Signer(roots) => Anchor::foreign(roots.clone()),
            });
        }
        Step::Promote => trust.promote(certificate, OffsetDateTime::now_utc()),
        Step::Forget => trust.forget(),
        Step::Done | Step::Issue(_) | Step::Wait => {}
    }
    Ok(trust)
}

/// Failures in a row, of which equal ones are logged once.
#[derive(Debug, Default)]
struct Failures {
    count: u32,
    last: String,
}

impl Failures {
    /// Takes a failure down, and says how long to wait before trying again.
    fn pause_after(&mut self, failure: String) -> Duration {
        if failure != self.last {
            warn!(error = %failure, "the cluster is not as it should be; trying again");
            self.last = failure;
        }
        let pause = SOON.saturating_mul(2_u32.saturating_pow(self.count)).min(MAX_PAUSE);
        self.count += 1;
        jittered(pause)
    }
}

/// Between three and five quarters of `duration`, so that replicas do not all come at once.
fn jittered(duration: Duration) -> Duration {
    let random = RandomState::new().hash_one(()) % 1000;
    duration * 3 / 4 + duration / 2 * u32::try_from(random).unwrap_or_default() / 1000
}
