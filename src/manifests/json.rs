//! Nodes as JSON, with aliases and merge keys resolved.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{
    document::{Content, Document, NodeId},
    scalar::Kind,
};

/// Maximum size of an object as JSON, in bytes. The API server accepts 3 MiB. With aliases, a short text can stand for a
/// long one.
const MAX_OBJECT_BYTES: usize = 8 * 1024 * 1024;

/// Maximum size of all objects of a document with aliases, in bytes. One long text can be part of each object.
pub(super) const MAX_DOCUMENT_BYTES: usize = 32 * 1024 * 1024;

/// Maximum nesting of an object. With aliases, it can be deeper than its text.
const MAX_DEPTH: usize = 512;

/// Maximum number of values of a document with aliases, each counted as often as it is used.
const MAX_USES: usize = 1024 * 1024;

/// A size over one of the limits of this module.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooLarge;

impl Document<'_> {
    /// Appends a node as JSON.
    ///
    /// # Errors
    /// If `json` becomes larger than [`MAX_OBJECT_BYTES`], or the object is nested deeper than [`MAX_DEPTH`].
    pub(super) fn write_json(&self, id: NodeId, json: &mut Vec<u8>) -> Result<(), TooLarge> {
        self.write_nested(id, 0, json)
    }

    fn write_nested(&self, id: NodeId, depth: usize, json: &mut Vec<u8>) -> Result<(), TooLarge> {
        if json.len() > MAX_OBJECT_BYTES || depth > MAX_DEPTH {
            return Err(TooLarge);
        }
        match &self.node(id).content {
            // The node of an id is never an alias.
            Content::Alias(_) => json.extend_from_slice(b"null"),
            Content::Mapping(_, pairs) => {
                json.push(b'{');
                for (number, (key, value)) in pairs.resolved().iter().enumerate() {
                    if number > 0 {
                        json.push(b',');
                    }
                    write_text(self.key(*key).unwrap_or_default(), json);
                    json.push(b':');
                    self.write_nested(*value, depth + 1, json)?;
                }
                json.push(b'}');
            }
            Content::Scalar(scalar) => match scalar.kind {
                Kind::Bool(true) => json.extend_from_slice(b"true"),
                Kind::Bool(false) => json.extend_from_slice(b"false"),
                Kind::Null | Kind::Other => json.extend_from_slice(b"null"),
                // No decision depends on the value of a number.
                Kind::Number => json.push(b'0'),
                Kind::Merge | Kind::Text => write_text(&scalar.value, json),
            },
            Content::Sequence(_, items) => {
                json.push(b'[');
                for (number, item) in items.iter().enumerate() {
                    if number > 0 {
                        json.push(b',');
                    }
                    self.write_nested(*item, depth + 1, json)?;
                }
                json.push(b']');
            }
        }
        Ok(())
    }

    /// Returns the number of places of the document in which each node is used. A mapping that is merged into another
    /// one is used there too.
    ///
    /// # Errors
    /// If there are more than [`MAX_USES`] places.
    pub(super) fn uses(&self) -> Result<HashMap<NodeId, usize, RandomState>, TooLarge> {
        let mut uses = HashMap::default();
        let mut pending: Vec<_> = self.root.into_iter().collect();
        let mut total = 0;
        while let Some(id) = pending.pop() {
            total += 1;
            if total + pending.len() > MAX_USES {
                return Err(TooLarge);
            }
            *uses.entry(self.target(id)).or_default() += 1;
            match &self.node(id).content {
                Content::Alias(_) | Content::Scalar(_) => {}
                Content::Mapping(_, pairs) => {
                    let resolved = pairs.resolved().iter();
                    pending.extend(resolved.flat_map(|(key, value)| [*key, *value]));
                    let merges = pairs.written.iter().filter(|(key, _)| self.is_merge_key(*key));
                    for source in merges.flat_map(|(_, value)| self.merge_sources(*value)) {
                        total += 1;
                        *uses.entry(self.target(source)).or_default() += 1;
                    }
                }
                Content::Sequence(_, items) => pending.extend(items),
            }
        }
        Ok(uses)
    }
}

/// Appends a text as a JSON string.
fn write_text(text: &str, json: &mut Vec<u8>) {
    // A vector accepts all that is written to it.
    let _ = serde_json::to_writer(json, text);
}
