//! The choice between the pairs of a Secret with a user-provided certificate. It is pure.
//!
//! A Secret may hold two: one under the names of the original, and one under those of a `kubernetes.io/tls` Secret. The
//! names have no precedence, because either pair may be the one that is renewed.

use std::cmp::Reverse;

use crate::{
    kubernetes::ClusterError,
    origin::Origin,
    tls::{Roots, ServingCertificate},
};

/// The pair that was chosen.
#[derive(Debug)]
pub(super) struct Choice {
    /// The certificate.
    pub(super) certificate: ServingCertificate,
    /// The roots under which it is valid.
    pub(super) roots: Roots,
    /// The place of another user-provided certificate, and the reason why it is not used.
    pub(super) ignored: Option<(Origin, String)>,
}

/// Chooses one of `pairs`, each with the place of its certificate in `secret`. `check` returns the roots under which a
/// certificate is valid, or the reason why it is refused.
///
/// A pair that this program has made only counts if there is no other. It stays in the Secret when another client adds
/// its own. Of two valid pairs, the one issued last is chosen, which all replicas agree on.
///
/// # Errors
/// If there is no pair, or none is valid. The error has the reason for each pair.
pub(super) fn choose(
    secret: &Origin,
    mut pairs: Vec<(Origin, Result<ServingCertificate, ClusterError>)>,
    check: impl Fn(&ServingCertificate) -> Result<Roots, String>,
) -> Result<Choice, ClusterError> {
    let is_own = |pair: &Result<ServingCertificate, ClusterError>| {
        pair.as_ref().is_ok_and(ServingCertificate::is_own)
    };
    if !pairs.iter().all(|(_, pair)| is_own(pair)) {
        pairs.retain(|(_, pair)| !is_own(pair));
    }
    let (mut valid, mut refused) = (Vec::new(), Vec::new());
    for (origin, pair) in pairs {
        let checked = pair.and_then(|certificate| match check(&certificate) {
            Ok(roots) => Ok((certificate, roots)),
            Err(reason) => Err(ClusterError::content(&origin, reason)),
        });
        match checked {
            Ok((certificate, roots)) => valid.push((origin, certificate, roots)),
            Err(error) => refused.push((origin, error)),
        }
    }
    valid.sort_by_key(|(_, certificate, _)| Reverse(certificate.validity().not_before));
    valid.dedup_by(|(_, other, _), (_, certificate, _)| certificate.is_same(other));
    let mut valid = valid.into_iter();
    let Some((_, certificate, roots)) = valid.next() else {
        return Err(refusal(secret, refused));
    };
    let older = valid.next().map(|(origin, ..)| (origin, "issued before the other".to_owned()));
    let refused = refused.pop().map(|(origin, error)| (origin, error.to_string()));
    Ok(Choice { certificate, roots, ignored: older.or(refused) })
}

/// Returns the error about a Secret whose pairs are all refused.
fn refusal(secret: &Origin, mut refused: Vec<(Origin, ClusterError)>) -> ClusterError {
    match (refused.pop(), refused.pop()) {
        (Some((_, error)), None) => error,
        (Some((_, second)), Some((_, first))) => {
            ClusterError::content(secret, format_args!("{first}; {second}"))
        }
        (None, _) => {
            let reason = "neither cert.pem and key.pem nor tls.crt and tls.key are there";
            ClusterError::content(secret, reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use time::{Duration, OffsetDateTime};

    use super::*;
    use crate::tls::{Authority, FILE_NAMES, PemPair};

    type Pair = (Origin, Result<ServingCertificate, ClusterError>);

    fn secret() -> Origin {
        Origin::Secret { namespace: "ns".to_owned(), name: "imageswap-tls", key: None }
    }

    fn parsed(certificate: &str, key: &str) -> ServingCertificate {
        let origin = || Origin::Generated;
        ServingCertificate::from_pem(certificate.as_bytes(), key.as_bytes(), origin(), origin())
            .unwrap()
    }

    fn own() -> ServingCertificate {
        let now = OffsetDateTime::now_utc();
        let authority = Authority::generate(now).unwrap();
        let PemPair { certificate, key } = authority.issue(&["h.svc".to_owned()], now).unwrap();
        parsed(&certificate, &key)
    }

    /// Returns a certificate that was issued this number of days ago.
    fn provided(days: i64) -> ServingCertificate {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(["h.svc".to_owned()]).unwrap();
        parameters.not_before = OffsetDateTime::now_utc() - Duration::days(days);
        parsed(&parameters.self_signed(&key).unwrap().pem(), &key.serialize_pem())
    }

    fn broken(name: &'static str) -> ClusterError {
        ClusterError::content(secret().entry(name), "broken")
    }

    /// Returns the pairs under the names of the original, and under those of a TLS Secret.
    fn pairs<const N: usize>(pairs: [Result<&ServingCertificate, ()>; N]) -> Vec<Pair> {
        let names = FILE_NAMES.into_iter().map(|(certificate, _)| certificate);
        let pair = |(name, pair): (&'static str, Result<&ServingCertificate, ()>)| {
            (secret().entry(name), pair.cloned().map_err(|()| broken(name)))
        };
        names.zip(pairs).map(pair).collect()
    }

    /// Accepts each certificate but this one.
    fn all_but(
        refused: Option<&ServingCertificate>,
    ) -> impl Fn(&ServingCertificate) -> Result<Roots, String> {
        move |certificate| match refused {
            Some(refused) if refused.is_same(certificate) => Err("unknown".to_owned()),
            _ => Ok(Roots::default()),
        }
    }

    #[test]
    fn a_pair_that_imageswap_has_made_does_not_hide_a_user_provided_one() {
        let (own, provided) = (own(), provided(100));
        for both in [[Ok(&own), Ok(&provided)], [Ok(&provided), Ok(&own)]] {
            let choice = choose(&secret(), pairs(both), all_but(None)).unwrap();
            assert!(choice.certificate.is_same(&provided));
            assert_eq!(choice.ignored, None);
        }
        let choice = choose(&secret(), pairs([Ok(&own)]), all_but(None)).unwrap();
        assert!(choice.certificate.is_same(&own));
        // It does not stand in for a user-provided one either, so that the mistake is noticed.
        let error = choose(&secret(), pairs([Ok(&own), Err(())]), all_but(None)).unwrap_err();
        assert_eq!(error.to_string(), "Secret ns/imageswap-tls, tls.crt: broken");
    }

    #[test]
    fn of_two_user_provided_pairs_the_one_issued_last_is_used_and_the_other_one_is_named() {
        let (old, new) = (provided(100), provided(1));
        for (both, ignored) in
            [([Ok(&old), Ok(&new)], "cert.pem"), ([Ok(&new), Ok(&old)], "tls.crt")]
        {
            let choice = choose(&secret(), pairs(both), all_but(None)).unwrap();
            assert!(choice.certificate.is_same(&new));
            let expected = (secret().entry(ignored), "issued before the other".to_owned());
            assert_eq!(choice.ignored, Some(expected));
        }
        let choice = choose(&secret(), pairs([Ok(&new), Ok(&new)]), all_but(None)).unwrap();
        assert_eq!(choice.ignored, None);
    }

    #[test]
    fn a_valid_pair_is_used_although_the_other_one_is_refused() {
        let (old, new) = (provided(100), provided(1));
        let choice = choose(&secret(), pairs([Ok(&old), Ok(&new)]), all_but(Some(&new))).unwrap();
        assert!(choice.certificate.is_same(&old));
        let (origin, reason) = choice.ignored.unwrap();
        assert_eq!(origin, secret().entry("tls.crt"));
        assert_eq!(reason, "Secret ns/imageswap-tls, tls.crt: unknown");
        let choice = choose(&secret(), pairs([Err(()), Ok(&new)]), all_but(None)).unwrap();
        assert!(choice.certificate.is_same(&new));
    }

    #[test]
    fn an_error_names_each_pair_that_is_refused() {
        let provided = provided(1);
        for (pairs, expected) in [
            (pairs([]), ": neither cert.pem and key.pem nor tls.crt and tls.key are there"),
            (pairs([Ok(&provided)]), ", cert.pem: unknown"),
            (
                pairs([Ok(&provided), Err(())]),
                ": Secret ns/imageswap-tls, cert.pem: unknown; Secret ns/imageswap-tls, tls.crt: broken",
            ),
        ] {
            let error = choose(&secret(), pairs, all_but(Some(&provided))).unwrap_err();
            assert_eq!(error.to_string(), format!("Secret ns/imageswap-tls{expected}"));
        }
    }
}
