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

/// Returns a pair that this program has not made.
fn foreign_pair() -> PemPair {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(["imageswap".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap().pem();
    PemPair { certificate, key: key.serialize_pem() }
}

fn own_pair() -> PemPair {
    Authority::generate(now()).unwrap().issue(&["imageswap".to_owned()], now()).unwrap()
}

/// Returns a Secret with these entries.
fn holding(entries: &[(&str, &str)]) -> StoredSecret {
    let mut stored = empty();
    for (name, value) in entries {
        stored.set(name, Some((*value).to_owned()));
    }
    stored
}

/// Returns the names and values of the copies.
fn copies(stored: &StoredSecret) -> Vec<(&str, &str)> {
    let entries = stored.secret.data.iter().flatten();
    let copies = entries.filter(|(name, _)| name.starts_with("replaced-"));
    copies.map(|(name, value)| (name.as_str(), str::from_utf8(&value.0).unwrap())).collect()
}

#[test]
fn pairs_that_this_program_has_not_made_are_copied_before_they_are_replaced() {
    let (own, pair, other, new) = (own_pair(), foreign_pair(), foreign_pair(), own_pair());
    let (own_certificate, own_key) = (&*own.certificate, &*own.key);
    let (certificate, key, other_key) = (&*pair.certificate, &*pair.key, &*other.key);
    let p521 = include_str!("../../../tests/fixtures/keys/ecdsa-p521.pem");
    let encrypted = include_str!("../../../tests/fixtures/keys/encrypted-pkcs8.pem");
    let in_files = |certificate, key| vec![("cert.pem", certificate), ("key.pem", key)];
    let in_tls = |certificate, key| vec![("tls.crt", certificate), ("tls.key", key)];
    let copied =
        |certificate, key| vec![("replaced-cert.pem", certificate), ("replaced-key.pem", key)];
    let tls_copied =
        |certificate, key| vec![("replaced-tls.crt", certificate), ("replaced-tls.key", key)];
    for (name, entries, expected) in [
        ("nothing", vec![], vec![]),
        ("its own", in_files(own_certificate, own_key), vec![]),
        ("a pair", in_files(certificate, key), copied(certificate, key)),
        ("P-521", in_files(certificate, p521), copied(certificate, p521)),
        ("encrypted", in_files(certificate, encrypted), copied(certificate, encrypted)),
        ("another key", in_files(certificate, other_key), copied(certificate, other_key)),
        ("only a key", vec![("key.pem", key)], vec![("replaced-key.pem", key)]),
        ("only a certificate", vec![("cert.pem", "text")], vec![("replaced-cert.pem", "text")]),
        ("a TLS Secret", in_tls(certificate, key), tls_copied(certificate, key)),
        (
            "a TLS Secret beside its own",
            [in_files(own_certificate, own_key), in_tls(certificate, key)].concat(),
            tls_copied(certificate, key),
        ),
        (
            "two pairs",
            [in_files(certificate, p521), in_tls(certificate, key)].concat(),
            [copied(certificate, p521), tls_copied(certificate, key)].concat(),
        ),
        (
            "a pair, with a copy of an earlier one",
            [vec![("cert.pem", certificate)], copied("earlier", "earlier")].concat(),
            vec![("replaced-cert.pem", certificate)],
        ),
    ] {
        let mut stored = holding(&entries);
        assert_eq!(stored.keep_replaced_pairs(), !expected.is_empty(), "{name}");
        stored.set_pair(&new);
        assert_eq!(copies(&stored), expected, "{name}");
        // Its own pair, which is now there, does not replace the copy.
        assert!(!stored.keep_replaced_pairs(), "{name}");
        assert_eq!(copies(&stored), expected, "{name}");
    }
}

#[test]
fn a_key_of_an_authority_that_cannot_be_used_is_copied_with_its_root() {
    let root = Authority::generate(now()).unwrap().root().to_pem();
    let mut stored = holding(&[(CURRENT.0, &root), (CURRENT.1, "encrypted")]);
    let mut rotation = stored.rotation();
    rotation.prepare(Authority::generate(now()).unwrap().into());
    stored.keep_replaced_authority();
    stored.set_rotation(&rotation);
    let expected = [("replaced-rootca-key.pem", "encrypted"), ("replaced-rootca.pem", &*root)];
    assert_eq!(copies(&stored), expected);
    assert_eq!(stored.get(CURRENT.1), None);
    // The key is gone, so the copy stays.
    stored.keep_replaced_authority();
    assert_eq!(copies(&stored), expected);
}

#[test]
fn the_files_of_init_hold_the_pair_that_is_served() {
    let (own, provided) = (own_pair(), foreign_pair());
    let stored = holding(&[
        ("cert.pem", &own.certificate),
        ("key.pem", &own.key),
        ("tls.crt", &provided.certificate),
        ("tls.key", &provided.key),
    ]);
    let pairs = stored.pairs();
    let certificates: Vec<_> = pairs.iter().map(|(_, pair)| pair.as_ref().unwrap()).collect();
    assert_eq!(certificates.iter().map(|pair| pair.is_own()).collect::<Vec<_>>(), [true, false]);
    for (served, expected) in
        [(Some(certificates[1]), &provided), (Some(certificates[0]), &own), (None, &own)]
    {
        let (certificate, key) = stored.pair(served).unwrap();
        assert_eq!(certificate, expected.certificate.as_bytes());
        assert_eq!(key, expected.key.as_bytes());
    }
}
