//! The name of a container, of an image volume or of a site, in annotations and records.

use std::fmt;

/// The start of the name of an image volume. No container can have such a name.
pub(super) const VOLUMES: &str = "volumes/";

/// The name of an image in an object.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ImageName<'r> {
    /// The name of a container of any kind.
    Container(&'r str),
    /// The JSON Pointer to an image of a custom resource. No container can have such a name.
    Site(&'r str),
    /// The name of an image volume.
    Volume(&'r str),
}

impl<'r> ImageName<'r> {
    /// Parses a name as it is displayed.
    pub(super) fn parse(text: &'r str) -> Self {
        match text.strip_prefix(VOLUMES) {
            Some(name) => Self::Volume(name),
            None if text.starts_with('/') => Self::Site(text),
            None => Self::Container(text),
        }
    }
}

impl fmt::Display for ImageName<'_> {
    /// Writes the name of a container, `volumes/NAME`, or a JSON Pointer.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(name) | Self::Site(name) => formatter.write_str(name),
            Self::Volume(name) => write!(formatter, "{VOLUMES}{name}"),
        }
    }
}
