//! The objects in etcd, and the API servers, which see changes of the webhook configuration late.

use std::{
    collections::{HashMap, HashSet},
    fmt::Display,
    time::Duration,
};

use imageswap::{
    controller::rotation::{Configured, KeyOwner, PROPAGATION_DELAY, Rotation, Verifier},
    tls::{Roots, ServingCertificate},
};
use time::OffsetDateTime;

use crate::{
    pki::{CachingVerifier, Made, Pki, id},
    random::Random,
};

/// Time by which an API server may learn of a change late. The rest of the CA propagation delay is for replicas.
const MAX_LAG: Duration = PROPAGATION_DELAY.saturating_sub(Duration::from_secs(5));

/// Time for which calls may fail if a replica without a certificate starts over: other replicas learn of it late, and
/// their machines may stop.
const START_OVER: Duration = Duration::from_mins(3);

/// An object with its resource version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored<T> {
    pub(crate) version: u64,
    /// Time of the last change by the clock of the API server; `None` if there was none since it was created.
    changed: Option<OffsetDateTime>,
    pub(crate) value: T,
}

/// The Secret with the certificate.
#[derive(Clone, Debug, Default)]
pub(crate) struct CertificateSecret {
    pub(crate) certificate: Option<ServingCertificate>,
    pub(crate) is_requested: bool,
}

/// The caBundle of the webhook configuration; `None` if there is no configuration.
pub(crate) type Bundle = Option<Roots>;

/// An API server, which calls the webhook with the roots that it knows.
#[derive(Debug)]
struct ApiServer {
    ahead: i64,
    /// Changes of the configuration with the times at which they are seen.
    seen: Vec<(Duration, Bundle)>,
}

/// The removal of roots from the configuration.
#[derive(Debug)]
struct Removal {
    /// Certificates on which a replica decided before are excused.
    at: Duration,
    roots: Roots,
    /// Time at which the API servers have them again.
    undone: Option<Duration>,
}

/// What has happened, a line each; `None` if it is not recorded.
#[derive(Debug)]
pub(crate) struct History(pub(crate) Option<Vec<String>>);

impl History {
    pub(crate) fn note(&mut self, day: i64, now: Duration, what: impl Display) {
        if let Some(lines) = &mut self.0 {
            lines.push(format!("day {day} {:>9.3} s: {what}", now.as_secs_f64()));
        }
    }
}

/// The cluster.
#[derive(Debug)]
pub(crate) struct World {
    /// Time since the start or the last jump.
    pub(crate) now: Duration,
    pub(crate) day: i64,
    pub(crate) pki: Pki,
    pub(crate) certificate: Stored<CertificateSecret>,
    pub(crate) authority: Stored<Rotation>,
    pub(crate) configuration: Stored<Bundle>,
    pub(crate) verifier: CachingVerifier,
    api_servers: Vec<ApiServer>,
    /// What has happened so far.
    pub(crate) history: History,
    /// Roots that a foreign writer removed.
    removed: Vec<Removal>,
    /// Times at which a replica first decided to serve a certificate of an authority.
    decided: HashMap<usize, Duration>,
    /// Certificates that other clients have stored.
    foreign: HashSet<u64>,
    /// Those of them that a replica served because it had no other.
    excused: HashSet<u64>,
}

impl World {
    pub(crate) fn new(
        random: &mut Random,
        verifier: CachingVerifier,
        history: Option<Vec<String>>,
    ) -> Self {
        let api_servers = (0..=random.below(3))
            .map(|_| ApiServer { ahead: ahead(random), seen: vec![(Duration::ZERO, None)] });
        Self {
            now: Duration::ZERO,
            day: 0,
            pki: Pki::default(),
            certificate: Stored::default(),
            authority: Stored::default(),
            configuration: Stored::default(),
            api_servers: api_servers.collect(),
            verifier,
            history: History(history),
            removed: Vec::new(),
            decided: HashMap::new(),
            foreign: HashSet::new(),
            excused: HashSet::new(),
        }
    }

    /// Notes what has happened.
    pub(crate) fn note(&mut self, what: impl Display) {
        self.history.note(self.day, self.now, what);
    }

    /// Returns the time of a clock that is ahead by hours.
    pub(crate) fn clock(&self, ahead: i64) -> OffsetDateTime {
        self.made(ahead).at() + self.now
    }

    pub(crate) fn made(&self, ahead: i64) -> Made {
        Made { day: self.day, ahead }
    }

    /// Returns the versions of certificate, authority and configuration.
    pub(crate) fn versions(&self) -> [u64; 3] {
        [self.certificate.version, self.authority.version, self.configuration.version]
    }

    /// Lets days pass. All API servers have seen everything by then.
    pub(crate) fn jump(&mut self, days: i64) {
        self.day += days;
        let current = self.configuration.value.clone();
        for server in &mut self.api_servers {
            server.seen = vec![(self.now, current.clone())];
        }
        self.removed.clear();
    }

    /// Writes the configuration. Each API server sees it after a time of its own, in order.
    pub(crate) fn configure(&mut self, random: &mut Random, bundle: &Bundle) {
        if let Some(bundle) = bundle {
            for removal in self.removed.iter_mut().filter(|removal| removal.undone.is_none()) {
                removal.undone = bundle.contains_all(&removal.roots).then_some(self.now);
            }
        }
        self.configuration.version += 1;
        self.configuration.changed = self.configuration.value.is_some().then(|| self.clock(0));
        self.configuration.value.clone_from(bundle);
        for server in &mut self.api_servers {
            let lag = if random.happens(700) { Duration::from_millis(50) } else { MAX_LAG };
            let last = server.seen.last().map_or(Duration::ZERO, |(time, _)| *time);
            let seen = (self.now + random.time(Duration::ZERO, lag)).max(last);
            server.seen.push((seen, bundle.clone()));
        }
    }

    /// Writes the configuration as another client, which may remove roots.
    pub(crate) fn configure_as_foreigner(&mut self, random: &mut Random, bundle: &Bundle) {
        let mut before = self.configuration.value.clone().unwrap_or_default();
        before.add(&self.authority.value.bundle());
        let roots = before.without(&bundle.clone().unwrap_or_default());
        self.configure(random, bundle);
        self.removed.push(Removal { at: self.now, roots, undone: None });
    }

    /// Notes new roots that are used at once, and that take the place of all others, because a replica without a
    /// certificate has found no authority.
    pub(crate) fn start_over(&mut self, mut roots: Roots) {
        roots.add(self.configuration.value.as_ref().unwrap_or(&Roots::default()));
        let undone = Some(self.now + START_OVER);
        self.removed.push(Removal { at: Duration::MAX, roots, undone });
    }

    /// Returns the roots that the API server trusts according to a configuration.
    pub(crate) fn configured(stored: &Stored<Bundle>) -> Configured {
        match &stored.value {
            None => Configured::Absent,
            Some(roots) => Configured::Present {
                bundles: vec![roots.clone()],
                generation: i64::try_from(stored.version).ok(),
                changed: stored.changed,
            },
        }
    }

    /// Notes when a replica read the state for which it serves a certificate.
    pub(crate) fn decide(&mut self, certificate: &ServingCertificate, read: Duration) {
        self.decided.entry(self.pki.issuer(certificate)).or_insert(read);
    }

    /// Excuses a foreign certificate, which a replica serves for want of another one.
    pub(crate) fn excuse(&mut self, certificate: &ServingCertificate) {
        if self.foreign.contains(&id(certificate)) {
            self.excused.insert(id(certificate));
        }
    }

    /// Stores a certificate of an unknown authority, as another client.
    pub(crate) fn replace_certificate(&mut self) {
        let made = self.made(0);
        let foreign = self.pki.authority(made);
        let KeyOwner::Own(authority) = &foreign.key else { return };
        let certificate = self.pki.certificate(authority, made);
        self.foreign.insert(id(&certificate));
        self.certificate.version += 1;
        self.certificate.value =
            CertificateSecret { certificate: Some(certificate), is_requested: false };
    }

    /// Returns true if an API server has noticed a change since the last check.
    pub(crate) fn has_spread(&self) -> bool {
        let next = self.api_servers.iter().filter_map(|server| server.seen.get(1));
        { next }.any(|(seen, _)| *seen <= self.now)
    }

    /// Returns the first certificate that an API server does not accept, unless a foreign writer took its root away. With
    /// each certificate goes the one that was served before it. Every configuration counts that an API server has had
    /// since the last call.
    pub(crate) fn refused<'a>(
        &mut self,
        served: &(
             impl Iterator<Item = (&'a ServingCertificate, Option<&'a ServingCertificate>)> + Clone
         ),
    ) -> Option<String> {
        let now = self.now;
        let servers = self.api_servers.iter().enumerate();
        let refusal = servers.flat_map(|(number, server)| {
            let known = server.seen.iter().take_while(|(seen, _)| *seen <= now);
            // Until an API server notices that the configuration is deleted, its calls do not count.
            let deleted = server.seen.iter().rposition(|(_, bundle)| bundle.is_none());
            let known = known.skip(deleted.unwrap_or_default());
            known.filter_map(move |(_, bundle)| Some((number, server.ahead, bundle.as_ref()?)))
        });
        let refusal = refusal.flat_map(|known| served.clone().map(move |one| (known, one)));
        let refusal = refusal.filter_map(|((number, ahead, roots), (certificate, replaced))| {
            let clock = self.clock(ahead);
            let error = self.verifier.verify(roots, certificate, clock).err()?;
            let is_worse = replaced.is_none_or(|old| self.verifier.may_accept(roots, old, clock));
            let is_excused = self.is_excused(certificate, is_worse, clock);
            (!is_excused).then(|| format!("API server {number}: {error}"))
        });
        let refusal = { refusal }.next();
        for server in &mut self.api_servers {
            let known = server.seen.iter().take_while(|(seen, _)| *seen <= now).count();
            server.seen.drain(..known.saturating_sub(1));
        }
        refusal
    }

    /// Returns true if a foreign writer removed the root of a certificate after a replica decided to serve one of it, and the API
    /// servers need not yet have it again. The order does not matter if it is no worse than the one before.
    fn is_excused(
        &self,
        certificate: &ServingCertificate,
        is_worse: bool,
        clock: OffsetDateTime,
    ) -> bool {
        if self.excused.contains(&id(certificate)) {
            return true;
        }
        let decided = self.decided.get(&self.pki.issuer(certificate)).copied().unwrap_or_default();
        self.removed.iter().any(|removal| {
            (removal.at >= decided || !is_worse)
                && removal.undone.is_none_or(|undone| self.now <= undone + MAX_LAG)
                && self.verifier.may_accept(&removal.roots, certificate, clock)
        })
    }
}

/// Returns by how many hours a clock is ahead: mostly none, at most 20 in either direction.
pub(crate) fn ahead(random: &mut Random) -> i64 {
    const CLOCKS: [i64; 8] = [0, 0, 0, 0, 2, -2, 20, -20];
    CLOCKS[random.index(CLOCKS.len())]
}
