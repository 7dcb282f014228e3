//! The pointers of one kind, compiled.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::pointer::{Pointer, Token};

/// Number of nodes that are stored without an allocation while an object is read. Most fields have one.
const INLINE_NODES: usize = 4;

/// Maximum number of nodes at one value. It bounds the time for an object if many pointers with `*` overlap; images that
/// only further ones lead to are not found.
const MAX_NODES: usize = 64;

/// The pointers of one kind as a trie, which is walked while an object is read.
#[derive(Clone, Debug)]
pub(super) struct Trie {
    /// The first is the root.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    names: HashMap<Box<str>, NodeId, RandomState>,
    any: Option<NodeId>,
    /// True if a pointer ends here.
    is_image: bool,
}

/// A node of a trie.
pub(super) type NodeId = u32;

/// The nodes that pointers have reached at a value. There are several if a name and a `*` match.
pub(super) type Nodes = SmallVec<[NodeId; INLINE_NODES]>;

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Trie {
    /// Adds a pointer. Returns true if it is new.
    pub(super) fn insert(&mut self, pointer: &Pointer) -> bool {
        let mut at = 0;
        for token in pointer.tokens() {
            // A file of the maximum size has fewer tokens than there are numbers of nodes.
            let new = NodeId::try_from(self.nodes.len()).unwrap_or(NodeId::MAX);
            let node = &mut self.nodes[at as usize];
            at = match token {
                Token::Any => *node.any.get_or_insert(new),
                Token::Name(name) => *node.names.entry(name.clone()).or_insert(new),
            };
            if at == new {
                self.nodes.push(Node::default());
            }
        }
        !std::mem::replace(&mut self.nodes[at as usize].is_image, true)
    }

    /// Returns the nodes at the object itself.
    pub(super) fn root() -> Nodes {
        Nodes::from_slice(&[0])
    }

    /// Returns the nodes at a field of an object.
    pub(super) fn field(&self, nodes: &Nodes, name: &[u8]) -> Nodes {
        let Ok(name) = str::from_utf8(name) else { return Nodes::new() };
        self.children(nodes, |node| node.names.get(name))
    }

    /// Returns the nodes at an element of an array.
    pub(super) fn element(&self, nodes: &Nodes, index: usize) -> Nodes {
        self.children(nodes, |node| {
            if node.names.is_empty() { None } else { node.names.get(&*index.to_string()) }
        })
    }

    /// Returns the first node at which a pointer ends; `None` if none does.
    pub(super) fn end(&self, nodes: &Nodes) -> Option<NodeId> {
        nodes.iter().copied().find(|node| self.node(*node).is_some_and(|node| node.is_image))
    }

    /// Returns the nodes below `nodes`: the `named` ones, and those of `*`.
    fn children<'n>(
        &'n self,
        nodes: &Nodes,
        named: impl Fn(&'n Node) -> Option<&'n NodeId>,
    ) -> Nodes {
        let mut children = Nodes::new();
        for node in nodes.iter().filter_map(|node| self.node(*node)) {
            // The general pointer comes first: the images that it leads to are at the same site.
            children.extend(node.any);
            children.extend(named(node).copied());
        }
        children.truncate(MAX_NODES);
        children
    }

    fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(node as usize)
    }
}
