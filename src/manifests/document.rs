//! A document: a tree of nodes that know their positions.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    ops::Range,
};

use foldhash::fast::RandomState;
use granit_parser::{Event, ScalarStyle, Span, StructureStyle};
use indexmap::IndexMap;

use super::{SyntaxError, origin::Origin, scalar::Kind};

/// Maximum number of values of a document. Each takes up to 150 bytes of memory.
const MAX_NODES: usize = 8 * 1024 * 1024;

/// Maximum number of keys that the merge keys of a document bring. With aliases, a short text can stand for a long one.
const MAX_MERGED: usize = 1024 * 1024;

/// A node of a document, by its index.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct NodeId(usize);

/// A document of a text.
#[derive(Debug, Default)]
pub(super) struct Document<'t> {
    nodes: Vec<Node<'t>>,
    /// The outermost node.
    pub(super) root: Option<NodeId>,
    /// True if a node is used in more than one place.
    pub(super) has_aliases: bool,
    /// The line of a merge key that brings a key which stands before it. Some readers take the one, some the other.
    pub(super) ambiguous: Option<usize>,
}

/// A node with its position in the text.
#[derive(Debug)]
pub(super) struct Node<'t> {
    pub(super) content: Content<'t>,
    /// The bytes of the node. Those of a collection in block style end with its last node.
    pub(super) bytes: Range<usize>,
    /// The line of the first byte, from 1.
    pub(super) line: usize,
}

/// The content of a node.
#[derive(Debug)]
pub(super) enum Content<'t> {
    /// Another node, which has an anchor.
    Alias(NodeId),
    /// Keys with their values, merge keys and what they bring included.
    Mapping(Style, Pairs),
    /// A single value.
    Scalar(Scalar<'t>),
    /// Items.
    Sequence(Style, Vec<NodeId>),
}

/// The keys of a mapping with their values.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// The pairs as they are written.
    pub(super) written: Vec<(NodeId, NodeId)>,
    /// The pairs after merging; `None` without a merge key.
    merged: Option<Vec<(NodeId, NodeId)>>,
}

/// The style of a collection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Style {
    /// By indentation.
    Block,
    /// In brackets, as in JSON.
    Flow,
}

/// A single value.
#[derive(Debug)]
pub(super) struct Scalar<'t> {
    /// The value without quotes and escapes.
    pub(super) value: Cow<'t, str>,
    /// The notation.
    pub(super) style: ScalarStyle,
    /// The type of the value.
    pub(super) kind: Kind,
}

impl Pairs {
    /// Returns the pairs after merging. If a key occurs more than once, the last one counts.
    pub(super) fn resolved(&self) -> &[(NodeId, NodeId)] {
        self.merged.as_deref().unwrap_or(&self.written)
    }
}

impl<'t> Document<'t> {
    /// Returns the end of the document in bytes, if it is a mapping in braces.
    pub(super) fn object_end(&self) -> Option<usize> {
        let root = self.written(self.root?);
        matches!(root.content, Content::Mapping(Style::Flow, _)).then_some(root.bytes.end)
    }

    /// Returns a node. An alias is the node that it stands for.
    pub(super) fn node(&self, id: NodeId) -> &Node<'t> {
        self.written(self.target(id))
    }

    /// Returns a node as it is written. An alias has its own bytes.
    pub(super) fn written(&self, id: NodeId) -> &Node<'t> {
        &self.nodes[id.0]
    }

    /// Returns the node that an alias stands for, or the node itself.
    pub(super) fn target(&self, id: NodeId) -> NodeId {
        match self.nodes[id.0].content {
            Content::Alias(target) => target,
            _ => id,
        }
    }

    /// Returns the text of a node; `None` if it is not a text.
    pub(super) fn text(&self, id: NodeId) -> Option<&str> {
        match &self.node(id).content {
            Content::Scalar(scalar) if scalar.kind == Kind::Text => Some(&scalar.value),
            _ => None,
        }
    }

    /// Returns the name of a key; `None` if it is not a single value.
    pub(super) fn key(&self, id: NodeId) -> Option<&str> {
        match &self.node(id).content {
            Content::Scalar(scalar) => Some(&scalar.value),
            _ => None,
        }
    }

    /// Returns true if a key is the merge key.
    pub(super) fn is_merge_key(&self, id: NodeId) -> bool {
        matches!(&self.node(id).content, Content::Scalar(scalar) if scalar.kind == Kind::Merge)
    }

    /// Returns the pairs of a mapping after merging; empty for any other node.
    pub(super) fn pairs(&self, id: NodeId) -> &[(NodeId, NodeId)] {
        match &self.node(id).content {
            Content::Mapping(_, pairs) => pairs.resolved(),
            _ => &[],
        }
    }

    /// Returns the mappings that a value of a merge key names, the one with the least precedence first.
    pub(super) fn merge_sources(&self, value: NodeId) -> Vec<NodeId> {
        match &self.node(value).content {
            Content::Sequence(_, sources) => sources.iter().rev().copied().collect(),
            _ => vec![value],
        }
    }

    /// Returns the items of a sequence; empty for any other node.
    pub(super) fn items(&self, id: NodeId) -> &[NodeId] {
        match &self.node(id).content {
            Content::Sequence(_, items) => items,
            _ => &[],
        }
    }
}

/// A document of which not all events are read.
#[derive(Default)]
pub(super) struct Builder<'t> {
    document: Document<'t>,
    origin: Origin,
    /// The collections that are not complete, the outermost first.
    open: Vec<NodeId>,
    /// The first node of a pair in each collection that is not complete, if its second is missing.
    keys: Vec<Option<NodeId>>,
    anchors: HashMap<usize, NodeId, RandomState>,
    /// Number of keys that merge keys have brought.
    merged: usize,
}

impl<'t> Builder<'t> {
    /// Starts a document of a parser that has read the text from `origin` on, which is the start of a line.
    pub(super) fn new(origin: Origin) -> Self {
        Self { origin, ..Self::default() }
    }

    /// Returns the document, after its last event.
    pub(super) fn finish(self) -> Document<'t> {
        self.document
    }

    /// Adds what an event brings.
    ///
    /// # Errors
    /// If the document is larger than the limits of this module, or has a key that is a collection.
    pub(super) fn add(&mut self, event: Event<'t>, span: &Span) -> Result<(), SyntaxError> {
        let (line, column) = (self.origin.line_of(&span.start), span.start.col() + 1);
        let refusal = |problem| Err(SyntaxError::new(line, column, problem));
        if self.document.nodes.len() > MAX_NODES {
            return refusal("the document has more than 8 million values");
        }
        match event {
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).copied();
                let Some(target) = target.filter(|target| !self.open.contains(target)) else {
                    return refusal("the alias stands for a node that contains it");
                };
                self.document.has_aliases = true;
                self.push(Content::Alias(target), 0, span);
            }
            Event::Scalar(value, style, anchor, tag) => {
                let kind = Kind::of(&value, style, tag.as_deref());
                self.push(Content::Scalar(Scalar { value, style, kind }), anchor, span);
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if self.is_at_key() => {
                return refusal("a key of a mapping is a mapping or a list");
            }
            Event::SequenceStart(style, anchor, _) => {
                self.open(Content::Sequence(style.into(), Vec::new()), anchor, span);
            }
            Event::MappingStart(style, anchor, _) => {
                self.open(Content::Mapping(style.into(), Pairs::default()), anchor, span);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.close(span);
                if self.merged > MAX_MERGED {
                    return refusal("the merge keys bring more than a million keys");
                }
            }
            // Comments, and the beginning of the text and of a document.
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, content: Content<'t>, anchor: usize, span: &Span) -> NodeId {
        let id = NodeId(self.document.nodes.len());
        let bytes = self.origin.of(&span.start).bytes..self.origin.of(&span.end).bytes;
        let line = self.origin.line_of(&span.start);
        self.document.nodes.push(Node { content, bytes, line });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        let (Some(parent), Some(key)) = (self.open.last(), self.keys.last_mut()) else {
            self.document.root = Some(id);
            return id;
        };
        match &mut self.document.nodes[parent.0].content {
            Content::Mapping(_, pairs) => match key.take() {
                Some(key) => pairs.written.push((key, id)),
                None => *key = Some(id),
            },
            Content::Sequence(_, items) => items.push(id),
            Content::Alias(_) | Content::Scalar(_) => {}
        }
        id
    }

    fn open(&mut self, content: Content<'t>, anchor: usize, span: &Span) {
        let id = self.push(content, anchor, span);
        self.open.push(id);
        self.keys.push(None);
    }

    fn close(&mut self, span: &Span) {
        self.keys.pop();
        let Some(id) = self.open.pop() else { return };
        let nodes = &mut self.document.nodes;
        let (style, last) = match &nodes[id.0].content {
            Content::Mapping(style, pairs) => {
                (*style, pairs.written.last().map(|(_, value)| *value))
            }
            Content::Sequence(style, items) => (*style, items.last().copied()),
            Content::Alias(_) | Content::Scalar(_) => return,
        };
        let end = match (style, last) {
            (Style::Flow, _) => Some(self.origin.of(&span.end).bytes),
            (Style::Block, last) => last.map(|last| nodes[last.0].bytes.end),
        };
        let bytes = &mut nodes[id.0].bytes;
        bytes.end = end.unwrap_or_default().max(bytes.end);
        self.merge(id);
    }

    /// Returns true if the next node is a key of a mapping.
    fn is_at_key(&self) -> bool {
        let Some((parent, key)) = self.open.last().zip(self.keys.last()) else { return false };
        let parent = &self.document.nodes[parent.0].content;
        matches!(parent, Content::Mapping(..)) && key.is_none()
    }

    /// Merges what the merge keys of a mapping bring, in the order of the text, as kubectl does: what comes later
    /// replaces what came before. The merged mappings are complete.
    fn merge(&mut self, id: NodeId) {
        let document = &self.document;
        let Content::Mapping(_, Pairs { written, .. }) = &document.nodes[id.0].content else {
            return;
        };
        if !written.iter().any(|(key, _)| document.is_merge_key(*key)) {
            return;
        }
        let mut own = HashSet::<&str, RandomState>::default();
        let mut merged = IndexMap::<&str, (NodeId, NodeId), RandomState>::default();
        let (mut count, mut ambiguous) = (0, None);
        for &(key, value) in written {
            let Some(name) = document.key(key) else { continue };
            if !document.is_merge_key(key) {
                own.insert(name);
                merged.insert(name, (key, value));
                continue;
            }
            for source in document.merge_sources(value) {
                let pairs = document.pairs(source);
                count += 1 + pairs.len();
                if self.merged + count > MAX_MERGED {
                    break;
                }
                for &pair in pairs {
                    let Some(name) = document.key(pair.0) else { continue };
                    if own.contains(name) {
                        ambiguous = Some(document.node(key).line);
                    }
                    merged.insert(name, pair);
                }
            }
        }
        let merged: Vec<_> = merged.into_values().collect();
        self.merged += count;
        let document = &mut self.document;
        document.ambiguous = document.ambiguous.or(ambiguous);
        if let Content::Mapping(_, pairs) = &mut document.nodes[id.0].content {
            pairs.merged = Some(merged);
        }
    }
}

impl From<StructureStyle> for Style {
    fn from(style: StructureStyle) -> Self {
        match style {
            StructureStyle::Block => Self::Block,
            StructureStyle::Flow => Self::Flow,
        }
    }
}
