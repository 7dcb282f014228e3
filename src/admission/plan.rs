//! The plan for a review: the images that change, before the answer is made.
//!
//! A plan contains only images. The rest of the answer follows from the edits that remain when the plan is settled.

use std::collections::HashSet;

use smallvec::SmallVec;

use super::{
    Answer, Kind, Location, Mode, Operation, Outcome, PatchOperation, Review, World,
    answer::INLINE_EDITS,
    pod::Pod,
    review::{Metadata, Request},
};
use crate::rules::{Reason, Rule, SwappedImage};

/// A planned change.
#[derive(Clone, Copy, Debug)]
pub enum Edit<'r> {
    /// A new image.
    Image {
        /// The location of the image in the object.
        at: Location,
        /// The image in the object.
        from: &'r str,
        /// The new image.
        to: SwappedImage<'r>,
        /// The rule that applies; `None` in LEGACY mode.
        rule: Option<&'r Rule>,
    },
}

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
    let mut plan = Plan {
        kind: Kind::parse(request.kind()),
        operation: Operation::parse(request.operation()),
        outcome: Outcome::NoImages,
        mode: world.mode,
        edits: SmallVec::new(),
        images: [ImageCount::default(); Reason::ALL.len()],
    };
    plan.outcome = plan.decide(request, world);
    plan
}

impl<'r> Plan<'r> {
    /// Creates the answer: the edits whose targets are not known to be absent, and none in shadow mode.
    #[must_use]
    pub fn settle(&self, facts: &Facts) -> Answer<'_> {
        let mut answer = Answer::default();
        if self.mode == Mode::Shadow {
            return answer;
        }
        for Edit::Image { at, to, .. } in &self.edits {
            if !facts.is_absent(to) {
                answer.patch.push(PatchOperation::Replace { path: *at, image: *to });
            }
        }
        answer
    }

    fn decide(&mut self, request: &'r Request<'_>, world: &'r World) -> Outcome {
        let World { policy, scope, .. } = world;
        if !matches!(self.operation, Operation::Create | Operation::Update) {
            return Outcome::NoImages;
        }
        let Some(object) = request.object.get() else { return Outcome::NoImages };
        let Some(pod) = Pod::of(object, self.kind) else { return Outcome::NoImages };
        let is_disabled = |metadata: &Metadata| metadata.labels.contains(&scope.disable_label);
        let metadata = object.metadata.get();
        let labelled = [metadata, pod.template_metadata, pod.job_metadata];
        if labelled.into_iter().flatten().any(is_disabled) {
            return Outcome::Disabled;
        }
        if self.kind != Kind::Pod
            && metadata.is_some_and(|metadata| metadata.controller.is_present())
        {
            return Outcome::Owned;
        }
        if self.kind == Kind::Pod
            && metadata.is_some_and(|metadata| metadata.annotations.is_present())
        {
            return Outcome::MirrorPod;
        }
        let old = match self.operation {
            Operation::Update => {
                request.old_object.get().and_then(|object| Pod::of(object, self.kind))
            }
            _ => None,
        };
        for image in pod.introduced(old) {
            if image.is_never_pulled && !scope.swaps_never_pulled {
                self.images[Reason::NeverPulled as usize].left_alone += 1;
                continue;
            }
            let decision = policy.decide(image.text);
            let count = &mut self.images[decision.reason as usize];
            if let Some(to) = decision.swapped {
                count.swapped += 1;
                let rule = decision.rule;
                self.edits.push(Edit::Image { at: image.location, from: image.text, to, rule });
            } else {
                count.left_alone += 1;
            }
        }
        if self.edits.is_empty() { Outcome::Unchanged } else { Outcome::Swapped }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Scope, *};
    use crate::rules::{LoadedMap, Policy};

    const REVIEW: &str = r#"{"request":{"uid":"1","kind":{"kind":"Pod"},"operation":"CREATE","object":
        {"spec":{"containers":[{"name":"a","image":"nginx:1"},{"name":"b","image":"redis:7"}]}}}}"#;

    fn world(mode: Mode) -> World {
        let map = LoadedMap::from_text("default::d.io").unwrap();
        World { mode, ..World::new(Policy::Maps(Box::new(map.rules)), Scope::default()) }
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
        let world = world(Mode::Enforce);
        let plan = plan(&review, &world);
        assert_eq!(images(&plan.settle(&Facts::default())), ["d.io/nginx:1", "d.io/redis:7"]);
        let facts = Facts::with_absent(["d.io/nginx:1".to_owned(), "d.io/other".to_owned()]);
        assert_eq!(images(&plan.settle(&facts)), ["d.io/redis:7"]);
    }

    #[test]
    fn shadow_mode_decides_and_changes_nothing() {
        let review = Review::from_slice(REVIEW.as_bytes()).unwrap();
        let world = world(Mode::Shadow);
        let plan = plan(&review, &world);
        assert_eq!((plan.outcome, plan.edits.len()), (Outcome::Swapped, 2));
        assert_eq!(plan.images[Reason::Default as usize], ImageCount { left_alone: 0, swapped: 2 });
        assert!(plan.settle(&Facts::default()).patch.is_empty());
    }

    #[test]
    fn an_edit_names_the_line_of_its_rule() {
        let review = Review::from_slice(REVIEW.as_bytes()).unwrap();
        let world = world(Mode::Enforce);
        let Edit::Image { from, rule, .. } = plan(&review, &world).edits[1];
        assert_eq!((from, rule.map(|rule| rule.line)), ("redis:7", Some(1)));
    }
}
