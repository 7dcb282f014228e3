//! The images of a custom resource.

use std::{borrow::Cow, collections::HashMap};

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use super::{
    pointer::push_token,
    trie::{NodeId, Nodes, Trie},
};
use crate::admission::{
    json::{self, Reader, Result},
    markers::NEVER,
};

/// Maximum number of images of an object. An object with more is left alone. It is the limit for containers too.
const MAX_IMAGES: usize = 32_768;

/// Maximum size of all pointers to images of an object, in bytes. An object with larger ones is left alone.
///
/// A pointer contains names of fields, which may be long, and is stored and answered once for each image.
const MAX_POINTERS_BYTES: usize = 4 * 1024 * 1024;

/// Fields beside an image with its pull policy, as in a container and in an image volume.
const PULL_POLICIES: [&[u8]; 2] = [b"imagePullPolicy", b"pullPolicy"];

/// An image of a custom resource.
#[derive(Debug)]
pub(in crate::admission) struct SiteImage<'a> {
    /// The JSON Pointer (RFC 6901) to the image.
    pub(in crate::admission) pointer: String,
    /// The image.
    pub(in crate::admission) text: Cow<'a, str>,
    /// True if the pull policy beside the image is `Never`.
    pub(in crate::admission) is_never_pulled: bool,
    /// The node at which the pointer of the site ends. All elements that a `*` stands for have the same.
    site: NodeId,
}

/// An object has more images than the limit, or larger pointers to them.
#[derive(Clone, Copy, Debug)]
pub(in crate::admission) struct TooManyImages;

/// Returns the images of an object in the order of its JSON. Empty if the text is not valid JSON.
///
/// # Errors
/// If there are too many. Some of them would make an update look as if it introduced the others.
pub(super) fn read<'a>(
    object: &'a str,
    trie: &Trie,
) -> std::result::Result<Vec<SiteImage<'a>>, TooManyImages> {
    let mut walk = Walk { trie, pointer: String::new(), count: 0, pointers_bytes: 0 };
    let images = walk
        .value(&mut Reader::new(object), object.as_bytes(), &Trie::root())
        .map(|(images, _)| images)
        .unwrap_or_default();
    if walk.is_over_limit() { Err(TooManyImages) } else { Ok(images) }
}

/// Returns the images that an update introduces.
///
/// An image is not new as often as the same site had it before, also at another element that `*` stands for.
pub(in crate::admission) fn introduced<'i, 'a>(
    new: &'i [SiteImage<'a>],
    old: &'i [SiteImage<'a>],
) -> Vec<&'i SiteImage<'a>> {
    let mut before: HashMap<(NodeId, &str), usize, RandomState> = HashMap::default();
    let mut in_place: HashMap<&str, &str, RandomState> = HashMap::default();
    for image in old {
        *before.entry((image.site, &*image.text)).or_default() += 1;
        in_place.insert(&image.pointer, &image.text);
    }
    let mut was_before = |image: &'i SiteImage<'a>| {
        let left = before.get_mut(&(image.site, &*image.text)).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    };
    // Images that have not moved come first, so that a new one beside them is not taken for one of them.
    let is_in_place: Vec<_> = new
        .iter()
        .map(|image| in_place.get(&*image.pointer) == Some(&&*image.text) && was_before(image))
        .collect();
    let moved = new.iter().zip(is_in_place).filter(|(_, is_in_place)| !is_in_place);
    moved.map(|(image, _)| image).filter(|image| !was_before(image)).collect()
}

/// The state of reading an object.
struct Walk<'t> {
    trie: &'t Trie,
    /// The pointer to the value that is read.
    pointer: String,
    /// Number of images so far.
    count: usize,
    /// Size of their pointers.
    pointers_bytes: usize,
}

/// The images in a value.
enum Found<'a> {
    /// The value is an image.
    Image(SiteImage<'a>),
    /// The images in an array or an object.
    Inside(Vec<SiteImage<'a>>),
}

impl Walk<'_> {
    /// Reads a value, and returns the images in it.
    fn value<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        rest: &'a [u8],
        nodes: &Nodes,
    ) -> Result<(Vec<SiteImage<'a>>, &'a [u8])> {
        Ok(match self.found(reader, rest, nodes)? {
            (Found::Image(image), after) => (vec![image], after),
            (Found::Inside(images), after) => (images, after),
        })
    }

    /// Reads a value, and returns it or the images in it.
    fn found<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        rest: &'a [u8],
        nodes: &Nodes,
    ) -> Result<(Found<'a>, &'a [u8])> {
        if json::is_at(rest, b'"') {
            let (text, after) = reader.string(rest)?;
            let none = Ok((Found::Inside(Vec::new()), after));
            let Some(site) = self.trie.end(nodes) else { return none };
            self.count += 1;
            self.pointers_bytes += self.pointer.len();
            if self.is_over_limit() {
                return none;
            }
            let (text, pointer) = (text.unwrap_or_default(), self.pointer.clone());
            let image = SiteImage { pointer, text, is_never_pulled: false, site };
            return Ok((Found::Image(image), after));
        }
        let (images, after) = if json::is_at(rest, b'[') {
            self.array(reader, rest, nodes)?
        } else {
            self.object(reader, rest, nodes)?
        };
        Ok((Found::Inside(images), after))
    }

    fn is_over_limit(&self) -> bool {
        self.count > MAX_IMAGES || self.pointers_bytes > MAX_POINTERS_BYTES
    }

    /// Reads an array.
    fn array<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        rest: &'a [u8],
        nodes: &Nodes,
    ) -> Result<(Vec<SiteImage<'a>>, &'a [u8])> {
        let (mut images, mut index) = (Vec::new(), 0);
        let after = reader.array(rest, |reader, rest| {
            let children = self.trie.element(nodes, index);
            index += 1;
            if children.is_empty() {
                return reader.skip(rest);
            }
            let length = self.pointer.len();
            push_token(&mut self.pointer, &(index - 1).to_string());
            let (found, after) = self.value(reader, rest, &children)?;
            images.extend(found);
            self.pointer.truncate(length);
            Ok(after)
        })?;
        Ok((images, after))
    }

    /// Reads an object. If a field occurs twice, the last value counts.
    fn object<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        rest: &'a [u8],
        nodes: &Nodes,
    ) -> Result<(Vec<SiteImage<'a>>, &'a [u8])> {
        let mut fields: IndexMap<Vec<u8>, Found<'a>, RandomState> = IndexMap::default();
        let mut is_never_pulled = [false; PULL_POLICIES.len()];
        let after = reader.object(rest, |name, reader, rest| {
            // A pull policy is no image, also if a `*` leads to it.
            if let Some(at) = PULL_POLICIES.iter().position(|policy| *policy == name) {
                let (policy, after) = reader.string(rest)?;
                is_never_pulled[at] = policy.as_deref() == Some(NEVER);
                return Ok(after);
            }
            let children = self.trie.field(nodes, name);
            if children.is_empty() {
                return reader.skip(rest);
            }
            let length = self.pointer.len();
            push_token(&mut self.pointer, &String::from_utf8_lossy(name));
            let (found, after) = self.found(reader, rest, &children)?;
            self.pointer.truncate(length);
            fields.insert(name.to_owned(), found);
            Ok(after)
        })?;
        let is_never_pulled = is_never_pulled.contains(&true);
        let mut images = Vec::new();
        for found in fields.into_values() {
            match found {
                Found::Image(image) => images.push(SiteImage { is_never_pulled, ..image }),
                Found::Inside(inside) => images.extend(inside),
            }
        }
        Ok((images, after))
    }
}
