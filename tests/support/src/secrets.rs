//! Searches the output of a program for secrets, in all forms in which they might be printed.

use std::{
    ascii::escape_default,
    collections::{BTreeMap, BTreeSet},
};

use aho_corasick::AhoCorasick;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// Number of consecutive bytes of a key that count as a find: half of the key.
const WINDOW: usize = 16;

/// The same for base64: a multiple of three, so that there is no padding.
const BASE64_WINDOW: usize = 15;

/// Bytes before the secret number of a key on the curve P-256 (RFC 5915, section 3): version 1, and the header of a
/// string of 32 bytes.
const SCALAR_HEAD: [u8; 5] = [2, 1, 1, 4, 32];

/// Texts that must not be in any output.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// Name of the secret of each text.
    texts: BTreeMap<Vec<u8>, String>,
}

impl Secrets {
    /// Creates a set that finds any key in PEM and any `Authorization` header with a token.
    pub fn new() -> Self {
        let any = [("PRIVATE KEY", "a key in PEM"), ("Bearer ey", "a header with a token")];
        let texts = any.map(|(text, name)| (text.as_bytes().to_vec(), name.to_owned()));
        Self { texts: texts.into() }
    }

    /// Adds a private key on the curve P-256, in PEM.
    pub fn add_key(&mut self, name: &str, text: &str) {
        let der = pem::parse(text).unwrap().into_contents();
        let head = der.windows(SCALAR_HEAD.len()).position(|bytes| bytes == SCALAR_HEAD).unwrap();
        let scalar = &der[head + SCALAR_HEAD.len()..][..32];
        for form in scalar.windows(WINDOW).flat_map(forms) {
            self.texts.insert(form, name.to_owned());
        }
        // Base64 groups three bytes. One of the windows starts at such a group, whatever comes before the key.
        for window in scalar.windows(BASE64_WINDOW) {
            let letters = [STANDARD_NO_PAD.encode(window), URL_SAFE_NO_PAD.encode(window)];
            // The bytes of the letters too, as in an error about a line that could not be parsed.
            for form in letters.iter().flat_map(|letters| forms(letters.as_bytes())) {
                self.texts.insert(form, name.to_owned());
            }
        }
    }

    /// Adds a token, and the part after its last dot: the signature of a Kubernetes token.
    pub fn add_token(&mut self, name: &str, token: &str) {
        let last = token.rsplit('.').next().unwrap();
        for text in [token, last] {
            self.texts.insert(text.as_bytes().to_vec(), name.to_owned());
        }
    }

    /// Returns the names of the secrets in `output`.
    pub fn found_in(&self, output: &[u8]) -> BTreeSet<&str> {
        let names: Vec<_> = self.texts.values().collect();
        let texts = AhoCorasick::new(self.texts.keys()).unwrap();
        texts
            .find_overlapping_iter(output)
            .map(|found| names[found.pattern().as_usize()].as_str())
            .collect()
    }
}

/// Returns the bytes in the forms in which programs print bytes.
fn forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let joined = |between: &str, print: fn(&u8) -> String| {
        bytes.iter().map(print).collect::<Vec<_>>().join(between).into_bytes()
    };
    vec![
        bytes.to_vec(),
        bytes.iter().copied().flat_map(escape_default).collect(),
        joined("", |byte| format!("{byte:02x}")),
        joined("", |byte| format!("{byte:02X}")),
        joined(":", |byte| format!("{byte:02x}")),
        joined(":", |byte| format!("{byte:02X}")),
        joined(", ", u8::to_string),
        joined(",", u8::to_string),
    ]
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::certificates::Pair;

    const TOKEN: &str =
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLW9mLXRoZS1jbHVzdGVy";

    #[test]
    fn secrets_are_found_in_every_printed_form() {
        let (pair, other) = (Pair::make(), Pair::make());
        let mut secrets = Secrets::new();
        secrets.add_key("key", &pair.key);
        secrets.add_token("token", TOKEN);
        let der = pem::parse(&pair.key).unwrap().into_contents();
        let half = &der[36..52];
        let hex = format!("{:032x}", u128::from_be_bytes(half.try_into().unwrap()));
        for printed in [
            format!("{der:?}"),
            format!("{half:?}"),
            format!("{:?}", bytes::Bytes::copy_from_slice(&der)),
            serde_json::to_string(&der).unwrap(),
            hex.to_uppercase(),
            hex,
            STANDARD.encode(&der),
            STANDARD.encode(&der[1..]),
            STANDARD.encode(&der[2..]),
            format!("{:?}", pair.key.replace('\n', " ").as_bytes()),
            pair.key.lines().nth(2).unwrap().to_owned(),
        ] {
            let line = format!("WARN something file=\"key.pem\" error={printed}: and so on");
            assert_eq!(secrets.found_in(line.as_bytes()), ["key"].into(), "{line}");
        }
        let raw = [b"\0", &*der, b"\0"].concat();
        assert_eq!(secrets.found_in(&raw), ["key"].into());
        let header = format!("authorization: Bearer {TOKEN}");
        assert_eq!(secrets.found_in(header.as_bytes()), ["a header with a token", "token"].into());
        assert_eq!(secrets.found_in(other.key.as_bytes()), ["a key in PEM"].into());
        let harmless =
            [STANDARD.encode(&pair.der), pair.certificate, format!("{:?}", pair.der)].concat();
        assert!(secrets.found_in(harmless.as_bytes()).is_empty());
    }
}
