//! A new text in place of an old one.

use std::ops::Range;

use granit_parser::ScalarStyle;

use super::{
    document::{Node, Scalar},
    scalar::written,
};

/// A part of a text with what takes its place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Replacement {
    pub(super) bytes: Range<usize>,
    pub(super) text: String,
}

/// Returns what has to be written for the new text of a scalar in `text`; `None` if its place cannot be found.
///
/// `new` is an image reference, so it needs no escapes in quotes.
pub(super) fn replacement(
    text: &str,
    node: &Node<'_>,
    scalar: &Scalar<'_>,
    new: &str,
) -> Option<Replacement> {
    let bytes = node.bytes.clone();
    let quoted = |quote: char| format!("{quote}{new}{quote}");
    let new = match scalar.style {
        ScalarStyle::Plain => written(new).into_owned(),
        ScalarStyle::DoubleQuoted => quoted('"'),
        ScalarStyle::SingleQuoted => quoted('\''),
        ScalarStyle::Folded | ScalarStyle::Literal => {
            // An image is one line of the block, and its header has no letters.
            let block = text.get(bytes.clone())?;
            let start = bytes.start + block.find(&*scalar.value)?;
            return Some(Replacement {
                bytes: start..start + scalar.value.len(),
                text: new.to_owned(),
            });
        }
    };
    Some(Replacement { bytes, text: new })
}
