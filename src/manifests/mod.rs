//! Kubernetes manifests as text: finds the images in them, and replaces just these characters.
//!
//! A manifest is YAML or JSON, with one or more documents. Each object in it is decided on as a review of its creation
//! would be ([`crate::admission`]), so labels, annotations, owners, pull policies and sites count as in the cluster. The
//! text stays as it is elsewhere: comments, order, quotes and indentation.
//!
//! Deliberately absent: a YAML writer, and the rendering of templates. The module is pure: no file, no cluster, no clock.

mod document;
mod documents;
mod error;
mod function;
mod json;
mod object;
mod origin;
mod pass;
mod pointer;
mod problem;
mod pull_secrets;
mod read;
mod replacement;
mod rewrite;
mod rewritten;
mod scalar;

pub use self::{
    error::SyntaxError,
    function::{FunctionInput, function_input},
    problem::{Note, Problem},
    read::{Manifest, for_each_manifest},
    rewritten::{AddedSecrets, Change, Rewriting, Rewritten},
};
