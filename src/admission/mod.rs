//! The admission path: the bytes of an AdmissionReview in, the bytes of the answer out.
//!
//! [`Review`] reads the request, [`plan`] decides which images change, [`Plan::fall_back`] leaves those alone that their
//! new registry does not have, [`Plan::settle`] makes the answer, and [`Answer::to_json`] writes it.
//!
//! Every object is allowed; the answer contains a patch if images change. Deliberately absent: a tree of the whole
//! document, a refusal of an object, and any request to the cluster. The module is pure: no runtime, no file, no
//! cluster, no clock. Only counters change: the hits of the rules, and those of [`Differences`].

mod annotations;
mod answer;
mod comparison;
mod creation;
mod differences;
mod edit;
mod exclusions;
mod facts;
mod image_name;
mod images;
mod json;
mod location;
mod markers;
mod path;
mod plan;
mod pod;
mod pull_secrets;
mod report;
pub mod review;
mod sites;
mod world;

pub use self::{
    annotations::{ORIGINAL_ANNOTATION, SKIP_ANNOTATION},
    answer::{Answer, PatchOperation},
    comparison::{Comparison, Difference},
    creation::Creation,
    differences::{Differences, KeptDifference},
    edit::Edit,
    facts::Facts,
    image_name::ImageName,
    images::images_of,
    json::JsonError,
    location::Location,
    path::ReviewPath,
    plan::{ImageCount, ImageDecision, Plan, plan, plan_with_decisions},
    pod::{Kind, PodLocation},
    review::{Review, ReviewError},
    sites::{BUILT_IN_SITES, MAX_SITES_BYTES, Sites},
    world::{AdmissionSettings, Mode, Reporting, Scope, Shadow, World},
};

use crate::closed_enum::closed_enum;

closed_enum! {
    /// The operation of a request on its object.
    pub enum Operation {
        /// `CONNECT`, as for exec.
        Connect => "CONNECT",
        /// `CREATE`.
        Create => "CREATE",
        /// `DELETE`.
        Delete => "DELETE",
        /// Any other operation.
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
        /// The object or its pod template has the label that turns swapping off.
        Disabled => "disabled",
        /// A mirror pod, which the kubelet would recreate again and again if it were changed.
        MirrorPod => "mirror-pod",
        /// The kind or the operation has no images, as with DELETE or a Scale.
        NoImages => "no-images",
        /// An object that is not a Pod and that a controller owns, as a Deployment owns a ReplicaSet. The controller
        /// compares the object with its own template, and would replace a changed one forever.
        Owned => "owned",
        /// At least one image would be swapped, but its namespace is in shadow mode.
        Shadow => "shadow",
        /// At least one image was swapped.
        Swapped => "swapped",
        /// No image needs to change, or the request introduces none.
        Unchanged => "unchanged",
    }
}
