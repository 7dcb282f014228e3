//! Each state of a rotation, and what follows.

use time::Duration as Days;

use super::*;
use crate::certs::PemPair;

const NAME: &str = "imageswap.imageswap-system.svc";

/// A time with whole seconds, as certificates have it.
fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn certificate(authority: &Authority, at: OffsetDateTime) -> ServingCertificate {
    let PemPair { certificate, key } = authority.issue(&[NAME.to_owned()], at).unwrap();
    let place = || "the test".into();
    ServingCertificate::from_pem(certificate.as_bytes(), key.as_bytes(), place(), place()).unwrap()
}

/// A configuration with these roots, as it was created.
fn present(bundles: Vec<Roots>) -> Configured {
    Configured::Present { bundles, changed: None }
}

/// A cluster in which everything is right, for a test to break.
struct Scene {
    trust: Trust,
    certificate: Option<ServingCertificate>,
    served: Option<ServingCertificate>,
    is_renewal_requested: bool,
    issuer: Issuer,
    configured: Configured,
    next_trusted_for: Duration,
    may_switch: bool,
    now: OffsetDateTime,
}

impl Scene {
    fn new() -> Self {
        let authority = Authority::generate(now()).unwrap();
        Self {
            certificate: Some(certificate(&authority, now())),
            served: None,
            configured: present(vec![authority.root()]),
            trust: Trust { current: Some(authority.into()), ..Trust::default() },
            is_renewal_requested: false,
            issuer: Issuer::Own,
            next_trusted_for: Duration::ZERO,
            may_switch: true,
            now: now() + Days::hours(2),
        }
    }

    /// With a next authority, which the API server trusts if `is_trusted`.
    fn in_rotation(is_trusted: bool) -> Self {
        let mut scene = Self::new();
        scene.trust.prepare(Authority::generate(now()).unwrap().into());
        if is_trusted {
            scene.configured = present(vec![scene.trust.bundle()]);
        }
        scene
    }

    fn next_step(&self) -> Step {
        let name = ServerName::try_from(NAME).unwrap();
        Situation {
            trust: &self.trust,
            certificate: self.certificate.as_ref(),
            served: self.served.as_ref(),
            is_renewal_requested: self.is_renewal_requested,
            issuer: &self.issuer,
            name: &name,
            configured: &self.configured,
            next_trusted_for: self.next_trusted_for,
            may_switch: self.may_switch,
            now: self.now,
        }
        .next_step()
    }
}

#[test]
fn where_everything_is_right_nothing_is_done() {
    assert_eq!(Scene::new().next_step(), Step::Done);
}

#[test]
fn an_empty_cluster_gets_an_authority_and_then_a_certificate() {
    let mut scene = Scene {
        trust: Trust::default(),
        certificate: None,
        configured: Configured::Absent,
        ..Scene::new()
    };
    assert_eq!(scene.next_step(), Step::Prepare("there is none yet"));
    scene.trust.prepare(Authority::generate(now()).unwrap().into());
    assert_eq!(scene.next_step(), Step::Promote);
    scene.trust.promote(None, now());
    assert_eq!(scene.next_step(), Step::Issue("there is none that can be used"));
    assert!(scene.trust.previous.is_empty());
}

#[test]
fn a_certificate_is_renewed_at_half_of_its_life_and_on_request() {
    let mut scene = Scene { now: now() + Days::days(182), ..Scene::new() };
    assert_eq!(scene.next_step(), Step::Done);
    scene.now += Days::days(1);
    assert_eq!(scene.next_step(), Step::Issue("half of its life is over"));
    let requested = Scene { is_renewal_requested: true, ..Scene::new() };
    assert_eq!(requested.next_step(), Step::Issue("a new one is asked for"));
}

#[test]
fn an_authority_is_succeeded_at_half_of_its_life_and_on_request() {
    let mut scene = Scene { now: now() + Days::days(1825), ..Scene::new() };
    assert_eq!(scene.next_step(), Step::Prepare("half of its life is over"));
    scene = Scene::new();
    scene.trust.is_requested = true;
    assert_eq!(scene.next_step(), Step::Prepare("a new one is asked for"));
}

#[test]
fn the_next_authority_signs_when_the_api_server_has_trusted_it_for_a_while() {
    let mut scene = Scene::in_rotation(false);
    assert_eq!(scene.next_step(), Step::Wait);
    scene = Scene::in_rotation(true);
    scene.next_trusted_for = SETTLING.mul_f64(0.99);
    assert_eq!(scene.next_step(), Step::Wait);
    scene.next_trusted_for = SETTLING;
    assert_eq!(scene.next_step(), Step::Promote);

    let old = scene.trust.current.as_ref().unwrap().roots.clone();
    let bundle = scene.trust.bundle();
    scene.trust.promote(scene.certificate.as_ref(), scene.now);
    assert_eq!(scene.trust.bundle(), bundle, "a promotion changes nothing that is trusted");
    assert_eq!(scene.trust.previous, old);
    assert_eq!(scene.next_step(), Step::Issue("the authority in use did not sign it"));

    let AnchorKey::Own(authority) = &scene.trust.current.as_ref().unwrap().key else { panic!() };
    let last_end = scene.certificate.as_ref().unwrap().validity().not_after;
    scene.certificate = Some(certificate(authority, scene.now));
    assert_eq!(scene.next_step(), Step::Done);
    scene.now = last_end - Days::seconds(1);
    scene.certificate = Some(certificate(authority, scene.now - Days::days(1)));
    assert_eq!(scene.next_step(), Step::Done);
    scene.now = last_end;
    assert_eq!(scene.next_step(), Step::Forget);
    scene.trust.forget();
    assert_eq!(scene.next_step(), Step::Done);
}

#[test]
fn nothing_is_waited_for_where_the_api_server_calls_nobody_or_is_refused() {
    let mut scene = Scene::in_rotation(false);
    scene.configured = Configured::Absent;
    assert_eq!(scene.next_step(), Step::Promote);
    // The certificate has ended.
    scene = Scene::in_rotation(false);
    scene.now = now() + Days::days(400);
    assert_eq!(scene.next_step(), Step::Promote);
    // There is none, unless it is served still.
    scene = Scene::in_rotation(false);
    let served = scene.certificate.take();
    assert_eq!(scene.next_step(), Step::Promote);
    scene.served = served;
    assert_eq!(scene.next_step(), Step::Issue("there is none that can be used"));
}

#[test]
fn one_webhook_that_does_not_trust_the_next_authority_is_waited_for() {
    let mut scene = Scene::in_rotation(true);
    let old = scene.trust.current.as_ref().unwrap().roots.clone();
    scene.configured = present(vec![scene.trust.bundle(), old]);
    let next = scene.trust.next.as_ref().unwrap().roots.clone();
    assert!(!scene.configured.trusts(&next));
    assert_eq!(scene.next_step(), Step::Wait);
}

#[test]
fn a_key_that_cannot_be_used_is_replaced() {
    let mut scene = Scene::new();
    scene.trust.current.as_mut().unwrap().key = AnchorKey::Broken;
    assert_eq!(scene.next_step(), Step::Prepare("its key cannot be used"));
    scene = Scene::in_rotation(true);
    scene.trust.next.as_mut().unwrap().key = AnchorKey::Broken;
    assert_eq!(scene.next_step(), Step::Prepare("the key of the next one cannot be used"));
}

#[test]
fn another_issuer_is_taken_at_the_right_time_only() {
    let cluster = Authority::generate(now()).unwrap();
    let mut scene = Scene { issuer: Issuer::Signer(cluster.root()), ..Scene::new() };
    assert_eq!(scene.next_step(), Step::Prepare("certificates are to be signed by another one"));
    // A replica with the old settings leaves the work of the new ones alone.
    scene.may_switch = false;
    assert_eq!(scene.next_step(), Step::Done);
    // The signer's roots sign: a certificate of theirs stays, one of another is replaced.
    scene.trust = Trust { current: Some(Anchor::foreign(cluster.root())), ..Trust::default() };
    assert_eq!(scene.next_step(), Step::Issue("the authority in use did not sign it"));
    scene.certificate = Some(certificate(&cluster, now()));
    assert_eq!(scene.next_step(), Step::Done);
    // And back again.
    scene.issuer = Issuer::Own;
    assert_eq!(scene.next_step(), Step::Done);
    scene.may_switch = true;
    assert_eq!(scene.next_step(), Step::Prepare("certificates are to be signed by another one"));
}

#[test]
fn another_name_is_taken_at_the_right_time_only() {
    let mut scene = Scene::new();
    let AnchorKey::Own(authority) = &scene.trust.current.as_ref().unwrap().key else { panic!() };
    let PemPair { certificate, key } = authority.issue(&["other".to_owned()], now()).unwrap();
    let place = || "the test".into();
    let pair =
        ServingCertificate::from_pem(certificate.as_bytes(), key.as_bytes(), place(), place());
    scene.certificate = Some(pair.unwrap());
    let cause = "it is not for the name that the API server calls";
    assert_eq!(scene.next_step(), Step::Issue(cause));
    scene.may_switch = false;
    assert_eq!(scene.next_step(), Step::Done);
}

#[test]
fn only_so_many_previous_roots_are_kept() {
    let mut trust = Trust::default();
    let roots: Vec<_> =
        (0..MAX_PREVIOUS + 2).map(|_| Authority::generate(now()).unwrap().root()).collect();
    for (days, root) in (0..).zip(&roots) {
        trust.keep_trusting(root, now() + Days::days(if days == 3 { 100 } else { days }));
    }
    assert!(!trust.previous.contains_all(&roots[1]));
    assert!(roots[2..].iter().all(|root| trust.previous.contains_all(root)));
    assert_eq!(trust.previous_until, Some(now() + Days::days(100)), "the latest end counts");
}

#[test]
fn a_configuration_is_settled_when_all_api_servers_know_it() {
    let changed_before = |seconds| Configured::Present {
        bundles: Vec::new(),
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
        assert_eq!(configured.is_settled(now()), expected, "{name}");
    }
}
