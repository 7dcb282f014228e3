//! Secrets as they are read and written.

use std::collections::BTreeMap;

use super::*;

fn empty() -> StoredSecret {
    let origin = Origin::Secret { namespace: "test".to_owned(), name: "imageswap", key: None };
    StoredSecret { secret: Secret::default(), origin }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

#[test]
fn a_rotation_is_read_as_it_was_written() {
    let mut rotation = Rotation::default();
    rotation.keep_trusting(&Authority::generate(now()).unwrap().root(), now());
    rotation.current =
        Some(CertificateAuthority::external(Authority::generate(now()).unwrap().root()));
    rotation.next = Some(Authority::generate(now()).unwrap().into());
    let mut stored = empty();
    stored.set("mine", Some("stays".to_owned()));
    stored.set_rotation(&rotation);
    let read = stored.rotation();
    assert_eq!(read.bundle(), rotation.bundle());
    assert_eq!(read.previous, rotation.previous);
    assert_eq!(read.previous_until, Some(now()));
    assert!(matches!(read.current.unwrap().key, KeyOwner::External));
    assert!(matches!(read.next.unwrap().key, KeyOwner::Own(_)));
    stored.set_rotation(&Rotation::default());
    assert_eq!(stored.secret.data.unwrap().into_keys().collect::<Vec<_>>(), ["mine"]);
}

#[test]
fn an_invalid_authority_counts_as_missing() {
    let authority = Authority::generate(now()).unwrap();
    let other = Authority::generate(now()).unwrap();
    let mut stored = empty();
    stored.set(CURRENT.0, Some(authority.root().to_pem()));
    stored.set(CURRENT.1, Some(other.key_pem()));
    stored
        .set(NEXT.0, Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into()));
    let rotation = stored.rotation();
    assert!(matches!(rotation.current.unwrap().key, KeyOwner::Unusable));
    assert!(rotation.next.is_none());
}

#[test]
fn a_pair_is_stored_under_the_names_of_the_original_and_in_a_tls_secret_also_under_its_own() {
    let authority = Authority::generate(now()).unwrap();
    let pair = authority.issue(&["imageswap".to_owned()], now()).unwrap();
    let mut stored = empty();
    assert!(stored.certificate().unwrap().is_none());
    stored.set_pending_key(Some(&PendingKey::generate().unwrap()));
    assert!(stored.pending_key().is_some());
    stored.set_pair(&pair);
    assert!(stored.certificate().unwrap().is_some());
    let keys = |stored: &StoredSecret| -> Vec<String> {
        stored.secret.data.as_ref().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&stored), ["cert.pem", "key.pem"]);
    let mut tls = empty();
    tls.set("tls.crt", Some("old".to_owned()));
    tls.set("tls.key", Some("old".to_owned()));
    let error = tls.certificate().unwrap_err().to_string();
    assert_eq!(
        error,
        "Secret test/imageswap, tls.crt: no PEM block of a certificate: no items found"
    );
    tls.set_pair(&pair);
    assert_eq!(keys(&tls), ["cert.pem", "key.pem", "tls.crt", "tls.key"]);
}

#[test]
fn a_rotation_request_is_removed_with_the_new_authority() {
    let mut stored = empty();
    let annotations = BTreeMap::from([(ROTATE.to_owned(), "now".to_owned())]);
    stored.secret.metadata.annotations = Some(annotations);
    let mut rotation = stored.rotation();
    assert!(rotation.is_requested);
    stored.set_rotation(&rotation);
    assert!(stored.is_rotation_requested());
    rotation.prepare(Authority::generate(now()).unwrap().into());
    stored.set_rotation(&rotation);
    assert!(!stored.is_rotation_requested());
}
