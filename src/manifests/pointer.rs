//! The nodes that JSON Pointers refer to.

use std::{cell::RefCell, collections::HashMap};

use foldhash::fast::RandomState;

use super::document::{Content, Document, NodeId};

/// Number of pairs from which on a mapping is indexed when a key is looked up.
const MIN_INDEXED: usize = 16;

/// The fields of a mapping by name.
type Fields<'d> = HashMap<&'d str, NodeId, RandomState>;

/// Lookups in a document. The cost of one does not grow with the number of keys.
pub(super) struct Pointers<'d, 't> {
    document: &'d Document<'t>,
    indexed: RefCell<HashMap<NodeId, Fields<'d>, RandomState>>,
}

impl<'d, 't> Pointers<'d, 't> {
    pub(super) fn new(document: &'d Document<'t>) -> Self {
        Self { document, indexed: RefCell::default() }
    }

    /// Returns the value of a key of a mapping.
    pub(super) fn field(&self, id: NodeId, name: &str) -> Option<NodeId> {
        let pairs = self.document.pairs(id);
        if pairs.len() < MIN_INDEXED {
            let has_name = |(key, _): &&(NodeId, NodeId)| self.document.key(*key) == Some(name);
            return pairs.iter().rev().find(has_name).map(|(_, value)| *value);
        }
        let mut indexed = self.indexed.borrow_mut();
        let fields = indexed.entry(self.document.target(id)).or_insert_with(|| {
            // The last one of a name counts.
            let named =
                pairs.iter().filter_map(|(key, value)| Some((self.document.key(*key)?, *value)));
            named.collect()
        });
        fields.get(name).copied()
    }

    /// Returns the node to which a JSON Pointer (RFC 6901) refers, from a node on.
    pub(super) fn at(&self, from: NodeId, pointer: &str) -> Option<NodeId> {
        pointer.split('/').skip(1).try_fold(from, |node, segment| {
            match &self.document.node(node).content {
                Content::Sequence(_, items) => items.get(segment.parse::<usize>().ok()?).copied(),
                _ if segment.contains('~') => {
                    self.field(node, &segment.replace("~1", "/").replace("~0", "~"))
                }
                _ => self.field(node, segment),
            }
        })
    }

    /// Returns the text to which a JSON Pointer refers; `None` if it is not a text.
    pub(super) fn text(&self, from: NodeId, pointer: &str) -> Option<&'d str> {
        self.document.text(self.at(from, pointer)?)
    }
}
