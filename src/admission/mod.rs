//! The admission path: the bytes of an AdmissionReview in, the bytes of the answer out.
//!
//! A review is read, [`plan`] says which images change, [`Plan::settle`] makes the answer of what is left of that once
//! more is known, and [`Answer::to_json`] writes it.
//!
//! Every object is allowed; the answer carries a patch when images change. What is deliberately
//! absent: a tree of the whole document, a refusal of an object, and any look at the cluster. The
//! module is pure: no runtime, no file, no cluster, no clock.

mod answer;
mod json;
mod lenient;
mod plan;
mod pod;
pub mod review;
mod world;

pub use self::{
    answer::{Answer, PatchOperation},
    json::JsonError,
    plan::{Edit, Facts, Mode, Plan, plan},
    pod::{Kind, Location},
    review::{Review, ReviewError},
    world::{Scope, World},
};

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
