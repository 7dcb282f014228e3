//! The admission path: the bytes of an AdmissionReview in, the bytes of the answer out.
//!
//! Every object is allowed; the answer carries a patch when images change. What is deliberately
//! absent: a tree of the whole document, a refusal of an object, and any look at the cluster. The
//! module is pure: no runtime, no file, no cluster, no clock.

mod json;
mod lenient;
mod pod;
mod response;
pub mod review;

use smallvec::SmallVec;

pub use self::{
    json::JsonError,
    pod::{Kind, Location},
    review::{Review, ReviewError},
};
use self::{
    pod::Pod,
    review::{Metadata, Request},
};
use crate::rules::{Policy, Reason, SwappedImage};

/// What the operation does to the object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// `CONNECT`, as for exec.
    Connect,
    /// `CREATE`.
    Create,
    /// `DELETE`.
    Delete,
    /// None of the others.
    Other,
    /// `UPDATE`, subresources included.
    Update,
}

impl Operation {
    /// All operations, in the order of their discriminants.
    pub const ALL: [Self; 5] =
        [Self::Connect, Self::Create, Self::Delete, Self::Other, Self::Update];

    /// The name as in a request; `other` for [`Operation::Other`].
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Create => "CREATE",
            Self::Delete => "DELETE",
            Self::Other => "other",
            Self::Update => "UPDATE",
        }
    }

    fn parse(name: &str) -> Self {
        Self::ALL.into_iter().find(|operation| operation.as_str() == name).unwrap_or(Self::Other)
    }
}

/// What came of a review.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The label that turns swapping off is on the object or its pod template.
    Disabled,
    /// A mirror pod, which the kubelet would fight over.
    MirrorPod,
    /// The kind or the operation has no images, as with DELETE or a Scale.
    NoImages,
    /// Not a Pod, and another object controls it, as a Deployment does a ReplicaSet. The controller compares it
    /// with its own template, and would make another one without end.
    Owned,
    /// At least one image was swapped.
    Swapped,
    /// The images are as they should be, or the request introduces none.
    Unchanged,
}

impl Outcome {
    /// All outcomes, in the order of their discriminants.
    pub const ALL: [Self; 6] = [
        Self::Disabled,
        Self::MirrorPod,
        Self::NoImages,
        Self::Owned,
        Self::Swapped,
        Self::Unchanged,
    ];

    /// The kebab-case name, as in metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::MirrorPod => "mirror-pod",
            Self::NoImages => "no-images",
            Self::Owned => "owned",
            Self::Swapped => "swapped",
            Self::Unchanged => "unchanged",
        }
    }
}

/// The settings that decide which images of an object are swapped, besides the map.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scope {
    /// The name of the label that turns swapping off when its value is `disabled`.
    pub disable_label: Box<str>,
    /// Swaps images that the node never pulls too.
    pub swaps_never_pulled: bool,
}

impl Scope {
    /// The disable label unless another one is set, as in the original.
    pub const DISABLE_LABEL: &str = "k8s.twr.io/imageswap";
}

impl Default for Scope {
    fn default() -> Self {
        Self { disable_label: Self::DISABLE_LABEL.into(), swaps_never_pulled: false }
    }
}

/// One image that changes.
#[derive(Clone, Copy, Debug)]
pub struct Change<'r> {
    /// Where it is.
    pub location: Location,
    /// What it was.
    pub image: &'r str,
    /// What it becomes.
    pub swapped: SwappedImage<'r>,
}

/// What is to be done about a review.
#[derive(Debug)]
pub struct Verdict<'r> {
    /// The kind of the object.
    pub kind: Kind,
    /// The operation.
    pub operation: Operation,
    /// What came of it.
    pub outcome: Outcome,
    /// The images that change.
    pub changes: SmallVec<[Change<'r>; 4]>,
    /// How many images were decided for each reason, in the order of [`Reason::ALL`].
    pub reasons: [u32; Reason::ALL.len()],
}

impl<'r> Verdict<'r> {
    /// Decides what is to be done about a review.
    #[must_use]
    pub fn of(review: &'r Review<'_>, policy: &'r Policy, scope: &Scope) -> Self {
        let request = review.request();
        let mut verdict = Self {
            kind: Kind::parse(request.kind()),
            operation: Operation::parse(request.operation()),
            outcome: Outcome::NoImages,
            changes: SmallVec::new(),
            reasons: [0; Reason::ALL.len()],
        };
        verdict.outcome = verdict.decide(request, policy, scope);
        verdict
    }

    /// The bytes of the answer.
    #[must_use]
    pub fn response(&self, review: &Review<'_>) -> String {
        response::write(review, &self.changes)
    }

    fn decide(&mut self, request: &'r Request<'_>, policy: &'r Policy, scope: &Scope) -> Outcome {
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
                self.reasons[Reason::NeverPulled as usize] += 1;
                continue;
            }
            let decision = policy.decide(image.text);
            self.reasons[decision.reason as usize] += 1;
            if let Some(swapped) = decision.swapped {
                self.changes.push(Change { location: image.location, image: image.text, swapped });
            }
        }
        if self.changes.is_empty() { Outcome::Unchanged } else { Outcome::Swapped }
    }
}
