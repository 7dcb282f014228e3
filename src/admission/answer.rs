//! The answer: an AdmissionReview that allows the object, with a JSON Patch if the object has to change.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use smallvec::SmallVec;

use super::{Location, review::Review};
use crate::rules::SwappedImage;

/// Number of edits and patch operations that are stored without an allocation. Most pods have fewer images.
pub(super) const INLINE_EDITS: usize = 4;

/// The content of an answer. Every object is allowed.
#[derive(Debug, Default)]
pub struct Answer<'p> {
    /// Changes of the object, in order; the answer has no patch if this is empty.
    pub patch: SmallVec<[PatchOperation<'p>; INLINE_EDITS]>,
    /// Warnings for the client that sent the object.
    pub warnings: Vec<String>,
    /// Entries for the audit log of the API server; the keys have no prefix.
    pub audit_annotations: Vec<(String, String)>,
}

/// An operation of a JSON Patch (RFC 6902).
#[derive(Clone, Debug)]
pub enum PatchOperation<'p> {
    /// `add`.
    Add {
        /// The JSON Pointer (RFC 6901) to the new field.
        path: String,
        /// The value of the field.
        value: Value,
    },
    /// `replace` of an image.
    Replace {
        /// The location of the image.
        path: Location<'p>,
        /// The new image.
        image: SwappedImage<'p>,
    },
}

impl Answer<'_> {
    /// Writes the answer to `review` as JSON.
    #[must_use]
    pub fn to_json(&self, review: &Review<'_>) -> String {
        let mut json = String::with_capacity(256 + 256 * self.patch.len());
        json.push_str(r#"{"apiVersion":""#);
        json.push_str(review.api_version());
        json.push_str(r#"","kind":"AdmissionReview","response":{"uid":"#);
        push_json_string(&mut json, review.request().uid());
        json.push_str(r#","allowed":true"#);
        if !self.patch.is_empty() {
            json.push_str(r#","patchType":"JSONPatch","patch":""#);
            STANDARD.encode_string(self.patch(), &mut json);
            json.push('"');
        }
        if !self.warnings.is_empty() {
            json.push_str(r#","warnings":"#);
            push_list(&mut json, ['[', ']'], &self.warnings, |json, text| {
                push_json_string(json, text);
            });
        }
        if !self.audit_annotations.is_empty() {
            json.push_str(r#","auditAnnotations":"#);
            push_list(&mut json, ['{', '}'], &self.audit_annotations, |json, (key, value)| {
                push_json_string(json, key);
                json.push(':');
                push_json_string(json, value);
            });
        }
        json.push_str("}}");
        json
    }

    fn patch(&self) -> String {
        let mut patch = String::with_capacity(128 * self.patch.len());
        let mut image = String::new();
        push_list(&mut patch, ['[', ']'], &self.patch, |patch, operation| match operation {
            PatchOperation::Add { path, value } => {
                patch.push_str(r#"{"op":"add","path":"#);
                push_json_string(patch, path);
                // Writing to a string cannot fail.
                let _ = write!(patch, r#","value":{value}}}"#);
            }
            PatchOperation::Replace { path, image: swapped } => {
                patch.push_str(r#"{"op":"replace","path":"#);
                match path {
                    Location::Pod(location) => {
                        // It contains no character that needs an escape.
                        patch.push('"');
                        location.append_to(patch);
                        patch.push('"');
                    }
                    Location::Site(pointer) => push_json_string(patch, pointer),
                }
                patch.push_str(r#","value":"#);
                image.clear();
                swapped.append_to(&mut image);
                push_json_string(patch, &image);
                patch.push('}');
            }
        });
        patch
    }
}

/// Appends `elements` with commas between them and brackets around them.
fn push_list<T>(
    json: &mut String,
    [opening, closing]: [char; 2],
    elements: &[T],
    mut push: impl FnMut(&mut String, &T),
) {
    json.push(opening);
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        push(json, element);
    }
    json.push(closing);
}

/// Appends `text` as a JSON string (RFC 8259, section 7).
fn push_json_string(json: &mut String, text: &str) {
    // Most strings are images, uids and records, in which no character needs an escape. The loop does not stop early, so
    // that the compiler can look at many bytes at once.
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        // `Value` writes a string as JSON, with its escapes.
        let _ = write!(json, "{}", Value::from(text));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admission::{AdmissionSettings, World, plan};
    use crate::rules::{LoadedMap, Policy};

    #[test]
    fn a_json_string_reads_back_as_the_text() {
        for text in ["", "plain", "say \"hi\"\\", "\0\u{1f}\n\t", "é\u{2028}", "a\"b\"c"] {
            let mut json = String::new();
            push_json_string(&mut json, text);
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text, "{json}");
        }
    }

    #[test]
    fn an_answer_contains_patch_warnings_and_annotations() {
        let body = r#"{"request":{"uid":"u\"1","kind":{"kind":"Pod"},"operation":"CREATE","object":
            {"spec":{"containers":[{"name":"a","image":"nginx:1"}]}}}}"#;
        let review = Review::from_slice(body.as_bytes()).unwrap();
        let map = LoadedMap::from_text("default::d.io").unwrap();
        let world = World::new(Policy::Maps(Box::new(map.rules)), AdmissionSettings::default());
        let plan = plan(&review, &world);
        let mut answer = plan.settle();
        let pointer = "/metadata/annotations/a~1b";
        answer
            .patch
            .push(PatchOperation::Add { path: pointer.into(), value: json!({ "c": ["\""] }) });
        answer.warnings = vec!["one".into(), "two \"2\"".into()];
        answer.audit_annotations = vec![("images-1".into(), "a: b -> c".into())];
        let mut written: Value = serde_json::from_str(&answer.to_json(&review)).unwrap();
        let patch = written["response"]["patch"].take();
        let patch = STANDARD.decode(patch.as_str().unwrap()).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&patch).unwrap(),
            json!([
                { "op": "replace", "path": "/spec/containers/0/image", "value": "d.io/nginx:1" },
                { "op": "add", "path": pointer, "value": { "c": ["\""] } },
            ])
        );
        let expected = json!({
            "uid": "u\"1",
            "allowed": true,
            "patchType": "JSONPatch",
            "patch": null,
            "warnings": ["one", "two \"2\""],
            "auditAnnotations": { "images-1": "a: b -> c" },
        });
        assert_eq!(written["response"], expected);
    }
}
