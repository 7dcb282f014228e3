//! Each state of a rotation, and the action that follows.

mod waits;

use time::Duration as Days;

use super::*;
use crate::{
    origin::Origin,
    tls::{PemPair, ServerName, ServingCertificate},
};

const NAME: &str = "imageswap.imageswap-system.svc";

/// A time in whole seconds, as in certificates.
fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn certificate(authority: &Authority, at: OffsetDateTime) -> ServingCertificate {
    let PemPair { certificate, key } = authority.issue(&[NAME.to_owned()], at).unwrap();
    let origin = || Origin::Generated;
    ServingCertificate::from_pem(certificate.as_bytes(), key.as_bytes(), origin(), origin())
        .unwrap()
}

/// Returns a configuration with these roots, unchanged since its creation.
fn present(bundles: Vec<Roots>) -> Configured {
    Configured::Present { bundles, generation: None, changed: None }
}

/// A cluster in which everything is right. A test changes a part of it.
struct Scene {
    name: ServerName<'static>,
    rotation: Rotation,
    certificate: Option<ServingCertificate>,
    served: Option<ServingCertificate>,
    is_renewal_requested: bool,
    issuer: Issuer,
    taken_over: Roots,
    configured: Configured,
    newest_trusted_for: Duration,
    may_switch: bool,
    now: OffsetDateTime,
}

impl Scene {
    fn new() -> Self {
        let authority = Authority::generate(now()).unwrap();
        Self {
            name: ServerName::try_from(NAME).unwrap(),
            certificate: Some(certificate(&authority, now())),
            served: None,
            configured: present(vec![authority.root()]),
            rotation: Rotation { current: Some(authority.into()), ..Rotation::default() },
            is_renewal_requested: false,
            issuer: Issuer::Own,
            taken_over: Roots::default(),
            newest_trusted_for: Duration::ZERO,
            may_switch: true,
            now: now() + Days::hours(2),
        }
    }

    /// Returns a scene with a next authority, which the API server trusts if `is_trusted`.
    fn in_rotation(is_trusted: bool) -> Self {
        let mut scene = Self::new();
        scene.rotation.prepare(Authority::generate(now()).unwrap().into());
        if is_trusted {
            scene.configured = present(vec![scene.rotation.bundle()]);
        }
        scene
    }

    fn next_action(&self) -> Action {
        self.observe(Observed::next_action)
    }

    /// Takes an action that changes the authorities.
    fn take(&mut self, action: Action) {
        let create = || Authority::generate(self.now).map(Into::into);
        self.rotation = self.observe(|observed| observed.rotation_after(action, create)).unwrap();
    }

    fn promote(&mut self) {
        self.take(Action::Promote);
    }

    fn observe<'a, T>(&'a self, run: impl FnOnce(&Observed<'a>) -> T) -> T {
        run(&Observed {
            rotation: &self.rotation,
            certificate: self.certificate.as_ref(),
            served: self.served.as_ref(),
            is_renewal_requested: self.is_renewal_requested,
            issuer: &self.issuer,
            verifier: &self.name,
            taken_over: &self.taken_over,
            configured: &self.configured,
            newest_trusted_for: self.newest_trusted_for,
            may_switch: self.may_switch,
            now: self.now,
        })
    }
}

#[test]
fn nothing_is_done_if_everything_is_right() {
    assert_eq!(Scene::new().next_action(), Action::Nothing);
}

#[test]
fn an_empty_cluster_gets_an_authority_and_then_a_certificate() {
    let mut scene = Scene {
        rotation: Rotation::default(),
        certificate: None,
        configured: Configured::Absent,
        ..Scene::new()
    };
    assert_eq!(scene.next_action(), Action::Prepare(PrepareCause::Missing));
    scene.rotation.prepare(Authority::generate(now()).unwrap().into());
    assert_eq!(scene.next_action(), Action::Promote);
    scene.promote();
    assert_eq!(scene.next_action(), Action::Issue(IssueCause::Missing));
    assert!(scene.rotation.previous.is_empty());
}

#[test]
fn a_certificate_is_renewed_at_half_of_its_validity_and_on_request() {
    let mut scene = Scene { now: now() + Days::days(181), ..Scene::new() };
    assert_eq!(scene.next_action(), Action::Nothing);
    scene.now += Days::days(1);
    assert_eq!(scene.next_action(), Action::Issue(IssueCause::HalfExpired));
    let requested = Scene { is_renewal_requested: true, ..Scene::new() };
    assert_eq!(requested.next_action(), Action::Issue(IssueCause::Requested));
}

#[test]
fn an_authority_is_replaced_at_half_of_its_validity_and_on_request() {
    let mut scene = Scene { now: now() + Days::days(1825), ..Scene::new() };
    assert_eq!(scene.next_action(), Action::Prepare(PrepareCause::HalfExpired));
    scene = Scene::new();
    scene.rotation.is_requested = true;
    assert_eq!(scene.next_action(), Action::Prepare(PrepareCause::Requested));
}

#[test]
fn the_next_authority_signs_after_the_ca_propagation_delay() {
    let mut scene = Scene::in_rotation(false);
    assert_eq!(scene.next_action(), Action::Wait);
    scene = Scene::in_rotation(true);
    scene.newest_trusted_for = PROPAGATION_DELAY.mul_f64(0.99);
    assert_eq!(scene.next_action(), Action::Wait);
    scene.newest_trusted_for = PROPAGATION_DELAY;
    assert_eq!(scene.next_action(), Action::Promote);

    let old = scene.rotation.current.as_ref().unwrap().roots.clone();
    let bundle = scene.rotation.bundle();
    scene.promote();
    assert_eq!(scene.rotation.bundle(), bundle, "a promotion does not change the bundle");
    assert_eq!(scene.rotation.previous, old);
    assert_eq!(scene.next_action(), Action::Issue(IssueCause::OtherAuthority));

    let KeyOwner::Own(authority) = &scene.rotation.current.as_ref().unwrap().key else { panic!() };
    let last_expiry = scene.certificate.as_ref().unwrap().validity().not_after;
    scene.certificate = Some(certificate(authority, scene.now));
    assert_eq!(scene.next_action(), Action::Nothing);
    scene.now = last_expiry - Days::seconds(1);
    scene.certificate = Some(certificate(authority, scene.now - Days::days(1)));
    assert_eq!(scene.next_action(), Action::Nothing);
    scene.now = last_expiry;
    assert_eq!(scene.next_action(), Action::DropPrevious);
    scene.rotation.drop_previous();
    assert_eq!(scene.next_action(), Action::Nothing);
}

#[test]
fn a_certificate_that_only_the_api_server_can_verify_counts_as_accepted() {
    let root = include_bytes!("../../../tests/fixtures/chains/p521-ca.pem");
    let certificate = include_bytes!("../../../tests/fixtures/chains/p521-leaf.pem");
    let key = include_bytes!("../../../tests/fixtures/chains/leaf-key.pem");
    let origin = || Origin::Generated;
    let certificate = ServingCertificate::from_pem(certificate, key, origin(), origin()).unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    assert!(present(vec![Roots::from_bundle(root)]).accepts(&certificate, &name, now()));
    let other = Authority::generate(now()).unwrap().root();
    assert!(!present(vec![other]).accepts(&certificate, &name, now()));
}

#[test]
fn promotion_waits_for_the_last_webhook_that_does_not_trust_the_next_authority() {
    let mut scene = Scene::in_rotation(true);
    let old = scene.rotation.current.as_ref().unwrap().roots.clone();
    scene.configured = present(vec![scene.rotation.bundle(), old]);
    let next = scene.rotation.next.as_ref().unwrap().roots.clone();
    assert!(!scene.configured.trusts(&next));
    assert_eq!(scene.next_action(), Action::Wait);
}

#[test]
fn an_authority_with_an_unusable_key_is_replaced() {
    let mut scene = Scene::new();
    scene.rotation.current.as_mut().unwrap().key = KeyOwner::Unusable;
    assert_eq!(scene.next_action(), Action::Prepare(PrepareCause::Unusable));
    scene = Scene::in_rotation(true);
    scene.rotation.next.as_mut().unwrap().key = KeyOwner::Unusable;
    assert_eq!(scene.next_action(), Action::Prepare(PrepareCause::NextUnusable));
}

#[test]
fn another_issuer_is_used_only_if_the_replica_may_switch() {
    let cluster = Authority::generate(now()).unwrap();
    let mut scene = Scene { issuer: Issuer::Signer(cluster.root()), ..Scene::new() };
    assert_eq!(scene.next_action(), Action::Prepare(PrepareCause::OtherIssuer));
    // A replica with the old settings does not revert the changes of the new ones.
    scene.may_switch = false;
    assert_eq!(scene.next_action(), Action::Nothing);
    // With the signer's roots, a certificate under them stays, and one under other roots is replaced.
    scene.rotation = Rotation {
        current: Some(CertificateAuthority::external(cluster.root())),
        ..Rotation::default()
    };
    assert_eq!(scene.next_action(), Action::Wait);
    scene.newest_trusted_for = PROPAGATION_DELAY;
    assert_eq!(scene.next_action(), Action::Issue(IssueCause::OtherAuthority));
    scene.certificate = Some(certificate(&cluster, now()));
    assert_eq!(scene.next_action(), Action::Nothing);
    // And back again.
    scene.issuer = Issuer::Own;
    assert_eq!(scene.next_action(), Action::Nothing);
    scene.may_switch = true;
    assert_eq!(scene.next_action(), Action::Prepare(PrepareCause::OtherIssuer));
}

#[test]
fn a_certificate_for_another_name_is_replaced_only_if_the_replica_may_switch() {
    let mut scene = Scene::new();
    let KeyOwner::Own(authority) = &scene.rotation.current.as_ref().unwrap().key else { panic!() };
    let PemPair { certificate, key } = authority.issue(&["other".to_owned()], now()).unwrap();
    let origin = || Origin::Generated;
    let pair =
        ServingCertificate::from_pem(certificate.as_bytes(), key.as_bytes(), origin(), origin());
    scene.certificate = Some(pair.unwrap());
    assert_eq!(scene.next_action(), Action::Issue(IssueCause::OtherName));
    scene.may_switch = false;
    assert_eq!(scene.next_action(), Action::Nothing);
}

#[test]
fn a_wrong_clock_causes_no_new_certificate() {
    let mut scene = Scene::new();
    for days in [-2, -3, -31, -400] {
        scene.now = now() + Days::days(days);
        assert_eq!(scene.next_action(), Action::Nothing, "{days} days");
    }
    // A wrong clock does not hide another authority.
    scene.certificate = Some(certificate(&Authority::generate(now()).unwrap(), now()));
    scene.configured = Configured::Absent;
    assert_eq!(scene.next_action(), Action::Issue(IssueCause::OtherAuthority));
    // Nor does it cut the CA propagation delay short.
    scene = Scene { now: now() - Days::days(3), ..Scene::in_rotation(true) };
    assert_eq!(scene.next_action(), Action::Wait);
}

#[test]
fn a_new_certificate_that_would_be_replaced_at_once_is_noticed() {
    // The clock is years ahead, after the expiry of the authority.
    let mut scene = Scene { now: now() + Days::days(4000), ..Scene::new() };
    let KeyOwner::Own(authority) = scene.rotation.current.clone().unwrap().key else { panic!() };
    scene.certificate = Some(certificate(&authority, scene.now));
    let defect = scene.observe(Observed::cause_to_issue);
    assert_eq!(defect, Some(IssueCause::HalfExpired));
    scene.now = now() - Days::days(40);
    scene.certificate = Some(certificate(&authority, scene.now));
    assert_eq!(scene.observe(Observed::cause_to_issue), None);
}

#[test]
fn a_restored_authority_signs_only_after_the_ca_propagation_delay() {
    let mut scene = Scene::new();
    let served = scene.certificate.clone();
    let old = scene.rotation.current.take().unwrap().roots;
    let restored = Authority::generate(now()).unwrap();
    scene.rotation.current = Some(restored.into());
    scene.served = served;
    scene.taken_over.clone_from(&old);
    assert_eq!(scene.next_action(), Action::Retain);
    scene.take(Action::Retain);
    assert_eq!(scene.rotation.previous, old);
    let expiry = scene.served.as_ref().unwrap().validity().not_after;
    assert_eq!(scene.rotation.previous_until, Some(expiry));
    scene.taken_over = Roots::default();
    scene.configured = present(vec![scene.rotation.bundle()]);
    for cause in [IssueCause::OtherAuthority, IssueCause::Requested] {
        scene.is_renewal_requested = cause == IssueCause::Requested;
        scene.newest_trusted_for = PROPAGATION_DELAY.mul_f64(0.99);
        assert_eq!(scene.next_action(), Action::Wait, "{cause:?}");
        scene.newest_trusted_for = PROPAGATION_DELAY;
        assert_eq!(scene.next_action(), Action::Issue(cause));
    }
    assert!(!scene.observe(Observed::is_of_unknown_authority));
}

#[test]
fn a_stored_certificate_is_served_if_it_is_accepted_or_none_is_in_use() {
    let name = ServerName::try_from(NAME).unwrap();
    let authority = Authority::generate(now()).unwrap();
    let other = Authority::generate(now()).unwrap();
    let (ours, foreign) = (certificate(&authority, now()), certificate(&other, now()));
    let configured = present(vec![authority.root()]);
    let may = |configured: &Configured, served: Option<&ServingCertificate>, stored, days| {
        let bundle = authority.root();
        configured.permits_exchange(served, stored, &bundle, &name, now() + Days::days(days))
    };
    assert!(may(&configured, None, &foreign, 0), "nothing is served");
    assert!(!may(&configured, Some(&ours), &foreign, 0), "the API server rejects it");
    assert!(may(&configured, Some(&foreign), &ours, 0));
    assert!(may(&Configured::Absent, Some(&foreign), &ours, 0));
    assert!(!may(&Configured::Absent, Some(&ours), &foreign, 0), "a new configuration rejects it");
    assert!(may(&present(vec![other.root()]), Some(&ours), &foreign, 0));
    let neither = present(vec![Authority::generate(now()).unwrap().root()]);
    assert!(!may(&neither, Some(&ours), &foreign, 0), "it is not better");
    // A wrong clock does not change that.
    for days in [-400, 400] {
        assert!(!may(&configured, Some(&ours), &foreign, days));
        assert!(may(&configured, Some(&foreign), &ours, days));
    }
    let scene = Scene { certificate: Some(foreign), ..Scene::new() };
    assert!(scene.observe(Observed::is_of_unknown_authority));
    assert!(!Scene::new().observe(Observed::is_of_unknown_authority));
}

#[test]
fn the_number_of_previous_roots_is_limited() {
    let mut rotation = Rotation::default();
    let roots: Vec<_> =
        (0..MAX_PREVIOUS + 2).map(|_| Authority::generate(now()).unwrap().root()).collect();
    for (days, root) in (0..).zip(&roots) {
        rotation.keep_trusting(root, now() + Days::days(if days == 3 { 100 } else { days }));
    }
    assert!(!rotation.previous.contains_all(&roots[1]));
    assert!(roots[2..].iter().all(|root| rotation.previous.contains_all(root)));
    assert_eq!(rotation.previous_until, Some(now() + Days::days(100)), "the latest expiry counts");
}

#[test]
fn a_configuration_is_propagated_after_the_ca_propagation_delay() {
    let changed_before = |seconds| Configured::Present {
        bundles: Vec::new(),
        generation: None,
        changed: Some(now() - Days::seconds(seconds)),
    };
    let cases = [
        ("none", Configured::Absent, true),
        ("as it was created", present(Vec::new()), true),
        ("changed just now", changed_before(0), false),
        ("changed a little ago", changed_before(29), false),
        ("changed long enough ago", changed_before(30), true),
        ("changed by a clock that is ahead", changed_before(-60), false),
    ];
    for (name, configured, expected) in cases {
        assert_eq!(configured.is_propagated(now()), expected, "{name}");
    }
}
