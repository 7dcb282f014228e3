//! Manifests: from a text to the same text with new images.
//!
//! An input is the text, or its bytes choose pieces of it. The rewritten one is compared with the text by a YAML library that shares nothing with the
//! program's: only images differ, and they differ as the map says.

use std::{fs, path::Path};

use imageswap::{
    admission::{AdmissionSettings, World},
    manifests::Rewriting,
    rules::{LoadedMap, Policy},
};
use serde::Deserialize as _;
use serde_yaml_ng::{Deserializer, Value};

use crate::inputs;

/// The pieces of manifests.
pub const PIECES: &[&str] = &[
    "apiVersion: v1\n",
    "kind: Pod\n",
    "kind: List\nitems:\n",
    "spec:\n",
    "  containers:\n",
    "  - name: a\n",
    "    image: nginx\n",
    "    image: ",
    "{apiVersion: v1, kind: Pod, spec: {containers: [",
    "{image: x}",
    "]}}",
    "- ",
    "&a ",
    "*a",
    "<<: *a\n",
    "---\n",
    "...\n",
    "|-\n",
    ">-\n",
    "'nginx'",
    "\"ng\\x69nx\"",
    "!!str ",
    "# n\n",
    "\r\n",
    "\t",
    "imagePullSecrets:\n",
    "? ",
    ": ",
    "\u{feff}",
    "%YAML 1.2\n",
];

const MAP: &str = "default::d.io\nleft.io::\n[PULLSECRET]d.io::one\n";

/// Maximum size of a text in bytes. The time of some texts with aliases grows with its square.
const MAX_BYTES: usize = 16 * 1024;

/// Rewrites a text.
///
/// # Panics
/// If something else than an image changes, an image changes to another one than the map says, or a second time
/// changes the text again.
pub fn run(data: &[u8]) {
    let texts = inputs::texts(data, PIECES, MAX_BYTES);
    let text = texts.first().map_or("", String::as_str);
    let Ok(map) = LoadedMap::from_text(MAP) else { return };
    let policy = Policy::Maps(Box::new(map.rules));
    let world = World::new(policy, AdmissionSettings::default());
    let mut rewriting = Rewriting { world: &world, namespace: "default", adds_pull_secrets: true };
    if let Ok(with_secrets) = rewriting.rewrite(text) {
        let again = rewriting.rewrite(&with_secrets.text).map(|again| again.text.into_owned());
        assert_eq!(again.as_deref(), Ok(&*with_secrets.text), "{text:?}");
    }
    rewriting.adds_pull_secrets = false;
    let Ok(rewritten) = rewriting.rewrite(text) else { return };
    let again = rewriting.rewrite(&rewritten.text).map(|again| again.text.into_owned());
    assert_eq!(again.as_deref(), Ok(&*rewritten.text), "{text:?}");
    assert_eq!(rewritten.changes.is_empty(), rewritten.text == text, "{text:?}");
    for change in &rewritten.changes {
        let decision = world.policy.decide_with(None, &change.from);
        assert_eq!(decision.result(&change.from), change.to, "{text:?}");
    }
    if let Some(before) = documents(text) {
        let after = documents(&rewritten.text);
        assert!(after.is_some(), "{text:?} becomes {:?}", rewritten.text);
        let after = after.unwrap_or_default();
        assert_eq!(before.len(), after.len(), "{text:?}");
        for (before, after) in before.iter().zip(&after) {
            assert!(is_same(before, after, &world), "{text:?} becomes {:?}", rewritten.text);
        }
    }
}

/// The manifests of the tests.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/manifests");
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<_> = files.map(|file| file.path()).collect();
    files.sort_unstable();
    files.iter().filter_map(|file| fs::read(file).ok()).collect()
}

/// Parses the documents of a text; `None` if the library does not accept one.
fn documents(text: &str) -> Option<Vec<Value>> {
    Deserializer::from_str(text).map(|document| Value::deserialize(document).ok()).collect()
}

/// Returns true if two values differ only in texts, and these as the map says.
fn is_same(before: &Value, after: &Value, world: &World) -> bool {
    match (before, after) {
        (Value::String(before), Value::String(after)) => {
            before == after || world.policy.decide_with(None, before).result(before) == *after
        }
        (Value::Sequence(before), Value::Sequence(after)) => {
            before.len() == after.len()
                && before.iter().zip(after).all(|(before, after)| is_same(before, after, world))
        }
        (Value::Mapping(before), Value::Mapping(after)) => {
            before.len() == after.len()
                && before.iter().zip(after).all(|((key, before), (same_key, after))| {
                    key == same_key && is_same(before, after, world)
                })
        }
        (Value::Tagged(before), Value::Tagged(after)) => {
            before.tag == after.tag && is_same(&before.value, &after.value, world)
        }
        _ => before == after,
    }
}
