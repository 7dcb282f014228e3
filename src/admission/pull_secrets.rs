//! The pull secrets that a created pod needs for its images.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use serde_json::json;

use super::{Edit, Location, answer::PatchOperation, json::List, pod::Pod, review::LocalReference};
use crate::rules::{Maps, PullSecret};

/// The field of a pod with its pull secrets.
const FIELD: &str = "/spec/imagePullSecrets";

/// A created pod, and the maps that decide which pull secrets it needs.
///
/// Kubernetes permits no other pull secrets after the creation of a pod. In the template of a workload, they would keep
/// the admission plugin of service accounts from adding those of the service account, which it does only to an empty list.
#[derive(Clone, Copy, Debug)]
pub(super) struct PullSecretPlan<'r> {
    pod: Pod<'r, 'r>,
    present: &'r List<LocalReference<'r>>,
    maps: Maps<'r>,
}

/// A pull secret that a pod lacks.
#[derive(Clone, Copy, Debug)]
pub(super) struct AddedSecret<'r> {
    /// The name of the Secret.
    pub(super) name: &'r str,
    /// The line of the map that names it.
    pub(super) line: &'r PullSecret,
}

impl<'r> PullSecretPlan<'r> {
    /// Creates the plan for a pod; `None` if no map has pull secrets.
    pub(super) fn new(pod: Pod<'r, 'r>, maps: Option<Maps<'r>>) -> Option<Self> {
        let maps = maps.filter(|maps| maps.have_pull_secrets())?;
        Some(Self { pod, present: pod.pull_secrets?, maps })
    }

    /// Returns the pull secrets that the pod lacks for its images after these changes, each once.
    pub(super) fn missing<'p>(
        &self,
        edits: impl Iterator<Item = &'p Edit<'r>> + Clone,
    ) -> Vec<AddedSecret<'r>>
    where
        'r: 'p,
    {
        let mut missing = Vec::new();
        let present = self.present.iter().filter_map(|(_, reference)| reference.name.get());
        let mut names: HashSet<&str, RandomState> = present.collect();
        // Each line counts once, however many images are under its prefix.
        let mut lines: HashSet<*const PullSecret, RandomState> = HashSet::default();
        // The changes are in the order of the images.
        let mut edits = edits.peekable();
        for image in self.pod.images() {
            let change =
                edits.next_if(|Edit::Image { at, .. }| *at == Location::Pod(image.location));
            let new = change.map(|Edit::Image { to, .. }| to.to_string());
            let found = self.maps.pull_secrets(new.as_deref().unwrap_or(image.text));
            for line in found.into_iter().filter(|line| lines.insert(std::ptr::from_ref(*line))) {
                let new = line.names.iter().map(|name| &**name).filter(|name| names.insert(name));
                missing.extend(new.map(|name| AddedSecret { name, line }));
            }
        }
        missing
    }

    /// Returns the operations that add pull secrets to those that the pod has.
    pub(super) fn operations<'p>(&self, missing: &[AddedSecret<'r>]) -> Vec<PatchOperation<'p>> {
        let references = missing.iter().map(|secret| json!({ "name": secret.name }));
        if missing.is_empty() {
            Vec::new()
        } else if self.present.is_empty() {
            let value = references.collect();
            vec![PatchOperation::Add { path: FIELD.to_owned(), value }]
        } else {
            let path = format!("{FIELD}/-");
            references.map(|value| PatchOperation::Add { path: path.clone(), value }).collect()
        }
    }
}
