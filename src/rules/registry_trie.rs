//! A trie of the registry rules, by registry and path segments.
//!
//! A lookup follows at most one edge for each segment of the image, however many rules there are. Following an edge
//! takes one probe of a hash table. Rules for `*.domain` are in a trie of their own, which is looked up for each domain
//! of the host.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};
use memchr::memchr_iter;

use super::rule::Key;
use crate::image::{ImageReference, LIBRARY, split_port};

/// The registry rules of a map.
#[derive(Clone, Debug)]
pub(super) struct RegistryTrie {
    nodes: Vec<Node>,
    /// The indices of the nodes, by parent and segment.
    edges: HashTable<u32>,
    hasher: RandomState,
    /// Length of the longest domain of a `*.domain` key in bytes, with its port. 0 if there is no such key.
    ///
    /// Longer domains of an image need no lookup. This bounds the time for a host with many labels.
    longest_domain: usize,
}

#[derive(Clone, Debug)]
struct Node {
    parent: u32,
    segment: Box<str>,
    rule: Option<u32>,
}

/// The registry rule whose key is the longest prefix of an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RegistryMatch {
    /// Index of the rule.
    pub(super) rule: u32,
    /// True if the key has a path prefix.
    pub(super) has_path: bool,
    /// Number of bytes of the image's path that the path prefix of the key covers.
    pub(super) consumed: usize,
    /// True if the image has a port and the key does not.
    pub(super) ignores_port: bool,
}

/// The parent of the registries.
const ROOT: u32 = 0;

/// The parent of the domains of `*.domain` keys.
const WILDCARD_ROOT: u32 = 1;

impl Default for RegistryTrie {
    fn default() -> Self {
        let root = Node { parent: ROOT, segment: "".into(), rule: None };
        Self {
            nodes: vec![root.clone(), root],
            edges: HashTable::new(),
            hasher: RandomState::default(),
            longest_domain: 0,
        }
    }
}

impl RegistryTrie {
    /// Adds `rule` under `key`, a registry or `*.domain` with or without a path prefix.
    pub(super) fn insert(&mut self, key: &str, rule: u32) {
        let (root, key) = match key.strip_prefix(Key::WILDCARD) {
            Some(key) => (WILDCARD_ROOT, key),
            None => (ROOT, key),
        };
        if root == WILDCARD_ROOT {
            let domain = key.find('/').unwrap_or(key.len());
            self.longest_domain = self.longest_domain.max(domain);
        }
        let node = key.split('/').fold(root, |parent, segment| self.child_or_new(parent, segment));
        self.nodes[node as usize].rule = Some(rule);
    }

    /// Returns the rule whose key is the longest prefix of the image's registry and canonical path, if any.
    ///
    /// Only whole segments match. Keys with the port of the image win over keys without a port. If no key with the host
    /// matches, the keys of its longest domain that match win. The registry of the image is in lower case.
    pub(super) fn longest_prefix(&self, image: &ImageReference<'_>) -> Option<RegistryMatch> {
        let found = self.longest_prefix_of(ROOT, image, 0);
        if found.is_some() || self.longest_domain == 0 {
            return found;
        }
        let host = image.host();
        let dots = memchr_iter(b'.', host.as_bytes());
        let domains = dots.map(|dot| dot + 1).filter(|&start| start > 1);
        domains
            .filter(|start| host.len() - start <= self.longest_domain)
            .find_map(|start| self.longest_prefix_of(WILDCARD_ROOT, image, start))
    }

    /// Returns the longest match below `root` of the image, whose registry is taken from byte `start` on.
    fn longest_prefix_of(
        &self,
        root: u32,
        image: &ImageReference<'_>,
        start: usize,
    ) -> Option<RegistryMatch> {
        let with_port = self.walk(root, image, &image.registry()[start..]);
        if with_port.is_some() || image.port_suffix().is_empty() {
            return with_port;
        }
        let name = &image.host()[start..];
        if !split_port(name).1.is_empty() {
            // Of two ports, the first is not a part of the host. A key with it does not name the host alone.
            return None;
        }
        let found = self.walk(root, image, name)?;
        Some(RegistryMatch { ignores_port: true, ..found })
    }

    fn walk(&self, root: u32, image: &ImageReference<'_>, registry: &str) -> Option<RegistryMatch> {
        let mut node = self.child(root, registry)?;
        let mut found = None;
        let mut consumed = 0;
        let mut depth = 0;
        let library = image.is_library().then_some((LIBRARY, 0));
        let path = image.repository();
        let ends = memchr_iter(b'/', path.as_bytes()).chain(std::iter::once(path.len()));
        let mut start = 0;
        let mut segments = library.into_iter().chain(ends.map(|end| {
            let segment = &path[start..end];
            start = end + 1;
            (segment, end)
        }));
        loop {
            if let Some(rule) = self.nodes[node as usize].rule {
                found = Some(RegistryMatch {
                    rule,
                    has_path: depth > 0,
                    consumed,
                    ignores_port: false,
                });
            }
            let Some((segment, end)) = segments.next() else { return found };
            match self.child(node, segment) {
                Some(child) => (node, consumed, depth) = (child, end, depth + 1),
                None => return found,
            }
        }
    }

    fn child(&self, parent: u32, segment: &str) -> Option<u32> {
        let hash = self.hasher.hash_one((parent, segment));
        self.edges.find(hash, |&node| self.nodes[node as usize].is(parent, segment)).copied()
    }

    fn child_or_new(&mut self, parent: u32, segment: &str) -> u32 {
        let nodes = &mut self.nodes;
        let entry = self.edges.entry(
            self.hasher.hash_one((parent, segment)),
            |&node| nodes[node as usize].is(parent, segment),
            |&node| {
                let node = &nodes[node as usize];
                self.hasher.hash_one((node.parent, &*node.segment))
            },
        );
        match entry {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                // A map of 16 MiB has fewer than 2^32 segments.
                let node = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
                entry.insert(node);
                nodes.push(Node { parent, segment: segment.into(), rule: None });
                node
            }
        }
    }
}

impl Node {
    fn is(&self, parent: u32, segment: &str) -> bool {
        self.parent == parent && *self.segment == *segment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        let mut trie = RegistryTrie::default();
        let keys = [
            "ghcr.io",
            "ghcr.io/acme",
            "docker.io/library",
            "docker.io/library/nginx",
            "a:1",
            "a",
            "*.b.io",
            "*.b.io:80",
            "*.b.io/team",
            "*.c.b.io",
            "d.b.io",
            "*.e.b.io/team",
        ];
        for (rule, key) in (0..).zip(keys) {
            trie.insert(key, rule);
        }
        // image, rule, covered bytes of the path, port ignored
        for (image, expected) in [
            ("ghcr.io/acme/x:1", Some((1, 4, false))),
            ("ghcr.io/acmeco/x:1", Some((0, 0, false))),
            ("ghcr.io/acme:1", Some((1, 4, false))),
            ("redis:7", Some((2, 0, false))),
            ("nginx:1", Some((3, 5, false))),
            ("docker.io/library/nginx@sha256:ab", Some((3, 13, false))),
            ("bitnami/redis", None),
            ("a:1/x", Some((4, 0, false))),
            ("a:2/x", Some((5, 0, true))),
            ("a:1:2/x", None),
            ("b:2/x", None),
            ("x.b.io/y", Some((6, 0, false))),
            ("x.b.io:80/y", Some((7, 0, false))),
            ("x.b.io:81/team/y", Some((8, 4, true))),
            ("x.y.b.io/y", Some((6, 0, false))),
            ("x.c.b.io/y", Some((9, 0, false))),
            ("d.b.io/y", Some((10, 0, false))),
            ("x.e.b.io/y", Some((6, 0, false))),
            ("x.e.b.io/team/y", Some((11, 4, false))),
            ("b.io/y", None),
            (".b.io/y", None),
        ] {
            let found = trie.longest_prefix(&ImageReference::parse(image));
            let seen = found.map(|found| (found.rule, found.consumed, found.ignores_port));
            assert_eq!(seen, expected, "{image}");
        }
    }
}
