//! The times at which a rotation waits for the CA propagation delay, and for certificates that other replicas serve.

use super::*;

#[test]
fn there_is_no_wait_without_a_certificate_that_the_api_server_accepts() {
    // A configuration that another replica is about to create would accept the certificate, but no other one.
    let mut scene = Scene::in_rotation(false);
    scene.configured = Configured::Absent;
    assert_eq!(scene.next_action(), Action::Wait);
    scene.certificate = Some(certificate(&Authority::generate(now()).unwrap(), now()));
    assert_eq!(scene.next_action(), Action::Promote);
    // The certificate has expired. Another one of the current authority is accepted sooner.
    scene = Scene::in_rotation(false);
    scene.now = now() + Days::days(400);
    assert_eq!(scene.next_action(), Action::Issue(IssueCause::HalfExpired));
    // There is no certificate, whether one is still served or not. The API server trusts the current authority.
    scene = Scene::in_rotation(false);
    let served = scene.certificate.take();
    assert_eq!(scene.next_action(), Action::Issue(IssueCause::Missing));
    scene.served = served;
    assert_eq!(scene.next_action(), Action::Issue(IssueCause::Missing));
    // It trusts none of them.
    scene.configured = present(vec![Authority::generate(now()).unwrap().root()]);
    assert_eq!(scene.next_action(), Action::Promote);
}

#[test]
fn a_replica_without_a_certificate_waits_while_another_may_serve_one_of_a_previous_authority() {
    let mut scene = Scene::in_rotation(true);
    let current = scene.rotation.current.take().unwrap();
    scene.rotation.keep_trusting(&current.roots, now() + Days::days(365));
    scene.certificate = None;
    assert_eq!(scene.next_action(), Action::Wait);
    scene.newest_trusted_for = PROPAGATION_DELAY;
    assert_eq!(scene.next_action(), Action::Promote);
    // Another replica may be about to create the configuration, or has done so since it was read.
    scene.newest_trusted_for = Duration::ZERO;
    scene.configured = Configured::Absent;
    assert_eq!(scene.next_action(), Action::Wait);
}

#[test]
fn a_certificate_of_the_current_authority_waits_too_if_its_root_has_just_been_written() {
    let mut scene = Scene::in_rotation(true);
    scene.promote();
    let foreign = certificate(&Authority::generate(now()).unwrap(), now());
    (scene.certificate, scene.served) = (None, Some(foreign));
    assert_eq!(scene.next_action(), Action::Wait);
    scene.newest_trusted_for = PROPAGATION_DELAY;
    assert_eq!(scene.next_action(), Action::Issue(IssueCause::Missing));
}

#[test]
fn previous_roots_stay_if_the_replica_that_promotes_knows_of_no_certificate() {
    let mut scene = Scene::in_rotation(true);
    (scene.certificate, scene.served) = (None, None);
    scene.configured = Configured::Absent;
    scene.promote();
    scene.now += Days::days(364);
    assert!(!scene.rotation.has_previous_expired(scene.now));
    scene.now += Days::days(2);
    assert!(scene.rotation.has_previous_expired(scene.now));
}
