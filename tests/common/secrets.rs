//! Looks for secrets in what a program says, in whatever form they may have got there.

use std::{
    ascii::escape_default,
    collections::{BTreeMap, BTreeSet},
};

use aho_corasick::AhoCorasick;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// How many bytes of a key have to be in one place to count as found: half of it.
const WINDOW: usize = 16;

/// The same for base64, which has no remainder then.
const BASE64_WINDOW: usize = 15;

/// What comes before the secret number of a key on the curve P-256 (RFC 5915, section 3): the
/// version 1, and the head of a string of 32 bytes.
const SCALAR_HEAD: [u8; 5] = [2, 1, 1, 4, 32];

/// Texts that no program should say.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    /// What each text is a part of.
    texts: BTreeMap<Vec<u8>, String>,
}

impl Secrets {
    /// What shows any key in PEM, and any token in a request.
    pub(crate) fn new() -> Self {
        let any = [("PRIVATE KEY", "a key in PEM"), ("Bearer ey", "a header with a token")];
        let texts = any.map(|(text, name)| (text.as_bytes().to_vec(), name.to_owned()));
        Self { texts: texts.into() }
    }

    /// A private key on the curve P-256, in PEM.
    pub(crate) fn add_key(&mut self, name: &str, text: &str) {
        let der = pem::parse(text).unwrap().into_contents();
        let head = der.windows(SCALAR_HEAD.len()).position(|bytes| bytes == SCALAR_HEAD).unwrap();
        let scalar = &der[head + SCALAR_HEAD.len()..][..32];
        for form in scalar.windows(WINDOW).flat_map(forms) {
            self.texts.insert(form, name.to_owned());
        }
        // Whatever stands before it: one of the windows begins where three bytes become four letters.
        for window in scalar.windows(BASE64_WINDOW) {
            let letters = [STANDARD_NO_PAD.encode(window), URL_SAFE_NO_PAD.encode(window)];
            // Also the bytes of the text, as of a line that could not be read.
            for form in letters.iter().flat_map(|letters| forms(letters.as_bytes())) {
                self.texts.insert(form, name.to_owned());
            }
        }
    }

    /// A token, and its last part, which is its signature if it is one of Kubernetes.
    pub(crate) fn add_token(&mut self, name: &str, token: &str) {
        let last = token.rsplit('.').next().unwrap();
        for text in [token, last] {
            self.texts.insert(text.as_bytes().to_vec(), name.to_owned());
        }
    }

    /// The names of the secrets that are in `said`.
    pub(crate) fn found_in(&self, said: &[u8]) -> BTreeSet<&str> {
        let names: Vec<_> = self.texts.values().collect();
        let texts = AhoCorasick::new(self.texts.keys()).unwrap();
        texts
            .find_overlapping_iter(said)
            .map(|found| names[found.pattern().as_usize()].as_str())
            .collect()
    }
}

/// Bytes as programs print them.
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
