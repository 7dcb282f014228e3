//! The plan for a review: the images that change, before the answer is made.
//!
//! A plan contains only images. The rest of the answer follows from the edits that remain when the plan is settled.

use smallvec::SmallVec;

use super::{
    AdmissionSettings, Answer, Comparison, Edit, Kind, Mode, Operation, Outcome, PatchOperation,
    Reporting, Review, Scope, World,
    annotations::Annotations,
    answer::INLINE_EDITS,
    exclusions::Exclusions,
    images::{Image, Images, kind_of},
    pod::Pod,
    pull_secrets::PullSecretPlan,
    report::Changes,
    review::{Metadata, Request},
    sites::{TooManyImages, introduced},
};
use crate::rules::{Decision, Reason, RuleSet};

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
    /// The changes that are not made, because the registry does not have the new image.
    pub fallbacks: Vec<Edit<'r>>,
    /// Number of images for each reason, in the order of [`Reason::ALL`].
    pub images: [ImageCount; Reason::ALL.len()],
    /// The comparison of the images with a candidate map; empty if there is none.
    pub comparison: Comparison<'r>,
    /// The decision on each image, if they are kept.
    pub decisions: Option<Vec<ImageDecision<'r>>>,
    /// Names that an annotation excludes, but that no image of the object has.
    pub unknown_exclusions: Vec<String>,
    /// True if the object is left alone, because it has too many images.
    pub has_too_many_images: bool,
    /// The records that the answer makes of the changes.
    pub reporting: Reporting,
    /// The annotations of the object; `None` if it has no metadata.
    pub(super) annotations: Option<&'r Annotations<'r>>,
    /// The pull secrets that the pod may need; `None` unless the request creates a Pod and a map has pull secrets.
    pub(super) pull_secrets: Option<PullSecretPlan<'r>>,
}

/// An image with the decision on it.
#[derive(Clone, Copy, Debug)]
pub struct ImageDecision<'r> {
    /// The image.
    pub image: &'r str,
    /// The decision.
    pub decision: Decision<'r>,
}

/// The number of images with the same reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ImageCount {
    /// Images that are left alone.
    pub left_alone: u32,
    /// Images that are swapped.
    pub swapped: u32,
}

/// Plans the changes for a review.
///
/// Allocates nothing for a new object with up to four changes. An update whose containers have moved needs a table of
/// the old images.
#[must_use]
pub fn plan<'r>(review: &'r Review<'_>, world: &'r World) -> Plan<'r> {
    plan_keeping(None, review, world)
}

/// Plans the changes for a review like [`plan`], and keeps the decision on each image. There is none if the object is
/// left alone as a whole.
#[must_use]
pub fn plan_with_decisions<'r>(review: &'r Review<'_>, world: &'r World) -> Plan<'r> {
    plan_keeping(Some(Vec::new()), review, world)
}

fn plan_keeping<'r>(
    kept: Option<Vec<ImageDecision<'r>>>,
    review: &'r Review<'_>,
    world: &'r World,
) -> Plan<'r> {
    let request = review.request();
    let kind = kind_of(review);
    let operation = Operation::parse(request.operation());
    let mode = world.settings.shadow.mode(request.namespace());
    let mut plan =
        Plan { reporting: world.settings.reporting, ..Plan::empty(kind, operation, mode) };
    plan.decisions = kept;
    plan.outcome = plan.decide(review, world);
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
            fallbacks: Vec::new(),
            images: [ImageCount::default(); Reason::ALL.len()],
            comparison: Comparison::default(),
            decisions: None,
            unknown_exclusions: Vec::new(),
            has_too_many_images: false,
            reporting: Reporting::default(),
            annotations: None,
            pull_secrets: None,
        }
    }

    /// Creates the answer: the edits, the pull secrets that the pod then lacks, and the records of both. In shadow mode,
    /// only the records.
    #[must_use]
    pub fn settle(&self) -> Answer<'_> {
        let mut answer = Answer::default();
        let edits = self.edits.iter();
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
        if self.reporting != Reporting::default()
            || !self.unknown_exclusions.is_empty()
            || self.has_too_many_images
            || !self.fallbacks.is_empty()
        {
            let is_annotated = self.kind == Kind::Pod && self.mode == Mode::Enforce;
            let changes = Changes {
                mode: self.mode,
                edits: edits.as_slice(),
                pull_secrets: &added,
                fallbacks: &self.fallbacks,
                unknown_exclusions: &self.unknown_exclusions,
                has_too_many_images: self.has_too_many_images,
                annotations: self.annotations.filter(|_| is_annotated),
            };
            changes.report(self.reporting, &mut answer);
        }
        answer
    }

    fn decide(&mut self, review: &'r Review<'_>, world: &'r World) -> Outcome {
        let request = review.request();
        if !matches!(self.operation, Operation::Create | Operation::Update) {
            return Outcome::NoImages;
        }
        let Some(object) = request.object.get() else { return Outcome::NoImages };
        let Some(images) = Images::of(review, object, self.kind) else { return Outcome::NoImages };
        let metadata = object.metadata.get();
        self.annotations = metadata.map(|metadata| &metadata.annotations);
        let described = images.described_by(metadata);
        let left_alone = self.left_alone_as_a_whole(metadata, described.clone(), &world.settings);
        if let Some(outcome) = left_alone {
            return outcome;
        }
        let excluded = Exclusions::of(described.map(|metadata| &metadata.annotations));
        let own = world.namespaces.rules(request.namespace());
        match images {
            Images::Pod(pod) => {
                self.unknown_exclusions =
                    excluded.without_image(pod.images().map(|image| image.name()));
                if self.kind == Kind::Pod && self.operation == Operation::Create {
                    self.pull_secrets = PullSecretPlan::new(pod, world.policy.maps(own));
                }
                for image in pod.introduced(self.old_pod(request)) {
                    self.consider(Image::from(image), &excluded, own, world);
                }
            }
            Images::Sites(Err(TooManyImages)) => self.has_too_many_images = true,
            Images::Sites(Ok(images)) => {
                let all = images.new.iter().map(|image| Image::from(image).name);
                self.unknown_exclusions = excluded.without_image(all);
                for image in introduced(&images.new, &images.old) {
                    self.consider(Image::from(image), &excluded, own, world);
                }
            }
        }
        self.outcome_of_edits()
    }

    /// Returns the outcome for an object whose images were considered.
    pub(super) fn outcome_of_edits(&self) -> Outcome {
        match self.mode {
            _ if self.edits.is_empty() => Outcome::Unchanged,
            Mode::Enforce => Outcome::Swapped,
            Mode::Shadow => Outcome::Shadow,
        }
    }

    /// Returns the outcome for an object that is left alone as a whole, if it is.
    ///
    /// `described` are its metadata and those of its templates.
    fn left_alone_as_a_whole(
        &self,
        metadata: Option<&Metadata<'_>>,
        mut described: impl Iterator<Item = &'r Metadata<'r>>,
        settings: &AdmissionSettings,
    ) -> Option<Outcome> {
        let label = &settings.scope.disable_label;
        if described.any(|metadata| metadata.labels.contains(label)) {
            return Some(Outcome::Disabled);
        }
        let is_pod = self.kind == Kind::Pod;
        if !is_pod && metadata.is_some_and(|metadata| metadata.controller.is_present()) {
            return Some(Outcome::Owned);
        }
        let is_mirror_pod = is_pod && self.annotations.is_some_and(|it| it.is_mirror_pod);
        is_mirror_pod.then_some(Outcome::MirrorPod)
    }

    /// Returns the pod before an update.
    fn old_pod(&self, request: &'r Request<'_>) -> Option<Pod<'r, 'r>> {
        let is_update = self.operation == Operation::Update;
        let object = request.old_object.get().filter(|_| is_update)?;
        Pod::of(object, self.kind)
    }

    /// Decides on an image.
    fn consider(
        &mut self,
        image: Image<'r>,
        excluded: &Exclusions<'_>,
        own: Option<&'r RuleSet>,
        world: &'r World,
    ) {
        let reason = reason_to_leave(&image, &world.settings.scope, excluded);
        let decision = match reason {
            Some(reason) => Decision { reason, rule: None, swapped: None },
            None => world.policy.decide_with(own, image.text),
        };
        if let Some(candidate) = world.candidate.as_ref().as_ref().filter(|_| reason.is_none()) {
            self.comparison.add(image.location, image.text, &decision, own, candidate);
        }
        if let Some(decisions) = &mut self.decisions {
            decisions.push(ImageDecision { image: image.text, decision });
        }
        self.add(image, decision);
    }

    /// Adds the decision on an image.
    fn add(&mut self, image: Image<'r>, decision: Decision<'r>) {
        if let Some(rule) = decision.rule {
            rule.count_hit();
        }
        let count = &mut self.images[decision.reason as usize];
        if let Some(to) = decision.swapped {
            count.swapped += 1;
            let Image { location: at, name, text: from, .. } = image;
            let Decision { reason, rule, .. } = decision;
            self.edits.push(Edit::Image { at, name, from, to, rule, reason });
        } else {
            count.left_alone += 1;
        }
    }
}

/// Returns the reason to leave an image alone before the map is asked, if there is one.
fn reason_to_leave(image: &Image<'_>, scope: &Scope, excluded: &Exclusions<'_>) -> Option<Reason> {
    if excluded.contains(&image.name) {
        Some(Reason::Excluded)
    } else if image.is_never_pulled && !scope.swaps_never_pulled {
        Some(Reason::NeverPulled)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
