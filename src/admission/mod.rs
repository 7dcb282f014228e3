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
mod path;
mod plan;
mod pod;
pub mod review;
mod world;

pub use self::{
    answer::{Answer, PatchOperation},
    json::JsonError,
    path::ReviewPath,
    plan::{Edit, Facts, Plan, plan},
    pod::{Kind, Location},
    review::{Review, ReviewError},
    world::{Mode, Scope, World},
};

use crate::closed_enum::closed_enum;

closed_enum! {
    /// What the operation does to the object.
    pub enum Operation {
        /// `CONNECT`, as for exec.
        Connect => "CONNECT",
        /// `CREATE`.
        Create => "CREATE",
        /// `DELETE`.
        Delete => "DELETE",
        /// None of the others.
        Other => "other",
        /// `UPDATE`, subresources included.
        Update => "UPDATE",
    }
}

impl Operation {
    fn parse(name: &str) -> Self {
        Self::ALL.into_iter().find(|operation| operation.as_str() == name).unwrap_or(Self::Other)
    }
}

closed_enum! {
    /// The outcome of a review.
    pub enum Outcome {
        /// The label that turns swapping off is on the object or its pod template.
        Disabled => "disabled",
        /// A mirror pod, which the kubelet would fight over.
        MirrorPod => "mirror-pod",
        /// The kind or the operation has no images, as with DELETE or a Scale.
        NoImages => "no-images",
        /// Not a Pod, and another object controls it, as a Deployment does a ReplicaSet. The controller compares it
        /// with its own template, and would make another one without end.
        Owned => "owned",
        /// At least one image was swapped.
        Swapped => "swapped",
        /// The images are as they should be, or the request introduces none.
        Unchanged => "unchanged",
    }
}
