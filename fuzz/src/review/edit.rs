//! Edited reviews: captured reviews with random edits, which are still JSON and nearly valid.

use std::{fmt::Write, sync::LazyLock};

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Value, json};
use support::reviews::CAPTURED;

use super::PIECES;

/// Maximum number of edits. More would leave little of a review.
const MAX_EDITS: usize = 12;

static PARSED: LazyLock<Vec<Value>> = LazyLock::new(|| {
    CAPTURED.iter().map(|review| serde_json::from_str(review).unwrap_or_default()).collect()
});

/// Pointers to values that matter, to choose them more often than others.
const POINTERS: [&str; 14] = [
    "",
    "/request",
    "/request/object",
    "/request/oldObject",
    "/request/object/metadata",
    "/request/object/metadata/labels",
    "/request/object/spec",
    "/request/oldObject/spec",
    "/request/object/spec/containers",
    "/request/oldObject/spec/containers",
    "/request/object/spec/volumes",
    "/request/object/spec/template/spec",
    "/request/object/spec/template/metadata",
    "/request/object/spec/jobTemplate/spec/template/spec",
];

static VALUES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let container = json!({ "name": "a", "image": "quay.io/a/b:1" });
    let left = json!({ "name": "b", "image": "left.io/x", "env": [{ "name": "image" }] });
    let volume = json!({ "name": "a", "image": { "reference": "ghcr.io/acme/model:v3" } });
    let lists = json!({
        "containers": [container, left],
        "initContainers": [{ "name": "c", "image": "nginx" }],
        "ephemeralContainers": [{ "name": "a", "image": "busybox" }],
        "volumes": [volume, { "name": "b", "emptyDir": {} }],
    });
    vec![
        json!(null),
        json!(true),
        json!(7),
        json!(-1.5e-3),
        json!(""),
        json!([]),
        json!({}),
        json!([null, 1, "quay.io/a", [container], container]),
        json!([container, left, volume]),
        json!({ "k8s.twr.io/imageswap": "disabled" }),
        json!({ "kubernetes.io/config.mirror": "3f2a" }),
        json!({ "labels": { "k8s.twr.io/imageswap": "disabled" }, "annotations": {} }),
        json!({ "spec": lists, "template": { "spec": lists }, "metadata": {} }),
        json!({ "spec": { "template": { "spec": lists }, "jobTemplate": { "spec": {
            "template": { "metadata": { "labels": {} }, "spec": lists } } } } }),
        json!("index.docker.io/é\u{1f600}\"\\\n"),
        container,
        left,
        volume,
        lists,
    ]
});

/// Returns the text of the review that `choices` make.
pub(crate) fn review(choices: &[u8]) -> Option<String> {
    let mut choices = Unstructured::new(choices);
    edited(&mut choices).ok()
}

fn edited(choices: &mut Unstructured<'_>) -> Result<String> {
    let mut review = choices.choose(&PARSED)?.clone();
    for _ in 0..choices.int_in_range(0..=MAX_EDITS)? {
        edit(&mut review, choices)?;
    }
    let mut writer = Writer { text: String::new(), style: choices.arbitrary()? };
    writer.value(&review);
    Ok(writer.text)
}

fn edit(review: &mut Value, choices: &mut Unstructured<'_>) -> Result<()> {
    let copy = choices.ratio(1, 4)?.then(|| node(review, choices).map(|node| node.clone()));
    let copy = copy.transpose()?;
    let node = node(review, choices)?;
    match choices.int_in_range(0..=5)? {
        0 => *node = value(copy, choices)?,
        1 => remove_child(node, choices)?,
        2 => match node {
            Value::Array(array) => {
                let at = choices.int_in_range(0..=array.len())?;
                array.insert(at, value(copy, choices)?);
            }
            Value::Object(object) => {
                object.insert(name(choices)?, value(copy, choices)?);
            }
            _ => *node = value(copy, choices)?,
        },
        3 => {
            if let Value::Object(object) = node
                && let Some(child) = remove_entry(object, choices)?
            {
                object.insert(name(choices)?, child);
            }
        }
        4 => {
            if let Value::Array(array) = node
                && !array.is_empty()
            {
                let (one, other) =
                    (choices.choose_index(array.len())?, choices.choose_index(array.len())?);
                array.swap(one, other);
            }
        }
        _ => *node = json!(string(choices)?),
    }
    Ok(())
}

/// Returns a value in the review: a few levels below one of [`POINTERS`].
fn node<'v>(review: &'v mut Value, choices: &mut Unstructured<'_>) -> Result<&'v mut Value> {
    let start = *choices.choose(&POINTERS)?;
    let start = if review.pointer(start).is_some() { start } else { "" };
    let Some(mut node) = review.pointer_mut(start) else {
        return Err(arbitrary::Error::IncorrectFormat);
    };
    for _ in 0..choices.int_in_range(0..=5)? {
        let children = match node {
            Value::Array(array) => array.len(),
            Value::Object(object) => object.len(),
            _ => 0,
        };
        if children == 0 {
            break;
        }
        let child = choices.choose_index(children)?;
        node = match node {
            Value::Array(array) => &mut array[child],
            Value::Object(object) => match object.values_mut().nth(child) {
                Some(value) => value,
                None => return Err(arbitrary::Error::IncorrectFormat),
            },
            node => node,
        };
    }
    Ok(node)
}

fn remove_child(node: &mut Value, choices: &mut Unstructured<'_>) -> Result<()> {
    match node {
        Value::Array(array) if !array.is_empty() => {
            array.remove(choices.choose_index(array.len())?);
        }
        Value::Object(object) => {
            remove_entry(object, choices)?;
        }
        _ => *node = Value::Null,
    }
    Ok(())
}

fn remove_entry(
    object: &mut Map<String, Value>,
    choices: &mut Unstructured<'_>,
) -> Result<Option<Value>> {
    if object.is_empty() {
        return Ok(None);
    }
    let key = object.keys().nth(choices.choose_index(object.len())?).cloned();
    Ok(key.and_then(|key| object.remove(&key)))
}

fn value(copy: Option<Value>, choices: &mut Unstructured<'_>) -> Result<Value> {
    match copy {
        Some(copy) => Ok(copy),
        None if choices.ratio(1, 3)? => Ok(json!(*choices.choose(PIECES)?)),
        None => Ok(choices.choose(&VALUES)?.clone()),
    }
}

fn name(choices: &mut Unstructured<'_>) -> Result<String> {
    Ok((*choices.choose(PIECES)?).to_owned())
}

/// Returns a string of bytes of the input.
fn string<'a>(choices: &mut Unstructured<'a>) -> Result<&'a str> {
    let length: usize = choices.int_in_range(0..=40)?;
    let bytes = choices.bytes(length.min(choices.len()))?;
    Ok(std::str::from_utf8(bytes).unwrap_or("quay.io/a\0b"))
}

/// A writer of unusual JSON: with unnecessary escapes, white space, and duplicate keys.
struct Writer {
    text: String,
    /// The state of the generator that chooses the oddities.
    style: u32,
}

impl Writer {
    /// Returns true for an oddity: one in `of`, and never with style 0.
    fn is_odd(&mut self, of: u32) -> bool {
        // The generator of Numerical Recipes; its high bits are the random ones.
        self.style = match self.style {
            0 => 0,
            style => style.wrapping_mul(1_664_525).wrapping_add(1_013_904_223).max(1),
        };
        self.style != 0 && (self.style >> 16).is_multiple_of(of)
    }

    fn value(&mut self, value: &Value) {
        self.space();
        match value {
            Value::Array(array) => self.list('[', ']', array, Self::value),
            Value::Object(object) => self.list('{', '}', object, Self::field),
            Value::String(text) => self.string(text),
            Value::Bool(_) | Value::Null | Value::Number(_) => self.text += &value.to_string(),
        }
        self.space();
    }

    fn list<T>(
        &mut self,
        opening: char,
        closing: char,
        elements: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.text.push(opening);
        for (index, element) in elements.into_iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            write(self, element);
        }
        self.space();
        self.text.push(closing);
    }

    /// Writes a field, sometimes with another value of the same key before or after it.
    fn field(&mut self, (key, value): (&String, &Value)) {
        let (is_first, is_last) = (self.is_odd(16), self.is_odd(16));
        if is_first {
            self.decoy(key);
            self.text.push(',');
        }
        self.string(key);
        self.text.push(':');
        self.value(value);
        if is_last {
            self.text.push(',');
            self.decoy(key);
        }
    }

    fn decoy(&mut self, key: &str) {
        self.string(key);
        self.text.push(':');
        let decoy = self.style as usize % VALUES.len();
        self.text += &VALUES[decoy].to_string();
    }

    fn string(&mut self, text: &str) {
        if !self.is_odd(4) {
            self.text += &Value::from(text).to_string();
            return;
        }
        self.text.push('"');
        for unit in text.encode_utf16() {
            // Writing to a string cannot fail.
            let _ = write!(self.text, "\\u{unit:04x}");
        }
        self.text.push('"');
    }

    fn space(&mut self) {
        if self.is_odd(8) {
            self.text += " \n\t";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_choices_a_review_is_unchanged() {
        assert_eq!(serde_json::from_str::<Value>(&review(&[]).unwrap()).unwrap(), PARSED[0]);
    }

    #[test]
    fn every_edited_review_is_json() {
        for seed in 0..=u8::MAX {
            let choices: Vec<u8> = (0..200u8).map(|n| n.wrapping_mul(31) ^ seed).collect();
            let text = review(&choices).unwrap();
            assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
        }
    }
}
