//! A Kubernetes mutating admission webhook that rewrites container images by a map file.
#![doc = ""]
pub mod admission;
pub mod image;
pub mod rules;
