//! The comparison of the map in use with a candidate map.

use super::Location;
use crate::rules::{Decision, Maps, Reason, Rule, RuleSet, SwappedImage};

/// The images of an object that the map in use and the candidate map decide alike, and those that they do not.
#[derive(Debug, Default)]
pub struct Comparison<'r> {
    /// Number of images that would be the same.
    pub same: u32,
    /// The images that would differ.
    pub differences: Vec<Difference<'r>>,
}

/// An image that would be another one with the candidate map.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'r> {
    /// The location of the image in the object.
    pub at: Location<'r>,
    /// The image in the object.
    pub from: &'r str,
    /// The new image by the map in use; `None` if it is left alone.
    pub to: Option<SwappedImage<'r>>,
    /// The new image by the candidate map; `None` if it is left alone.
    pub candidate: Option<SwappedImage<'r>>,
    /// The rule of the candidate map that applies, if any.
    pub rule: Option<&'r Rule>,
}

impl<'r> Comparison<'r> {
    /// Compares `decision` on an image with the one of the candidate map. The map of the namespace decides first in
    /// both.
    pub(super) fn add(
        &mut self,
        at: Location<'r>,
        image: &'r str,
        decision: &Decision<'r>,
        namespace: Option<&'r RuleSet>,
        candidate: &'r RuleSet,
    ) {
        // An image that the map in use has rewritten before, as when another webhook asks for a second call.
        if decision.reason == Reason::AlreadySwapped {
            return;
        }
        let other = Maps::new(namespace, candidate).decide(image);
        let is_left_alone = decision.swapped.is_none() && other.swapped.is_none();
        if is_left_alone || decision.result(image) == other.result(image) {
            self.same += 1;
            return;
        }
        self.differences.push(Difference {
            at,
            from: image,
            to: decision.swapped,
            candidate: other.swapped,
            rule: other.rule,
        });
    }
}
