//! Advice on mistakes in a map: the rules that the author probably meant.
//!
//! Each proposed rule is checked in the same way as a rule of a map. If it has a mistake of its own, it is not
//! proposed, and the advice describes the correct form instead. The text in backquotes that contains `::` is always a
//! whole rule that can replace the mistaken line.
//!
//! This module looks at one line at a time. It does not find the mistakes; the parser and the lints do, with the help
//! of [`problem`].

mod address;
mod candidate;
mod keys;
mod lines;
mod patterns;
mod problem;
mod repair;
mod repository;
mod targets;
mod wildcard_keys;

pub(super) use self::{
    candidate::proposal,
    keys::{exact_key, joined_keys, registry_key},
    lines::{
        deprecated_separator, empty_key, misplaced_star, missing_separator, other_colon,
        several_separators, slash_comment,
    },
    patterns::{glob, glob_without_path, joined_wildcards, wildcard},
    problem::{KeyProblem, ends_before_path, glob_problem, is_near, key_problem, text_problem},
    targets::invalid_target,
};

/// A mistake and its correction, each in one sentence without a full stop.
#[derive(Debug)]
pub(super) struct Advice {
    pub(super) message: String,
    pub(super) hint: String,
}
