//! The Kubernetes objects in a document: the document itself, or the items of a list.

use super::{
    document::{Document, NodeId},
    pointer::Pointers,
};

/// Maximum nesting of lists of objects. Without aliases, a text cannot be nested deeper.
const MAX_LISTS: usize = 128;

/// A Kubernetes object in a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'d> {
    pub(super) node: NodeId,
    pub(super) api_version: &'d str,
    pub(super) kind: &'d str,
    /// Namespace; `None` if the object names none.
    pub(super) namespace: Option<&'d str>,
}

impl<'d> Object<'d> {
    /// Returns the group of the kind; empty for the core group.
    pub(super) fn group(&self) -> &'d str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

/// Returns the objects of a document. There is none if it is not a Kubernetes object, such as a Helm values file.
pub(super) fn objects<'d>(
    document: &'d Document<'_>,
    pointers: &Pointers<'d, '_>,
) -> Vec<Object<'d>> {
    let mut found = Vec::new();
    if let Some(root) = document.root {
        add(document, pointers, root, None, 0, &mut found);
    }
    found
}

/// Adds an object, or the items of a list. The items of a list such as a `PodList` need not have a kind.
fn add<'d>(
    document: &'d Document<'_>,
    pointers: &Pointers<'d, '_>,
    node: NodeId,
    of_list: Option<(&'d str, &'d str)>,
    depth: usize,
    found: &mut Vec<Object<'d>>,
) {
    let text = |pointer| pointers.text(node, pointer);
    let own = text("/apiVersion").zip(text("/kind"));
    let Some((api_version, kind)) = own.or(of_list) else { return };
    let items = pointers.field(node, "items").map(|items| document.items(items));
    match (kind.strip_suffix("List"), items) {
        (Some(of_items), Some(items)) if depth < MAX_LISTS => {
            let of_items = (!of_items.is_empty()).then_some((api_version, of_items));
            for item in items {
                add(document, pointers, *item, of_items, depth + 1, found);
            }
        }
        _ => {
            let namespace = text("/metadata/namespace").filter(|name| !name.is_empty());
            found.push(Object { node, api_version, kind, namespace });
        }
    }
}
