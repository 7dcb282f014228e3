//! A schedule: replicas and disturbances in a random order.

use std::{cmp::Reverse, collections::BinaryHeap, fmt::Display, time::Duration};

use imageswap::{
    controller::rotation::{Rotation, Verifier},
    tls::Roots,
};

use crate::{
    pki::CachingVerifier,
    random::Random,
    replica::Replica,
    world::{CertificateSecret, World, ahead},
};

/// Time from the start in which disturbances happen.
const DISTURBED: Duration = Duration::from_mins(4);

/// Time after the last disturbance, within which the system has to settle.
const SETTLE: Duration = Duration::from_mins(10);

/// Time at the end of that in which nothing may be written any more.
const QUIET: Duration = Duration::from_mins(3);

/// Days by which time jumps after the disturbances, one entry for each jump. Certificates are renewed after 181 days.
const JUMPS: [i64; 5] = [100; 5];

/// Maximum time after which a watch tells of a change.
const WATCH_LAG: Duration = Duration::from_secs(3);

/// Maximum time after which a watch that was lost tells of a change.
const LOST_WATCH: Duration = Duration::from_mins(1);

/// Debounce between a change and the reconcile: the minimum of the product.
const DEBOUNCE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    Disturb,
    Step(usize, u64),
    Wake(usize, u64),
    Check,
}

/// The end of a schedule.
pub(crate) struct Finished {
    /// The failure, if there was one.
    pub(crate) result: Result<(), String>,
    /// What has happened, if it was recorded.
    pub(crate) history: Vec<String>,
    /// The verifier, for the next schedule.
    pub(crate) verifier: CachingVerifier,
}

pub(crate) struct Schedule {
    random: Random,
    world: World,
    replicas: Vec<Replica>,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    /// Number of events so far, for the order of those at the same time.
    count: u64,
    /// Earlier states of the Secret of the authority.
    backups: Vec<Rotation>,
    /// Earlier states of caBundle.
    bundles: Vec<Roots>,
    versions: [u64; 3],
}

impl Schedule {
    /// Creates the schedule of a seed. Its history is recorded in `history`, if that is given.
    pub(crate) fn new(seed: u64, verifier: CachingVerifier, history: Option<Vec<String>>) -> Self {
        let mut random = Random::new(seed);
        let world = World::new(&mut random, verifier, history);
        let replicas = (0..=random.below(3)).map(|_| Replica::new(ahead(&mut random)));
        let replicas = replicas.collect();
        Self {
            random,
            world,
            replicas,
            events: BinaryHeap::new(),
            count: 0,
            backups: Vec::new(),
            bundles: Vec::new(),
            versions: [0; 3],
        }
    }

    /// Runs the schedule.
    pub(crate) fn run(mut self) -> Finished {
        let result = self.try_run();
        let history = self.world.history.0.unwrap_or_default();
        Finished { result, history, verifier: self.world.verifier }
    }

    fn try_run(&mut self) -> Result<(), String> {
        for index in 0..self.replicas.len() {
            let start = self.random.time(Duration::ZERO, Duration::from_secs(20));
            self.add(start, Event::Step(index, 0));
        }
        for _ in 0..self.random.below(8) {
            let time = self.random.time(Duration::ZERO, DISTURBED);
            self.add(time, Event::Disturb);
        }
        let mut until = DISTURBED + SETTLE;
        self.settle(until)?;
        for days in JUMPS {
            self.world.jump(days);
            self.note(format!("{days} days pass"));
            self.wake_all();
            until += SETTLE;
            self.settle(until)?;
        }
        self.check_old_roots_are_gone()
    }

    /// Runs until a time, and checks that everything has converged by then.
    fn settle(&mut self, until: Duration) -> Result<(), String> {
        self.run_until(until.saturating_sub(QUIET))?;
        let versions = self.world.versions();
        self.run_until(until)?;
        if self.world.versions() != versions {
            return Err(format!("not settled at {until:?}: there is no end to writes"));
        }
        self.check_settled()
    }

    fn run_until(&mut self, until: Duration) -> Result<(), String> {
        while let Some(Reverse((time, _, event))) = self.events.pop() {
            if time > until {
                self.events.push(Reverse((time, self.count, event)));
                break;
            }
            self.world.now = time;
            if self.world.has_spread() {
                self.check_served()?;
            }
            match event {
                Event::Disturb => self.disturb(),
                Event::Check => {}
                Event::Step(index, due) => self.step(index, due),
                Event::Wake(index, life) => self.wake(index, life),
            }
            self.spread_changes();
            self.check_served()?;
        }
        self.world.now = until;
        Ok(())
    }

    /// Checks that all API servers accept all certificates that are served.
    fn check_served(&mut self) -> Result<(), String> {
        let served = { self.replicas.iter() }
            .filter_map(|replica| Some((replica.served.as_ref()?, replica.replaced.as_ref())));
        let refusal = self.world.refused(&served);
        refusal.map_or(Ok(()), |refusal| Err(format!("at {:?}: {refusal}", self.world.now)))
    }

    fn add(&mut self, time: Duration, event: Event) {
        self.count += 1;
        self.events.push(Reverse((time, self.count, event)));
    }

    fn note(&mut self, what: impl Display) {
        self.world.note(what);
    }

    fn step(&mut self, index: usize, due: u64) {
        let replica = &mut self.replicas[index];
        if replica.due != due {
            return;
        }
        if replica.is_asleep {
            replica.wake();
        }
        let mut delay = replica.step(&mut self.world, &mut self.random);
        if replica.is_asleep && replica.is_woken {
            delay = delay.min(DEBOUNCE);
        }
        self.plan(index, delay);
    }

    /// Plans the next step of a replica instead of any other.
    fn plan(&mut self, index: usize, delay: Duration) {
        let replica = &mut self.replicas[index];
        replica.due += 1;
        let event = Event::Step(index, replica.due);
        self.add(self.world.now + delay, event);
    }

    /// Tells a replica of a change.
    fn wake(&mut self, index: usize, life: u64) {
        let replica = &mut self.replicas[index];
        if replica.life != life {
            return;
        }
        replica.is_woken = true;
        if replica.is_asleep {
            self.plan(index, DEBOUNCE);
        }
    }

    /// Tells the replicas of changed objects. A watch that is lost tells later.
    fn spread_changes(&mut self) {
        let versions = self.world.versions();
        if versions == self.versions {
            return;
        }
        if versions[1] != self.versions[1] {
            self.backups.push(self.world.authority.value.clone());
        }
        if versions[2] != self.versions[2] {
            self.bundles.extend(self.world.configuration.value.clone());
            // API servers see it at different times.
            for seconds in 0..30 {
                self.add(self.world.now + Duration::from_secs(seconds), Event::Check);
            }
        }
        self.versions = versions;
        for index in 0..self.replicas.len() {
            let maximum = if self.random.happens(100) { LOST_WATCH } else { WATCH_LAG };
            self.wake_within(index, maximum);
        }
    }

    fn wake_within(&mut self, index: usize, maximum: Duration) {
        let life = self.replicas[index].life;
        let delay = self.random.time(Duration::from_millis(5), maximum);
        self.add(self.world.now + delay, Event::Wake(index, life));
    }

    fn wake_all(&mut self) {
        for index in 0..self.replicas.len() {
            self.wake_within(index, WATCH_LAG);
        }
    }

    /// Does what an operator, another tool or an accident does.
    fn disturb(&mut self) {
        let what = match self.random.below(13) {
            0..3 => self.kill(),
            3 => {
                self.world.certificate.value.is_requested = true;
                self.world.certificate.version += 1;
                "a certificate is requested".into()
            }
            4..6 => {
                self.world.authority.value.is_requested = true;
                self.world.authority.version += 1;
                "an authority is requested".into()
            }
            6 => {
                self.world.certificate.value = CertificateSecret::default();
                self.world.certificate.version += 1;
                "the certificate is deleted".into()
            }
            7 => {
                self.world.authority.value = Rotation::default();
                self.world.authority.version += 1;
                "the authority is deleted".into()
            }
            8 => self.restore(),
            9 => self.replace_certificate(),
            10 => self.start_over(),
            11 => {
                self.world.configure_as_foreigner(&mut self.random, &None);
                format!("the configuration is deleted, and {}", self.kill())
            }
            _ => self.take_trust_away(),
        };
        self.note(what);
    }

    /// Kills a replica, which starts again.
    fn kill(&mut self) -> String {
        let index = self.random.index(self.replicas.len());
        self.replicas[index].restart();
        let delay = self.random.time(Duration::from_millis(10), Duration::from_secs(20));
        self.plan(index, delay);
        format!("replica {index} is killed")
    }

    /// Deletes both Secrets, as the documentation of starting over says, while a replica starts. The others keep their
    /// root trusted if they notice in time.
    fn start_over(&mut self) -> String {
        self.world.certificate.value = CertificateSecret::default();
        self.world.certificate.version += 1;
        self.world.authority.value = Rotation::default();
        self.world.authority.version += 1;
        format!("both Secrets are deleted, and {}", self.kill())
    }

    fn restore(&mut self) -> String {
        if self.backups.is_empty() {
            return "there is no backup".into();
        }
        let index = self.random.index(self.backups.len());
        self.world.authority.value = self.backups[index].clone();
        self.world.authority.version += 1;
        format!("the authority of backup {index} is restored")
    }

    fn replace_certificate(&mut self) -> String {
        self.world.replace_certificate();
        "the certificate is replaced by a foreign one".into()
    }

    fn take_trust_away(&mut self) -> String {
        if self.bundles.is_empty() {
            return "there is no bundle".into();
        }
        let index = self.random.index(self.bundles.len());
        let bundle = Some(self.bundles[index].clone());
        self.world.configure_as_foreigner(&mut self.random, &bundle);
        format!("caBundle {index} is restored")
    }

    /// Checks that nothing remains to be done: one authority, and its certificate is served by all and accepted.
    fn check_settled(&self) -> Result<(), String> {
        let at = self.world.now;
        let rotation = &self.world.authority.value;
        let (Some(current), None) = (&rotation.current, &rotation.next) else {
            return Err(format!("not settled at {at:?}: a rotation is in progress"));
        };
        let Some(stored) = &self.world.certificate.value.certificate else {
            return Err(format!("not settled at {at:?}: no certificate"));
        };
        if !self
            .replicas
            .iter()
            .all(|replica| replica.served.as_ref().is_some_and(|served| served.is_same(stored)))
        {
            return Err(format!("not settled at {at:?}: a replica serves another certificate"));
        }
        let clock = self.world.clock(0);
        if let Err(error) = self.world.verifier.verify(&current.roots, stored, clock) {
            return Err(format!("not settled at {at:?}: under the current root: {error}"));
        }
        let Some(bundle) = &self.world.configuration.value else {
            return Err(format!("not settled at {at:?}: no configuration"));
        };
        if *bundle != rotation.bundle() {
            return Err(format!("not settled at {at:?}: caBundle differs from the roots"));
        }
        Ok(())
    }

    /// Checks that no root is left but that of the authority.
    fn check_old_roots_are_gone(&self) -> Result<(), String> {
        let left = self.world.configuration.value.as_ref().map_or(0, Roots::len);
        if left == 1 { Ok(()) } else { Err(format!("{left} roots are left")) }
    }
}
