//! The rules for rewriting manifests, and the result.

use std::borrow::Cow;

use super::problem::Note;
use crate::admission::World;

/// The rules for rewriting manifests.
#[derive(Clone, Copy, Debug)]
pub struct Rewriting<'w> {
    /// The maps, sites and settings.
    pub world: &'w World,
    /// The namespace of objects that name none; it selects the map of a namespace.
    pub namespace: &'w str,
    /// True if the pull secrets that the maps name are added.
    pub adds_pull_secrets: bool,
}

/// A text after rewriting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rewritten<'t> {
    /// The text; borrowed if nothing has changed.
    pub text: Cow<'t, str>,
    /// The images that have changed, in their order.
    pub changes: Vec<Change>,
    /// The pull secrets that are added, in the order of the objects.
    pub added: Vec<AddedSecrets>,
    /// The problems with objects in it.
    pub notes: Vec<Note>,
}

/// An image that has changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Line in the text, from 1.
    pub line: usize,
    /// The image before.
    pub from: String,
    /// The image after.
    pub to: String,
}

/// The pull secrets that an object gets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddedSecrets {
    /// Line of the object in the text, from 1.
    pub line: usize,
    /// The names of the Secrets.
    pub names: Vec<String>,
}
