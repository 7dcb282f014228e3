//! The rewriting of one document.

use std::{collections::HashMap, fmt};

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use super::{
    document::{Content, Document, NodeId},
    json::{MAX_DOCUMENT_BYTES, TooLarge},
    object::Object,
    pointer::Pointers,
    problem::{Note, Problem},
    pull_secrets,
    replacement::{Replacement, replacement},
    rewritten::{AddedSecrets, Change, Rewriting},
};
use crate::{
    admission::{Creation, Edit, Plan, Review, plan_with_decisions},
    excerpt::{MAX_VALUE_BYTES, excerpt},
};

/// The rewriting of one document.
pub(super) struct Pass<'d, 't> {
    text: &'t str,
    document: &'d Document<'t>,
    pub(super) pointers: Pointers<'d, 't>,
    /// The images that change, by their nodes.
    images: IndexMap<NodeId, NewImage, RandomState>,
    /// The number of places of each node; `None` if the document has no aliases.
    uses: Option<HashMap<NodeId, usize, RandomState>>,
    /// The body of the last review.
    body: Vec<u8>,
    /// Number of bytes of all reviews so far.
    reviewed: usize,
    pub(super) replacements: Vec<Replacement>,
    pub(super) changes: Vec<Change>,
    pub(super) added: Vec<AddedSecrets>,
    pub(super) notes: Vec<Note>,
}

/// A new image of a node.
struct NewImage {
    from: String,
    to: String,
    /// Number of places of the node that need the new image.
    places: usize,
    /// True if all of these places need the same image.
    is_agreed: bool,
}

impl<'d, 't> Pass<'d, 't> {
    /// Starts the rewriting of a document.
    ///
    /// # Errors
    /// If readers disagree about the document, or its aliases stand for too many values.
    pub(super) fn new(text: &'t str, document: &'d Document<'t>) -> Result<Self, Note> {
        if let Some(line) = document.ambiguous {
            return Err(Note { line, problem: Problem::Ambiguous });
        }
        let uses = document.has_aliases.then(|| document.uses()).transpose();
        let uses = uses.map_err(|TooLarge| {
            let line = document.root.map_or(1, |root| document.written(root).line);
            Note { line, problem: Problem::TooManyUses }
        })?;
        Ok(Self {
            text,
            document,
            pointers: Pointers::new(document),
            images: IndexMap::default(),
            uses,
            body: Vec::new(),
            reviewed: 0,
            replacements: Vec::new(),
            changes: Vec::new(),
            added: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// Decides on the images of an object.
    pub(super) fn add(&mut self, rewriting: &Rewriting<'_>, object: Object<'d>) {
        let line = self.document.node(object.node).line;
        let mut body = std::mem::take(&mut self.body);
        if let Err(problem) = self.consider(rewriting, object, &mut body) {
            self.notes.push(Note { line, problem });
        }
        self.body = body;
    }

    /// Decides on the images of an object, and records the changes.
    fn consider(
        &mut self,
        rewriting: &Rewriting<'_>,
        object: Object<'d>,
        body: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        let document = self.document;
        let named = || name(&self.pointers, object);
        let too_large = |_: TooLarge| Problem::TooLarge { object: named() };
        if document.has_aliases && self.reviewed > MAX_DOCUMENT_BYTES {
            return Err(Problem::TooMuchText { object: named() });
        }
        let namespace = object.namespace.unwrap_or(rewriting.namespace);
        let creation = Creation { group: object.group(), kind: object.kind, namespace };
        body.clear();
        let written = creation.write(body, |body| document.write_json(object.node, body));
        written.map_err(too_large)?;
        self.reviewed += body.len();
        let review = Review::with_sites(body, &rewriting.world.sites);
        let review = review
            .map_err(|error| Problem::Unreadable { object: named(), reason: error.to_string() })?;
        let plan = plan_with_decisions(&review, rewriting.world);
        if plan.has_too_many_images {
            return Err(Problem::TooManyImages { object: named() });
        }
        let line = document.node(object.node).line;
        for excluded in &plan.unknown_exclusions {
            let name = excerpt(excluded, MAX_VALUE_BYTES).into_owned();
            let problem = Problem::UnknownExclusion { object: named(), name };
            self.notes.push(Note { line, problem });
        }
        for Edit::Image { at, from, to, .. } in &plan.edits {
            let Some(node) = self.pointers.at(object.node, &at.to_string()) else { continue };
            let to = to.to_string();
            let image = self.images.entry(document.target(node)).or_insert_with(|| NewImage {
                from: (*from).to_owned(),
                to: to.clone(),
                places: 0,
                is_agreed: true,
            });
            image.places += 1;
            image.is_agreed &= image.to == to;
        }
        if rewriting.adds_pull_secrets && !review.has_sites() {
            self.add_pull_secrets(rewriting, object, namespace, &plan)?;
        }
        Ok(())
    }

    /// Adds the pull secrets that the images of an object need.
    fn add_pull_secrets(
        &mut self,
        rewriting: &Rewriting<'_>,
        object: Object<'d>,
        namespace: &str,
        plan: &Plan<'_>,
    ) -> Result<(), Problem> {
        let own = rewriting.world.namespaces.rules(namespace);
        let Some(maps) = rewriting.world.policy.maps(own) else { return Ok(()) };
        let document = self.document;
        let pointer = plan.kind.pod_spec_pointer();
        let Some(spec) = self.pointers.at(object.node, pointer) else { return Ok(()) };
        let mut names = pull_secrets::present(document, &self.pointers, spec);
        let number_of_present = names.len();
        let decisions = plan.decisions.as_deref().unwrap_or_default();
        for considered in decisions {
            let result = considered.decision.result(considered.image);
            let lines = maps.pull_secrets(&result);
            for name in lines.into_iter().flat_map(|line| line.names.iter()) {
                if !names.contains(&&**name) {
                    names.push(name);
                }
            }
        }
        let missing = &names[number_of_present..];
        if missing.is_empty() {
            return Ok(());
        }
        let unplaced = || Problem::Unplaced {
            what: format!("{pointer}/imagePullSecrets of {}", name(&self.pointers, object)),
        };
        let list = self.pointers.field(spec, "imagePullSecrets");
        if [Some(spec), list].into_iter().flatten().any(|node| self.is_shared(node)) {
            return Err(unplaced());
        }
        let addition = pull_secrets::addition(self.text, document, spec, list, missing);
        self.replacements.push(addition.ok_or_else(unplaced)?);
        let line = document.node(object.node).line;
        let names = missing.iter().map(|name| (*name).to_owned()).collect();
        self.added.push(AddedSecrets { line, names });
        if number_of_present == 0 && pointer != "/spec" {
            let problem = Problem::HidesAccountSecrets { object: name(&self.pointers, object) };
            self.notes.push(Note { line, problem });
        }
        Ok(())
    }

    /// Returns true if a node is used in more than one place.
    fn is_shared(&self, node: NodeId) -> bool {
        self.uses.as_ref().is_some_and(|uses| uses.get(&self.document.target(node)) != Some(&1))
    }

    /// Writes the images, unless their nodes are also used in other places.
    pub(super) fn finish(&mut self) {
        for (id, NewImage { from, to, places, is_agreed }) in std::mem::take(&mut self.images) {
            let node = self.document.node(id);
            let line = node.line;
            let places_of_node = self.uses.as_ref().map(|uses| uses.get(&id).copied());
            if !is_agreed || places_of_node.is_some_and(|all| all != Some(places)) {
                let image = excerpt(&from, MAX_VALUE_BYTES).into_owned();
                self.notes.push(Note { line, problem: Problem::Shared { image, result: to } });
                continue;
            }
            let Content::Scalar(scalar) = &node.content else { continue };
            match replacement(self.text, node, scalar, &to) {
                Some(replacement) => {
                    self.replacements.push(replacement);
                    self.changes.push(Change { line, from, to });
                }
                None => {
                    let what = format!("`{to}`");
                    self.notes.push(Note { line, problem: Problem::Unplaced { what } });
                }
            }
        }
    }
}

/// Returns the name of an object for people.
fn name(pointers: &Pointers<'_, '_>, object: Object<'_>) -> String {
    let text = |pointer| pointers.text(object.node, pointer);
    let name = text("/metadata/name").or_else(|| text("/metadata/generateName"));
    let shown = fmt::from_fn(|formatter| match name {
        Some(name) => write!(formatter, "{} {name}", object.kind),
        None => write!(formatter, "{} without a name", object.kind),
    });
    excerpt(&shown.to_string(), MAX_VALUE_BYTES).into_owned()
}
