//! Private keys in PEM.
//!
//! ring decides which keys can be used. An error names the kind of a key that it refuses, and never quotes the key.

use super::{
    key_kind::KeyKind,
    pem::{check_encoding, pem_reason},
};
use tokio_rustls::rustls::{
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject},
};

/// The private keys that can be used, as advice.
///
/// ring signs with RSA keys of at most 4096 bits whose primes have a multiple of 512 bits.
const USABLE: &str = "use ECDSA on P-256 or P-384, Ed25519, or RSA with 2048, 3072 or 4096 bits";

/// The reason why a private key cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// The key is encrypted.
    #[error("the key is encrypted; decrypt it, for example with `openssl pkey`")]
    Encrypted,
    /// The key is of a usable kind, but it is damaged, or has no public key, which ring requires of ECDSA.
    #[error("the key is {0}, but incomplete or damaged; `openssl ec` adds a missing public key")]
    Incomplete(KeyKind),
    /// The key is in the format of OpenSSH.
    #[error("the key is in the format of OpenSSH; use a key in PKCS #8")]
    OpenSsh,
    /// There is no key that can be read.
    #[error("no PEM block of a private key: {0}")]
    Pem(&'static str),
    /// The key is of another kind.
    #[error("the key is {0}; {USABLE}")]
    Unusable(KeyKind),
}

/// Reads a private key from PEM.
///
/// # Errors
/// If there is no key, or it cannot be used.
pub(super) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, KeyError> {
    check_encoding(pem).map_err(KeyError::Pem)?;
    let key = PrivateKeyDer::from_pem_slice(pem);
    let key = key.map_err(|error| foreign(pem).unwrap_or(KeyError::Pem(pem_reason(&error))))?;
    match ring::default_provider().key_provider.load_private_key(key.clone_key()) {
        Ok(_) => Ok(key),
        Err(_) => match KeyKind::of_private(&key) {
            kind if kind.can_sign() => Err(KeyError::Incomplete(kind)),
            kind => Err(KeyError::Unusable(kind)),
        },
    }
}

/// Checks that a text contains a private key that can be used.
///
/// # Errors
/// If there is no key, or it cannot be used.
pub fn check_private_key(pem: &[u8]) -> Result<(), KeyError> {
    private_key(pem).map(drop)
}

/// Returns the error in a text whose key is in a format that the parser does not know.
fn foreign(pem: &[u8]) -> Option<KeyError> {
    let marks = [
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----", KeyError::Encrypted),
        ("Proc-Type: 4,ENCRYPTED", KeyError::Encrypted),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", KeyError::OpenSsh),
        ("-----BEGIN DSA PRIVATE KEY-----", KeyError::Unusable(KeyKind::Dsa)),
    ];
    let has = |mark: &str| memchr::memmem::find(pem, mark.as_bytes()).is_some();
    marks.into_iter().find(|(mark, _)| has(mark)).map(|(_, error)| error)
}

#[cfg(test)]
mod tests {
    use super::{super::key_kind::MIN_EXPONENT, *};

    macro_rules! fixture {
        ($name:literal) => {
            ($name, include_str!(concat!("../../tests/fixtures/keys/", $name, ".pem")))
        };
    }

    /// Returns the error of a key.
    fn error(pem: &[u8]) -> String {
        check_private_key(pem).unwrap_err().to_string()
    }

    #[test]
    fn a_key_that_cannot_be_used_is_named_by_its_kind() {
        for ((name, pem), expected) in [
            (fixture!("dsa"), "DSA"),
            (fixture!("dsa-traditional"), "DSA"),
            (fixture!("ecdsa-brainpool"), "ECDSA on the curve 1.3.36.3.3.2.8.1.1.7"),
            (fixture!("ecdsa-explicit"), "ECDSA on a curve with explicit parameters"),
            (fixture!("ecdsa-p521"), "ECDSA on P-521"),
            (fixture!("ecdsa-p521-sec1"), "ECDSA on P-521"),
            (fixture!("ecdsa-secp256k1"), "ECDSA on secp256k1"),
            (fixture!("ed448"), "Ed448"),
            (fixture!("rsa-1024"), "RSA with 1024 bits"),
            (fixture!("rsa-1024-pkcs1"), "RSA with 1024 bits"),
            (
                fixture!("rsa-2048-exponent-3"),
                "RSA with 2048 bits and the exponent 3, which must be at least 65537",
            ),
            (fixture!("rsa-2560"), "RSA with 2560 bits"),
            (fixture!("rsa-5120"), "RSA with 5120 bits"),
            (fixture!("rsa-pss"), "RSA for PSS only"),
            (fixture!("x25519"), "of the type 1.3.101.110"),
        ] {
            assert_eq!(error(pem.as_bytes()), format!("the key is {expected}; {USABLE}"), "{name}");
        }
    }

    #[test]
    fn a_key_in_a_form_that_cannot_be_read_is_described() {
        let (_, encrypted_pkcs8) = fixture!("encrypted-pkcs8");
        let (_, encrypted_pkcs1) = fixture!("encrypted-pkcs1");
        let (_, encrypted_sec1) = fixture!("encrypted-sec1");
        let (_, incomplete) = fixture!("ecdsa-p256-without-public");
        let (_, openssh) = fixture!("openssh");
        let (_, p521) = fixture!("ecdsa-p521");
        let certificate = include_str!("../../tests/fixtures/rsa/cert.pem");
        let no_key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        let marked = format!("\u{feff}{p521}");
        let utf16: Vec<u8> = "\u{feff}-----".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (pem, expected) in [
            (encrypted_pkcs8.as_bytes(), "the key is encrypted; decrypt it"),
            (encrypted_pkcs1.as_bytes(), "the key is encrypted; decrypt it"),
            (encrypted_sec1.as_bytes(), "the key is encrypted; decrypt it"),
            (incomplete.as_bytes(), "the key is ECDSA on P-256, but incomplete or damaged; "),
            (openssh.as_bytes(), "the key is in the format of OpenSSH; "),
            (no_key.as_bytes(), "the key is of an unknown type; use ECDSA on P-256"),
            (b"", "no PEM block of a private key: no items found"),
            (certificate.as_bytes(), "no PEM block of a private key: no items found"),
            (marked.as_bytes(), "no PEM block of a private key: the text begins with a byte-order"),
            (&utf16, "no PEM block of a private key: the text is UTF-16"),
        ] {
            assert!(error(pem).starts_with(expected), "{}", error(pem));
        }
    }

    #[test]
    fn keys_of_the_usable_kinds_are_accepted() {
        for algorithm in
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
        {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            check_private_key(key.serialize_pem().as_bytes()).unwrap();
            assert!(KeyKind::of_private(&key.into()).can_sign());
        }
        let rsa = include_bytes!("../../tests/fixtures/rsa/key.pem");
        check_private_key(rsa).unwrap();
        let kind = KeyKind::of_private(&PrivateKeyDer::from_pem_slice(rsa).unwrap());
        assert_eq!(kind, KeyKind::Rsa { bits: 2048, exponent: Some(MIN_EXPONENT) });
    }
}
