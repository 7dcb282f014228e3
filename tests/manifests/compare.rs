//! The comparison of a text with its rewritten one, by a YAML library that shares nothing with the program's.

use serde::Deserialize as _;
use serde_yaml_ng::{Deserializer, Value};

/// A text of a document that has changed.
pub(super) type Difference = (String, String);

/// Returns the texts that differ between two manifests. Panics if they differ in another way.
pub(super) fn differences(before: &str, after: &str) -> Vec<Difference> {
    let (before, after) = (documents(before), documents(after));
    assert_eq!(before.len(), after.len());
    let mut found = Vec::new();
    for (before, after) in before.iter().zip(&after) {
        compare(before, after, &mut found);
    }
    found
}

/// Parses the documents of a text, with their merge keys applied.
pub(super) fn documents(text: &str) -> Vec<Value> {
    let text = text.trim_start_matches('\u{feff}');
    let documents = Deserializer::from_str(text).map(|document| {
        let mut value =
            Value::deserialize(document).unwrap_or_else(|error| panic!("{error}\n{text}"));
        value.apply_merge().unwrap();
        value
    });
    documents.collect()
}

fn compare(before: &Value, after: &Value, found: &mut Vec<Difference>) {
    match (before, after) {
        (Value::String(before), Value::String(after)) if before != after => {
            found.push((before.clone(), after.clone()));
        }
        (Value::Sequence(before), Value::Sequence(after)) => {
            assert_eq!(before.len(), after.len());
            for (before, after) in before.iter().zip(after) {
                compare(before, after, found);
            }
        }
        (Value::Mapping(before), Value::Mapping(after)) => {
            assert_eq!(before.len(), after.len());
            for ((key, before), (after_key, after)) in before.iter().zip(after) {
                assert_eq!(key, after_key);
                compare(before, after, found);
            }
        }
        (Value::Tagged(before), Value::Tagged(after)) => {
            assert_eq!(before.tag, after.tag);
            compare(&before.value, &after.value, found);
        }
        _ => assert_eq!(before, after),
    }
}
