//! The location of an image in an object.

use std::fmt;

use super::pod::PodLocation;

/// The location of an image in an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Location<'r> {
    /// In a pod, or in a pod template.
    Pod(PodLocation),
    /// At a site of a custom resource: a JSON Pointer (RFC 6901).
    Site(&'r str),
}

impl fmt::Display for Location<'_> {
    /// Writes the JSON Pointer (RFC 6901) to the image.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(location) => location.fmt(formatter),
            Self::Site(pointer) => formatter.write_str(pointer),
        }
    }
}
