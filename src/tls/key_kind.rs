//! The kinds of keys, for errors about keys that cannot be used.
//!
//! This module reads only algorithm, curve and size. ring and rustls read the keys that are used.

use std::fmt;

use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use x509_parser::{
    asn1_rs::{Any, Class, Integer, OctetString, Oid, Sequence, Tag},
    prelude::FromDer,
    x509::{AlgorithmIdentifier, SubjectPublicKeyInfo},
};

/// The keys of certificate authorities whose signatures can be verified, as advice.
pub(super) const VERIFIABLE: &str =
    "use ECDSA on P-256 or P-384, Ed25519, or RSA with 2048 to 8192 bits";

/// The smallest public exponent of RSA that ring accepts in a private key.
pub(super) const MIN_EXPONENT: u64 = 65_537;

/// The kind of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyKind {
    /// DSA.
    Dsa,
    /// ECDSA.
    Ecdsa(Curve),
    /// Ed25519.
    Ed25519,
    /// Ed448.
    Ed448,
    /// RSA.
    Rsa {
        /// Length of the modulus in bits.
        bits: usize,
        /// The public exponent; `None` if it has more than 64 bits.
        exponent: Option<u64>,
    },
    /// RSA that is restricted to signatures with PSS.
    RsaPss,
    /// Another algorithm, by its object identifier.
    Other(String),
    /// The key cannot be parsed.
    Unknown,
}

/// The curve of an ECDSA key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Curve {
    /// A curve that the key describes by its parameters in place of a name.
    Explicit,
    /// Another curve, by its object identifier.
    Other(String),
    /// P-224.
    P224,
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
    /// The curve of Bitcoin.
    Secp256k1,
    /// The key does not name its curve.
    Unnamed,
}

impl KeyKind {
    /// Returns the kind of a private key.
    pub(super) fn of_private(key: &PrivateKeyDer<'_>) -> Self {
        let kind = match key {
            PrivateKeyDer::Pkcs1(key) => rsa_private(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(key) => sec1(key.secret_sec1_der()).map(Self::Ecdsa),
            _ => None,
        };
        kind.unwrap_or(Self::Unknown)
    }

    /// Returns the kind of the key in a certificate.
    pub(super) fn of_public(key: &SubjectPublicKeyInfo<'_>) -> Self {
        let rsa = || rsa_from_integers(&key.subject_public_key.data, 0);
        Self::of(&key.algorithm, rsa)
    }

    fn of(
        AlgorithmIdentifier { algorithm, parameters }: &AlgorithmIdentifier<'_>,
        rsa: impl FnOnce() -> Option<Self>,
    ) -> Self {
        let Some(identifier) = dotted(algorithm) else { return Self::Unknown };
        match &*identifier {
            "1.2.840.10040.4.1" => Self::Dsa,
            "1.2.840.10045.2.1" => {
                Self::Ecdsa(parameters.as_ref().map_or(Curve::Unnamed, Curve::of))
            }
            "1.2.840.113549.1.1.1" => rsa().unwrap_or(Self::Unknown),
            "1.2.840.113549.1.1.10" => Self::RsaPss,
            "1.3.101.112" => Self::Ed25519,
            "1.3.101.113" => Self::Ed448,
            _ => Self::Other(identifier),
        }
    }

    /// Returns true if ring can sign with a complete key of this kind.
    pub(super) fn can_sign(&self) -> bool {
        match self {
            Self::Ecdsa(curve) => curve.is_supported(),
            Self::Ed25519 => true,
            Self::Rsa { bits, exponent } => {
                matches!(bits, 2048 | 3072 | 4096) && exponent.is_none_or(|e| e >= MIN_EXPONENT)
            }
            Self::Dsa | Self::Ed448 | Self::RsaPss | Self::Other(_) | Self::Unknown => false,
        }
    }

    /// Returns true if ring can verify signatures by keys of this kind.
    pub(super) fn can_verify(&self) -> bool {
        match self {
            Self::Ecdsa(curve) => curve.is_supported(),
            Self::Ed25519 => true,
            Self::Rsa { bits, .. } => (2048..=8192).contains(bits),
            Self::Dsa | Self::Ed448 | Self::RsaPss | Self::Other(_) | Self::Unknown => false,
        }
    }

    /// Returns true if Go, and so the API server, verifies signatures by keys of this kind, and ring does not.
    ///
    /// Go needs at least 1024 bits (<https://pkg.go.dev/crypto/rsa#hdr-Minimum_key_size>).
    pub(super) fn is_only_for_go(&self) -> bool {
        match self {
            Self::Ecdsa(curve) => matches!(curve, Curve::P224 | Curve::P521),
            Self::Rsa { bits, .. } => (1024..2048).contains(bits),
            _ => false,
        }
    }
}

impl Curve {
    fn of(parameters: &Any<'_>) -> Self {
        let name = (parameters.header.tag() == Tag::Oid).then(|| Oid::try_from(parameters).ok());
        let Some(name) = name.flatten() else { return Self::Explicit };
        match dotted(&name).unwrap_or_default() {
            name if name.is_empty() => Self::Unnamed,
            name if name == "1.2.840.10045.3.1.7" => Self::P256,
            name if name == "1.3.132.0.10" => Self::Secp256k1,
            name if name == "1.3.132.0.33" => Self::P224,
            name if name == "1.3.132.0.34" => Self::P384,
            name if name == "1.3.132.0.35" => Self::P521,
            name => Self::Other(name),
        }
    }

    fn is_supported(&self) -> bool {
        matches!(self, Self::P256 | Self::P384)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dsa => formatter.write_str("DSA"),
            Self::Ecdsa(curve) => write!(formatter, "ECDSA on {curve}"),
            Self::Ed25519 => formatter.write_str("Ed25519"),
            Self::Ed448 => formatter.write_str("Ed448"),
            Self::Rsa { bits, exponent: Some(exponent) } if *exponent < MIN_EXPONENT => {
                write!(
                    formatter,
                    "RSA with {bits} bits and the exponent {exponent}, which must be at least \
                     {MIN_EXPONENT}"
                )
            }
            Self::Rsa { bits, .. } => write!(formatter, "RSA with {bits} bits"),
            Self::RsaPss => formatter.write_str("RSA for PSS only"),
            Self::Other(identifier) => write!(formatter, "of the type {identifier}"),
            Self::Unknown => formatter.write_str("of an unknown type"),
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Explicit => formatter.write_str("a curve with explicit parameters"),
            Self::Other(identifier) => write!(formatter, "the curve {identifier}"),
            Self::P224 => formatter.write_str("P-224"),
            Self::P256 => formatter.write_str("P-256"),
            Self::P384 => formatter.write_str("P-384"),
            Self::P521 => formatter.write_str("P-521"),
            Self::Secp256k1 => formatter.write_str("secp256k1"),
            Self::Unnamed => formatter.write_str("a curve that it does not name"),
        }
    }
}

/// Returns an object identifier as text; `None` if it is longer than any in use.
///
/// A damaged key may have other bytes in its place, and these must not be quoted.
fn dotted(identifier: &Oid<'_>) -> Option<String> {
    const MAX_BYTES: usize = 12;

    (identifier.as_bytes().len() <= MAX_BYTES && identifier.iter().is_some())
        .then(|| identifier.to_id_string())
}

/// Returns the kind of a key in PKCS #8 (RFC 5208, section 5).
fn pkcs8(der: &[u8]) -> Option<KeyKind> {
    let (_, sequence) = Sequence::from_der(der).ok()?;
    let (rest, _version) = Integer::from_der(&sequence.content).ok()?;
    let (rest, algorithm) = AlgorithmIdentifier::from_der(rest).ok()?;
    let (_, key) = OctetString::from_der(rest).ok()?;
    Some(KeyKind::of(&algorithm, || rsa_private(key.as_ref())))
}

/// Returns the curve of a key in SEC 1 (RFC 5915, section 3).
fn sec1(der: &[u8]) -> Option<Curve> {
    let (_, sequence) = Sequence::from_der(der).ok()?;
    let (rest, _version) = Integer::from_der(&sequence.content).ok()?;
    let (rest, _key) = OctetString::from_der(rest).ok()?;
    let curve = Any::from_der(rest).ok().map(|(_, field)| field);
    let Some(field) = curve.filter(|field| field.header.tag() == Tag(0)) else {
        return Some(Curve::Unnamed);
    };
    let is_context = field.header.class() == Class::ContextSpecific;
    let (_, parameters) = Any::from_der(field.data).ok().filter(|_| is_context)?;
    Some(Curve::of(&parameters))
}

/// Returns the kind of an RSA key in PKCS #1 (RFC 8017, appendix A.1.2): version, modulus, public exponent, and more.
fn rsa_private(der: &[u8]) -> Option<KeyKind> {
    rsa_from_integers(der, 1)
}

/// Returns the kind of the RSA key in a sequence that has modulus and public exponent after `skipped` integers.
fn rsa_from_integers(der: &[u8], skipped: usize) -> Option<KeyKind> {
    let (_, sequence) = Sequence::from_der(der).ok()?;
    let mut rest: &[u8] = &sequence.content;
    for _ in 0..skipped {
        (rest, _) = Integer::from_der(rest).ok()?;
    }
    let (rest, modulus) = Integer::from_der(rest).ok()?;
    let (_, exponent) = Integer::from_der(rest).ok()?;
    let modulus: &[u8] = modulus.as_ref();
    let first = modulus.iter().position(|byte| *byte != 0)?;
    let bits = (modulus.len() - first) * 8 - modulus[first].leading_zeros() as usize;
    let exponent = exponent.as_ref().iter().try_fold(0_u64, |number, byte| {
        number.checked_mul(256).map(|number| number | u64::from(*byte))
    });
    Some(KeyKind::Rsa { bits, exponent })
}
