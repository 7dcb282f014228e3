//! A planned change of an object.

use super::{ImageName, Location};
use crate::rules::{Reason, Rule, SwappedImage};

/// A planned change.
#[derive(Clone, Copy, Debug)]
pub enum Edit<'r> {
    /// A new image.
    Image {
        /// The location of the image in the object.
        at: Location<'r>,
        /// The name of the container, of the volume or of the site.
        name: ImageName<'r>,
        /// The image in the object.
        from: &'r str,
        /// The new image.
        to: SwappedImage<'r>,
        /// The rule that applies; `None` in LEGACY mode.
        rule: Option<&'r Rule>,
        /// The reason of the decision.
        reason: Reason,
    },
}
