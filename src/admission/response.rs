//! The answer: an AdmissionReview that allows the object, with a JSON Patch when images change.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Change, review::Review};
use crate::image::has_reference_characters_only;

/// Writes the answer to a review; `changes` become one `replace` operation each (RFC 6902).
pub(super) fn write(review: &Review<'_>, changes: &[Change<'_>]) -> String {
    let mut response = String::with_capacity(256 + 256 * changes.len());
    response.push_str(r#"{"apiVersion":""#);
    response.push_str(review.api_version());
    response.push_str(r#"","kind":"AdmissionReview","response":{"uid":"#);
    push_json_string(&mut response, review.request().uid());
    response.push_str(r#","allowed":true"#);
    if !changes.is_empty() {
        response.push_str(r#","patchType":"JSONPatch","patch":""#);
        STANDARD.encode_string(patch(changes), &mut response);
        response.push('"');
    }
    response.push_str("}}");
    response
}

fn patch(changes: &[Change<'_>]) -> String {
    let mut patch = String::with_capacity(128 * changes.len());
    let mut image = String::new();
    for change in changes {
        patch.push(if patch.is_empty() { '[' } else { ',' });
        patch.push_str(r#"{"op":"replace","path":""#);
        // Writing to a string cannot fail, and a location holds nothing that needs escaping.
        let _ = write!(patch, "{}", change.location);
        patch.push_str(r#"","value":"#);
        image.clear();
        change.swapped.append_to(&mut image);
        push_json_string(&mut patch, &image);
        patch.push('}');
    }
    patch.push(']');
    patch
}

/// Appends `text` as a JSON string (RFC 8259, section 7).
fn push_json_string(json: &mut String, text: &str) {
    json.push('"');
    if has_reference_characters_only(text) {
        // None of these needs an escape, and images and uids, which are all that there is, have no others.
        json.push_str(text);
        json.push('"');
        return;
    }
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | ..b' ')) {
        json.push_str(&rest[..at]);
        let escaped = rest.as_bytes()[at];
        match escaped {
            b'"' | b'\\' => json.extend(['\\', char::from(escaped)]),
            control => {
                let _ = write!(json, "\\u{control:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    json.push_str(rest);
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_string_reads_back_as_the_text() {
        for text in ["", "plain", "say \"hi\"\\", "\0\u{1f}\n\t", "é\u{2028}", "a\"b\"c"] {
            let mut json = String::new();
            push_json_string(&mut json, text);
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text, "{json}");
        }
    }
}
