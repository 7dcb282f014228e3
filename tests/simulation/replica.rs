//! A replica: the order of its calls is that of `Controller`, its decisions are those of the product.

use std::time::{Duration, Instant};

use imageswap::{
    controller::rotation::{
        Action, Configured, Confirmation, HEAD_START, Issuer, KeyOwner, Observed, PrepareCause,
        PropagationClock, Rotation, SurplusRoots, Verifier,
    },
    tls::{Roots, ServingCertificate},
};

use crate::{
    pki::Made,
    random::Random,
    world::{Bundle, CertificateSecret, Stored, World},
};

/// Maximum number of actions in one reconcile, as in the product.
const MAX_ACTIONS: usize = 20;

/// Time between regular reconciles.
const INTERVAL: Duration = Duration::from_hours(1);

/// Delay before what was just written is read again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Maximum age of an observation by which the configuration is created, as in the product.
const MAX_AGE: Duration = Duration::from_secs(10);

/// The CA propagation delay.
const DELAY: Duration = imageswap::controller::rotation::PROPAGATION_DELAY;

/// The next call of a replica, with what it has read so far.
#[derive(Clone, Debug)]
enum Call {
    GetConfiguration,
    GetCertificate(Stored<Bundle>, Duration),
    GetAuthority(Stored<Bundle>, Stored<CertificateSecret>, Duration),
    Configure(Box<Read>),
    /// The flag says that the configuration could not be written.
    Act(Box<Read>, Configured, bool),
}

/// What a replica has read, and decided by that.
#[derive(Clone, Debug)]
struct Read {
    /// Time of the first call.
    begun: Duration,
    live: Stored<Bundle>,
    certificate: Stored<CertificateSecret>,
    authority: Stored<Rotation>,
    bundle: Roots,
    taken_over: Roots,
}

/// The end of a call.
enum Outcome {
    /// Another call follows.
    Next(Call),
    /// The reconcile is done; the next one is due after this time.
    Sleep(Duration),
    /// Everything is read again, after a write or because another client has changed an object.
    ReadAgain,
}

/// One replica of the webhook.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) ahead: i64,
    pub(crate) served: Option<ServingCertificate>,
    /// The certificate that it served before.
    pub(crate) replaced: Option<ServingCertificate>,
    /// Number of times that it was killed.
    pub(crate) life: u64,
    /// Number of the next step. Another one that was due is cancelled.
    pub(crate) due: u64,
    /// True if no reconcile is running.
    pub(crate) is_asleep: bool,
    /// True if an object has changed since the start of the reconcile.
    pub(crate) is_woken: bool,
    call: Call,
    actions: usize,
    presence: Presence,
    clock: PropagationClock,
    surplus: SurplusRoots,
    /// Roots for the configuration at the last reading.
    bundle: Roots,
    start: Instant,
    failures: u32,
    /// Time at which this replica, without a certificate, first found no authority.
    found_missing: Option<Duration>,
}

/// The presence of the configuration, as far as a replica knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Presence {
    Deleted,
    Seen,
    Unknown,
}

impl Replica {
    pub(crate) fn new(ahead: i64) -> Self {
        Self {
            ahead,
            served: None,
            replaced: None,
            life: 0,
            due: 0,
            is_asleep: false,
            is_woken: false,
            call: Call::GetConfiguration,
            actions: 0,
            presence: Presence::Unknown,
            clock: PropagationClock::default(),
            surplus: SurplusRoots::default(),
            bundle: Roots::default(),
            start: Instant::now(),
            failures: 0,
            found_missing: None,
        }
    }

    /// Kills the process and starts another one.
    pub(crate) fn restart(&mut self) {
        let (ahead, life, due) = (self.ahead, self.life + 1, self.due + 1);
        *self = Self { life, due, ..Self::new(ahead) };
    }

    /// Begins a reconcile.
    pub(crate) fn wake(&mut self) {
        self.is_asleep = false;
        self.is_woken = false;
        self.actions = 0;
        self.call = Call::GetConfiguration;
    }

    /// Makes the next call, and returns the time until the one after it.
    pub(crate) fn step(&mut self, world: &mut World, random: &mut Random) -> Duration {
        // A call may fail before or after it has had an effect.
        let fails = random.happens(20);
        let call = self.call.clone();
        let outcome = if fails && random.happens(500) {
            None
        } else {
            Some(self.make_call(world, random)).filter(|_| !fails)
        };
        let outcome = match (outcome, call) {
            // The certificate is renewed all the same.
            (None, Call::Configure(read)) => {
                let configured = World::configured(&world.configuration);
                Some(Outcome::Next(Call::Act(read, configured, true)))
            }
            (outcome, _) => outcome,
        };
        match outcome {
            Some(Outcome::Next(call)) => self.call = call,
            Some(Outcome::ReadAgain) if self.actions < MAX_ACTIONS => {
                self.actions += 1;
                self.call = Call::GetConfiguration;
            }
            Some(Outcome::Sleep(delay)) => {
                self.failures = 0;
                self.is_asleep = true;
                return delay;
            }
            Some(Outcome::ReadAgain) | None => {
                self.failures += 1;
                self.is_asleep = true;
                let maximum = Duration::from_secs(2_u64.pow(self.failures.min(6)));
                return random.time(Duration::from_secs(1), maximum);
            }
        }
        latency(random)
    }

    fn make_call(&mut self, world: &mut World, random: &mut Random) -> Outcome {
        match self.call.clone() {
            Call::GetConfiguration => {
                let live = world.configuration.clone();
                self.presence = match (self.presence, &live.value) {
                    (_, Some(_)) => Presence::Seen,
                    (Presence::Seen, None) => Presence::Deleted,
                    (presence, None) => presence,
                };
                Outcome::Next(Call::GetCertificate(live, world.now))
            }
            Call::GetCertificate(live, read) => {
                Outcome::Next(Call::GetAuthority(live, world.certificate.clone(), read))
            }
            Call::GetAuthority(live, certificate, read) => {
                let authority = world.authority.clone();
                let mut bundle = authority.value.bundle();
                if let Some(stored) = &certificate.value.certificate {
                    self.exchange(world, &live, stored, &bundle, read);
                }
                let taken_over = World::configured(&live).taken_over(
                    self.served.as_ref(),
                    &bundle,
                    &self.bundle,
                    &world.verifier,
                    world.clock(self.ahead),
                );
                bundle.add(&taken_over);
                let configured = World::configured(&live);
                let clock = world.clock(self.ahead);
                let is_accepted = |served| configured.accepts(served, &world.verifier, clock);
                if !self.served.as_ref().is_some_and(is_accepted) {
                    bundle.add(&configured.roots());
                }
                let now = self.start + world.now;
                let bundle = self.surplus.keep(&configured.roots(), &bundle, now);
                self.bundle.clone_from(&bundle);
                Outcome::Next(Call::Configure(Box::new(Read {
                    begun: read,
                    live,
                    certificate,
                    authority,
                    bundle,
                    taken_over,
                })))
            }
            Call::Configure(read) => self.configure(world, random, read),
            Call::Act(read, configured, is_refused) => {
                self.act(world, &read, &configured, is_refused)
            }
        }
    }

    fn exchange(
        &mut self,
        world: &mut World,
        live: &Stored<Bundle>,
        stored: &ServingCertificate,
        bundle: &Roots,
        read: Duration,
    ) {
        let clock = world.clock(self.ahead);
        let served = self.served.as_ref();
        if World::configured(live).permits_exchange(served, stored, bundle, &world.verifier, clock)
        {
            if served.is_none() {
                world.excuse(stored);
            }
            // Without another one, it serves this one even if the root has been removed before.
            world.decide(stored, if served.is_none() { Duration::ZERO } else { read });
            if !served.is_some_and(|served| served.is_same(stored)) {
                self.replaced = self.served.replace(stored.clone());
            }
        }
    }

    fn configure(&mut self, world: &mut World, random: &mut Random, read: Box<Read>) -> Outcome {
        let may_write = match self.presence {
            Presence::Seen => true,
            Presence::Deleted => false,
            Presence::Unknown => self.served.as_ref().is_some_and(|served| {
                world.verifier.may_accept(&read.bundle, served, world.clock(self.ahead))
            }),
        };
        if !may_write || read.bundle.is_empty() || read.live.value.as_ref() == Some(&read.bundle) {
            let configured = World::configured(&read.live);
            return Outcome::Next(Call::Act(read, configured, false));
        }
        if read.live.value.is_none() && world.now > read.begun + MAX_AGE {
            let configured = World::configured(&read.live);
            return Outcome::Next(Call::Act(read, configured, false));
        }
        // A creation has no version that the API server could compare.
        if world.configuration.version != read.live.version && read.live.value.is_some() {
            return Outcome::ReadAgain;
        }
        world.note(format_args!("caBundle gets {} roots", read.bundle.len()));
        world.configure(random, &Some(read.bundle.clone()));
        self.presence = Presence::Seen;
        let configured = World::configured(&world.configuration);
        Outcome::Next(Call::Act(read, configured, false))
    }

    /// Returns how long the API server has trusted the newest authority.
    fn trusted_for(&mut self, world: &World, read: &Read, configured: &Configured) -> Duration {
        let Some(newest) = read.authority.value.newest() else {
            self.clock.reset();
            return Duration::ZERO;
        };
        let before = World::configured(&read.live);
        let mut confirmation = Confirmation::of(newest, &before, configured);
        if self.served.is_none() {
            let now = world.clock(self.ahead);
            confirmation = confirmation.at_start(&read.authority.value, &before, now);
        }
        self.clock.observe(newest, confirmation, self.start + world.now).time
    }

    fn act(
        &mut self,
        world: &mut World,
        read: &Read,
        configured: &Configured,
        is_refused: bool,
    ) -> Outcome {
        let rotation = &read.authority.value;
        let trusted_for = self.trusted_for(world, read, configured);
        let observed = Observed {
            rotation,
            certificate: read.certificate.value.certificate.as_ref(),
            served: self.served.as_ref(),
            is_renewal_requested: read.certificate.value.is_requested,
            issuer: &Issuer::Own,
            verifier: &world.verifier,
            configured,
            taken_over: &read.taken_over,
            newest_trusted_for: trusted_for,
            may_switch: false,
            now: world.clock(self.ahead),
        };
        let action = observed.next_action();
        let made = Made { day: world.day, ahead: self.ahead };
        world.history.note(world.day, world.now, format_args!("{action:?} after {trusted_for:?}"));
        let starts_over =
            action == Action::Prepare(PrepareCause::Missing) && !observed.is_in_use_accepted();
        let may_start_over = starts_over && *configured != Configured::Absent;
        let head_start = head_start_left(&mut self.found_missing, may_start_over, world.now);
        if !head_start.is_zero() {
            return Outcome::Sleep(head_start);
        }
        let is_awaited = action == Action::Nothing && self.presence == Presence::Unknown;
        let is_retried = is_refused || is_awaited;
        match action {
            Action::Nothing | Action::Wait if is_retried => return Outcome::Sleep(RETRY_DELAY),
            Action::Nothing => {
                let left = self.surplus.left(self.start + world.now);
                return Outcome::Sleep(left.unwrap_or(INTERVAL));
            }
            Action::Wait if self.clock.is_unconfirmed() => return Outcome::Sleep(RETRY_DELAY),
            Action::Wait => {
                return Outcome::Sleep(DELAY.saturating_sub(trusted_for).max(RETRY_DELAY));
            }
            Action::Issue(_) => return issue(world, read, made),
            Action::DropPrevious | Action::Prepare(_) | Action::Promote | Action::Retain => {
                if world.authority.version != read.authority.version {
                    return Outcome::ReadAgain;
                }
                let create = || Ok::<_, ()>(world.pki.authority(made));
                let after = observed.rotation_after(action, create).unwrap();
                if starts_over {
                    world.start_over(after.newest().cloned().unwrap_or_default());
                }
                world.authority.version += 1;
                world.authority.value = after;
            }
        }
        Outcome::ReadAgain
    }
}

/// Returns how long a replica that would start over still waits for one that knows more.
fn head_start_left(
    found_missing: &mut Option<Duration>,
    starts_over: bool,
    now: Duration,
) -> Duration {
    if !starts_over {
        *found_missing = None;
        return Duration::ZERO;
    }
    let since = *found_missing.get_or_insert(now);
    HEAD_START.saturating_sub(now.saturating_sub(since))
}

/// Issues a certificate, and writes it to its Secret unless that has changed.
fn issue(world: &mut World, read: &Read, made: Made) -> Outcome {
    let current = read.authority.value.current.as_ref();
    let Some(KeyOwner::Own(authority)) = current.map(|authority| &authority.key) else {
        return Outcome::Sleep(INTERVAL);
    };
    if world.certificate.version == read.certificate.version {
        let issued = world.pki.certificate(authority, made);
        world.decide(&issued, read.begun);
        world.certificate.version += 1;
        world.certificate.value =
            CertificateSecret { certificate: Some(issued), is_requested: false };
    }
    Outcome::ReadAgain
}

/// Returns the time of a call: mostly short, sometimes nearly its timeout, and rarely the machine stops for a minute.
fn latency(random: &mut Random) -> Duration {
    let maximum = match random.below(100) {
        0 => Duration::from_mins(1),
        1..5 => Duration::from_secs(9),
        _ => Duration::from_millis(200),
    };
    random.time(Duration::from_millis(1), maximum)
}
