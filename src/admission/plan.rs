//! The plan for a review: the images that change, before the answer is made.
//!
//! A plan contains only images. The rest of the answer follows from the edits that remain when the plan is settled.

use std::collections::HashSet;

use smallvec::SmallVec;

use super::{
    Answer, Edit, Kind, Mode, Operation, Outcome, PatchOperation, Reporting, Review, Scope, World,
    annotations::Annotations,
    answer::INLINE_EDITS,
    exclusions::Exclusions,
    pod::{Image, Pod},
    pull_secrets::PullSecretPlan,
    report::Changes,
    review::{Metadata, Request},
};
use crate::rules::{Decision, Reason, SwappedImage};

/// The plan for a review.
#[derive(Debug)]
pub struct Plan<'r> {
    /// The kind of the object.
    pub kind: Kind,
    /// The operation.
    pub operation: Operation,
    /// The outcome.
    pub outcome: Outcome,
    /// The consequences of the decisions.
    pub mode: Mode,
    /// The changes.
    pub edits: SmallVec<[Edit<'r>; INLINE_EDITS]>,
    /// Number of images for each reason, in the order of [`Reason::ALL`].
    pub images: [ImageCount; Reason::ALL.len()],
    /// Containers that an annotation excludes, but that the pod does not have.
    pub unknown_exclusions: Vec<String>,
    /// The records that the answer makes of the changes.
    pub reporting: Reporting,
    /// The annotations of the object; `None` if it has no metadata.
    pub(super) annotations: Option<&'r Annotations<'r>>,
    /// The pull secrets that the pod may need; `None` unless the request creates a Pod and a map has pull secrets.
    pub(super) pull_secrets: Option<PullSecretPlan<'r>>,
}

/// The number of images with the same reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ImageCount {
    /// Images that are left alone.
    pub left_alone: u32,
    /// Images that are swapped.
    pub swapped: u32,
}

/// The known facts about the targets of a plan.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    absent: HashSet<String>,
}

impl Facts {
    /// Records images that their registry does not have.
    #[must_use]
    pub fn with_absent(images: impl IntoIterator<Item = String>) -> Self {
        Self { absent: images.into_iter().collect() }
    }

    /// Returns true if the registry is known not to have the image. An image without facts counts as present.
    fn is_absent(&self, image: &SwappedImage<'_>) -> bool {
        !self.absent.is_empty() && self.absent.contains(&image.to_string())
    }
}

/// Plans the changes for a review.
///
/// Allocates nothing for a new object with up to four changes. An update whose containers have moved needs a table of
/// the old images.
#[must_use]
pub fn plan<'r>(review: &'r Review<'_>, world: &'r World) -> Plan<'r> {
    let request = review.request();
    let (kind, operation) = (Kind::parse(request.kind()), Operation::parse(request.operation()));
    let mode = world.settings.shadow.mode(request.namespace());
    let mut plan =
        Plan { reporting: world.settings.reporting, ..Plan::empty(kind, operation, mode) };
    plan.outcome = plan.decide(request, world);
    plan
}

impl<'r> Plan<'r> {
    /// Creates a plan without images.
    pub(crate) fn empty(kind: Kind, operation: Operation, mode: Mode) -> Self {
        Self {
            kind,
            operation,
            outcome: Outcome::NoImages,
            mode,
            edits: SmallVec::new(),
            images: [ImageCount::default(); Reason::ALL.len()],
            unknown_exclusions: Vec::new(),
            reporting: Reporting::default(),
            annotations: None,
            pull_secrets: None,
        }
    }

    /// Creates the answer: the edits whose targets are not known to be absent, the pull secrets that the pod then lacks, and
    /// the records of both. In shadow mode, only the records.
    #[must_use]
    pub fn settle(&self, facts: &Facts) -> Answer<'_> {
        let mut answer = Answer::default();
        let edits = self.edits.iter().filter(|Edit::Image { to, .. }| !facts.is_absent(to));
        if self.mode == Mode::Enforce {
            let operation = |Edit::Image { at, to, .. }: &Edit<'r>| PatchOperation::Replace {
                path: *at,
                image: *to,
            };
            answer.patch.extend(edits.clone().map(operation));
        }
        let mut added = Vec::new();
        if let Some(pull_secrets) = &self.pull_secrets {
            added = pull_secrets.missing(edits.clone());
            if self.mode == Mode::Enforce {
                answer.patch.extend(pull_secrets.operations(&added));
            }
        }
        if self.reporting != Reporting::default() || !self.unknown_exclusions.is_empty() {
            let is_annotated = self.kind == Kind::Pod && self.mode == Mode::Enforce;
            let changes = Changes {
                mode: self.mode,
                edits: edits.collect(),
                pull_secrets: &added,
                unknown_exclusions: &self.unknown_exclusions,
                annotations: self.annotations.filter(|_| is_annotated),
            };
            changes.report(self.reporting, &mut answer);
        }
        answer
    }

    fn decide(&mut self, request: &'r Request<'_>, world: &'r World) -> Outcome {
        let scope = &world.settings.scope;
        if !matches!(self.operation, Operation::Create | Operation::Update) {
            return Outcome::NoImages;
        }
        let Some(object) = request.object.get() else { return Outcome::NoImages };
        let Some(pod) = Pod::of(object, self.kind) else { return Outcome::NoImages };
        let metadata = object.metadata.get();
        self.annotations = metadata.map(|metadata| &metadata.annotations);
        let described = [metadata, pod.template_metadata, pod.job_metadata];
        let described = described.into_iter().flatten();
        let is_disabled = |metadata: &Metadata<'_>| metadata.labels.contains(&scope.disable_label);
        if described.clone().any(is_disabled) {
            return Outcome::Disabled;
        }
        if self.kind != Kind::Pod
            && metadata.is_some_and(|metadata| metadata.controller.is_present())
        {
            return Outcome::Owned;
        }
        if self.kind == Kind::Pod && self.annotations.is_some_and(|it| it.is_mirror_pod) {
            return Outcome::MirrorPod;
        }
        let old = match self.operation {
            Operation::Update => {
                request.old_object.get().and_then(|object| Pod::of(object, self.kind))
            }
            _ => None,
        };
        let excluded = Exclusions::of(described.map(|metadata| &metadata.annotations));
        self.unknown_exclusions = excluded.without_container(pod);
        let own = world.namespaces.rules(request.namespace());
        if self.kind == Kind::Pod && self.operation == Operation::Create {
            self.pull_secrets = PullSecretPlan::new(pod, world.policy.maps(own));
        }
        for image in pod.introduced(old) {
            match reason_to_leave(&image, scope, &excluded) {
                Some(reason) => self.images[reason as usize].left_alone += 1,
                None => self.add(&image, world.policy.decide_with(own, image.text)),
            }
        }
        match self.mode {
            _ if self.edits.is_empty() => Outcome::Unchanged,
            Mode::Enforce => Outcome::Swapped,
            Mode::Shadow => Outcome::Shadow,
        }
    }

    /// Adds the decision on an image.
    fn add(&mut self, image: &Image<'r>, decision: Decision<'r>) {
        let count = &mut self.images[decision.reason as usize];
        if let Some(to) = decision.swapped {
            count.swapped += 1;
            let Image { location: at, text: from, .. } = *image;
            self.edits.push(Edit::Image { at, name: image.name(), from, to, rule: decision.rule });
        } else {
            count.left_alone += 1;
        }
    }
}

/// Returns the reason to leave an image alone before the map is asked, if there is one.
fn reason_to_leave(image: &Image<'_>, scope: &Scope, excluded: &Exclusions<'_>) -> Option<Reason> {
    if excluded.contains(&image.name()) {
        Some(Reason::Excluded)
    } else if image.is_never_pulled && !scope.swaps_never_pulled {
        Some(Reason::NeverPulled)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{AdmissionSettings, Shadow},
        *,
    };
    use crate::rules::{LoadedMap, Policy};

    const REVIEW: &str = r#"{"request":{"uid":"1","kind":{"kind":"Pod"},"operation":"CREATE","object":
        {"spec":{"containers":[{"name":"a","image":"nginx:1"},{"name":"b","image":"redis:7"}]}}}}"#;

    fn world(shadow: Shadow) -> World {
        let map = LoadedMap::from_text("default::d.io").unwrap();
        let settings = AdmissionSettings { shadow, ..AdmissionSettings::default() };
        World::new(Policy::Maps(Box::new(map.rules)), settings)
    }

    fn images(answer: &Answer<'_>) -> Vec<String> {
        let image = |operation: &PatchOperation<'_>| match operation {
            PatchOperation::Replace { image, .. } => image.to_string(),
            PatchOperation::Add { path, .. } => path.clone(),
        };
        answer.patch.iter().map(image).collect()
    }

    #[test]
    fn an_image_that_the_registry_does_not_have_is_not_swapped() {
        let review = Review::from_slice(REVIEW.as_bytes()).unwrap();
        let world = world(Shadow::Nowhere);
        let plan = plan(&review, &world);
        assert_eq!(images(&plan.settle(&Facts::default())), ["d.io/nginx:1", "d.io/redis:7"]);
        let facts = Facts::with_absent(["d.io/nginx:1".to_owned(), "d.io/other".to_owned()]);
        assert_eq!(images(&plan.settle(&facts)), ["d.io/redis:7"]);
    }

    #[test]
    fn shadow_mode_decides_and_changes_nothing() {
        let review = Review::from_slice(REVIEW.as_bytes()).unwrap();
        let world = world(Shadow::Everywhere);
        let plan = plan(&review, &world);
        assert_eq!((plan.outcome, plan.edits.len()), (Outcome::Shadow, 2));
        assert_eq!(plan.images[Reason::Default as usize], ImageCount { left_alone: 0, swapped: 2 });
        assert!(plan.settle(&Facts::default()).patch.is_empty());
    }

    #[test]
    fn an_edit_names_the_line_of_its_rule() {
        let review = Review::from_slice(REVIEW.as_bytes()).unwrap();
        let world = world(Shadow::Nowhere);
        let Edit::Image { from, rule, .. } = plan(&review, &world).edits[1];
        assert_eq!((from, rule.map(|rule| rule.line)), ("redis:7", Some(1)));
    }
}
