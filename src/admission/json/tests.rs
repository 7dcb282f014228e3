//! Compares the reader with `serde_json`: both accept the same texts, and read the same strings in the same places. Of
//! skipped objects and arrays, the reader is compared with a naive reading of the brackets.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

/// Texts that are valid JSON, and texts that nearly are.
#[rustfmt::skip] // Related texts share a line.
const TEXTS: &[&str] = &[
    "", " ", "{", "}", "[", "]", "[1", "[1,", "[,1]", "[1,]", "[1 2]", "[[]", "[]]", "[}", "{]",
    "[]", "{}", " [ ] ", "[ 1 , 2 ]", "\u{feff}[]", "[]\n\t\r ", "[]\u{b}", "[]\0", "\u{a0}[]",
    "{1:2}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{\"a\" : 1 , \"b\":[]}",
    "{,}", "{\"a\":1,\"a\":\"b\"}", "{\"a\\u0062\":\"c\"}", "{\"\":{}}", "[{\"a\":[{}]},[[{}]]]",
    "true", "false", "null", "tru", "truE", "nulll", "[true,false,null]", "nul", "f", "0", "-0",
    "00", "01", "-", "-01", "1.", ".5", "1.5", "1.e1", "1e", "1e+", "1E-7", "1.5e+10", "+1",
    "0x1", "1_0", "NaN", "Infinity", "-Infinity", "1e5", "1e999", "--1",
    "12345678901234567890123", "\"", "\"a", "\"a\"", "\"\\", "\"\\\"", "\"\\\"\"", "\"\\\\\"",
    "\"\\x\"", "\"\\u\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\u0041\"", "\"\\u00e9\"",
    "\"\\ud83d\\ude00\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\u0041\"", "\"\\ud83dx\"",
    "\"\\ud83d\\n\"", "\"\\uD83D\\uDE00\"", "\"\\u0000\"", "\"\\b\\f\\n\\r\\t\\/\"", "\"a\nb\"",
    "\"a\tb\"", "\"\u{7f}\"", "\"\u{80}é漢😀\"", "\"1234567\\n\"", "\"12345678\"", "\"1234567\"",
    "\"12345678\\\"9\"", "\"éééé\\u00e9éééé\"", "'a'", "[\"a\\\\\",\"b\"]", "\n\n[1,\n2,\n}",
    "[\"a\"\n\n:1]", "// no\n[]", "[1]/**/",
];

/// A whole document, with null for the values that the reader does not read: numbers and literals.
#[derive(Debug, Default, PartialEq)]
struct Tree(Value);

impl<'a> Read<'a> for Tree {
    fn read(&mut self, reader: &mut Reader<'a>, rest: &'a [u8]) -> Result<&'a [u8]> {
        let (value, after) = tree(reader, rest)?;
        self.0 = value;
        Ok(after)
    }
}

fn tree<'a>(reader: &mut Reader<'a>, rest: &'a [u8]) -> Result<(Value, &'a [u8])> {
    if is_at(rest, b'{') {
        let mut object = Map::new();
        let after = reader.object(rest, |key, reader, rest| {
            let (value, after) = tree(reader, rest)?;
            object.insert(String::from_utf8(key.to_owned()).unwrap(), value);
            Ok(after)
        })?;
        return Ok((Value::Object(object), after));
    }
    if is_at(rest, b'[') {
        let mut array = Vec::new();
        let after = reader.array(rest, |reader, rest| {
            let (value, after) = tree(reader, rest)?;
            array.push(value);
            Ok(after)
        })?;
        return Ok((Value::Array(array), after));
    }
    let (text, after) = reader.string(rest)?;
    Ok((text.map_or(Value::Null, |text| Value::String(text.into_owned())), after))
}

/// A document that is skipped.
#[derive(Default)]
struct Skipped;

impl<'a> Read<'a> for Skipped {
    fn read(&mut self, reader: &mut Reader<'a>, rest: &'a [u8]) -> Result<&'a [u8]> {
        reader.skip(rest)
    }
}

fn without_scalars(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            object.into_iter().map(|(key, value)| (key, without_scalars(value))).collect()
        }
        Value::Array(array) => array.into_iter().map(without_scalars).collect(),
        Value::String(text) => Value::String(text),
        Value::Bool(_) | Value::Null | Value::Number(_) => Value::Null,
    }
}

/// Returns the length of the container at the beginning of a text, as `container` finds it, byte by byte.
fn naive_length(text: &[u8]) -> Option<usize> {
    let (mut depth, mut is_in_string, mut is_escaped) = (0, false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            0..=LAST_CONTROL if is_in_string => return None,
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_string => is_escaped = true,
            b'\\' => return None,
            b'"' => is_in_string = !is_in_string,
            b'{' | b'[' if !is_in_string => depth += 1,
            b'}' | b']' if !is_in_string => {
                depth -= 1;
                if depth == 0 {
                    return (byte == text[0] + 2).then_some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Returns true if a text that `serde_json` refuses is still one skipped container.
fn is_one_container(text: &[u8]) -> bool {
    let is_space = |byte: &u8| b" \t\n\r".contains(byte);
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let text = &text[start..];
    std::str::from_utf8(text).is_ok()
        && text.first().is_some_and(|first| b"{[".contains(first))
        && naive_length(text).is_some_and(|length| text[length..].iter().all(is_space))
}

/// Checks that the reader reads a text as `serde_json` does, and skips it too.
fn assert_agrees(text: &[u8]) {
    let shown = String::from_utf8_lossy(text);
    let skipped = from_slice::<Skipped>(text).map(|_| ());
    let read = from_slice::<Tree>(text);
    match serde_json::from_slice::<Value>(text) {
        Ok(value) => {
            assert_eq!(read.map(|tree| tree.0), Ok(without_scalars(value)), "{shown}");
            assert_eq!(skipped, Ok(()), "{shown}");
        }
        // Only the syntax of a number is checked, so it may have any size. `serde_json` reads no further.
        Err(error) if error.to_string().contains("number out of range") => {}
        Err(error) => {
            assert!(read.is_err(), "{shown}: {error}");
            assert_eq!(skipped.is_ok(), is_one_container(text), "{shown}: {error}");
        }
    }
}

#[test]
fn each_kind_of_text_is_read_as_by_serde_json() {
    for text in TEXTS {
        assert_agrees(text.as_bytes());
    }
    for bytes in [&b"\"\xff\""[..], b"\"\xc3\"", b"[\xe9]", b"\xef\xbb", b"[\"\xed\xa0\x80\"]"] {
        assert!(from_slice::<Skipped>(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn every_byte_at_every_position_of_a_block_is_checked() {
    for byte in 0..=u8::MAX {
        for place in 0..36 {
            for filler in *b"a\x7f!#]" {
                let mut text = vec![filler; 38];
                text[place + 1] = byte;
                text[0] = b'"';
                text[37] = b'"';
                assert_agrees(&text);
            }
        }
    }
}

#[test]
fn nesting_of_any_depth_needs_matching_brackets() {
    for depth in [1, 2, 63, 64, 65, 127, 128, 129, 1000, 100_000] {
        // Objects and arrays alternate, so that a wrong bracket is found.
        let (opening, closing): (String, String) = (
            (0..depth).map(|level| if level % 3 == 0 { "{\"k\":" } else { "[" }).collect(),
            (0..depth).rev().map(|level| if level % 3 == 0 { '}' } else { ']' }).collect(),
        );
        let text = format!("{opening}1{closing}");
        assert!(from_slice::<Skipped>(text.as_bytes()).is_ok(), "{depth}");
        let last = text.len() - 1;
        assert!(from_slice::<Skipped>(&text.as_bytes()[..last]).is_err(), "{depth}");
        let mut wrong = text.clone().into_bytes();
        wrong[last] = if wrong[last] == b'}' { b']' } else { b'}' };
        assert!(from_slice::<Skipped>(&wrong).is_err(), "{depth}");
        assert!(from_slice::<Skipped>(format!("{text}]").as_bytes()).is_err(), "{depth}");
    }
}

/// A captured review.
fn fixture() -> Vec<u8> {
    let path = "tests/fixtures/reviews/03-update-pod-ephemeralcontainers.json";
    std::fs::read(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn a_captured_review_is_read_as_by_serde_json_and_refused_when_cut() {
    let review = fixture();
    assert_agrees(&review);
    let whole = review.trim_ascii_end().len();
    for end in 0..whole {
        assert!(from_slice::<Skipped>(&review[..end]).is_err(), "{end}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::String),
        "[a-z\"\\\\/\n]{0,24}".prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec(("[a-z\"é]{0,12}", inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_is_read_as_by_serde_json(value in value(), pretty in any::<bool>()) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        assert_agrees(text.as_bytes());
    }

    #[test]
    fn a_damaged_document_is_read_as_by_serde_json(
        value in value(),
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::sample::select(b"{}[]:,\"\\ue0.-1 \nt\x01\xc3".to_vec()), 0..3u8),
            1..4,
        ),
    ) {
        let mut text = value.to_string().into_bytes();
        for (index, byte, edit) in edits {
            let at = index.index(text.len() + 1);
            match edit {
                0 => text.insert(at, byte),
                _ if at == text.len() => {}
                1 => text[at] = byte,
                _ => {
                    text.remove(at);
                }
            }
        }
        assert_agrees(&text);
    }

    #[test]
    fn a_damaged_review_is_read_as_by_serde_json(at in 0..7000_usize, byte in any::<u8>()) {
        let mut review = fixture();
        review[at] = byte;
        assert_agrees(&review);
    }
}
