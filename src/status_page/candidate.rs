//! The candidate map, with its differences from the map in use.

use serde::Serialize;

use super::shown::Shown;
use crate::admission::{KeptDifference, World};

/// The candidate map.
#[derive(Debug, Serialize)]
pub(super) struct Candidate {
    /// Number of its rules.
    pub(super) rules: usize,
    /// The distinct differences in the order of their first occurrence.
    pub(super) differences: Vec<DifferenceRow>,
    /// Number of images with differences that are not shown.
    pub(super) others: u64,
}

/// A difference from the map in use.
#[derive(Debug, Serialize)]
pub(super) struct DifferenceRow {
    pub(super) image: Shown,
    pub(super) in_use: Shown,
    pub(super) candidate: Shown,
    pub(super) rule: Option<Shown>,
    pub(super) images: u64,
}

impl Candidate {
    /// Returns the candidate map; `None` if there is none.
    pub(super) fn of(world: &World) -> Option<Self> {
        let map = world.candidate.as_ref().as_ref()?;
        Some(Self {
            rules: map.rules().len(),
            differences: world.differences.kept().map(DifferenceRow::new).collect(),
            others: world.differences.others(),
        })
    }
}

impl DifferenceRow {
    fn new(difference: &KeptDifference) -> Self {
        Self {
            image: Shown::new(&difference.from),
            in_use: Shown::new(&difference.to),
            candidate: Shown::new(&difference.candidate),
            rule: difference.rule.as_deref().map(Shown::new),
            images: difference.count(),
        }
    }
}
