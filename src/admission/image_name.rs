//! The name of a container or of an image volume in annotations and records.

use std::fmt;

/// The start of the name of an image volume. No container can have such a name.
pub(super) const VOLUMES: &str = "volumes/";

/// The name of a container or of an image volume of a pod.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ImageName<'r> {
    /// The name of a container of any kind.
    Container(&'r str),
    /// The name of an image volume.
    Volume(&'r str),
}

impl<'r> ImageName<'r> {
    /// Parses a name as it is displayed.
    pub(super) fn parse(text: &'r str) -> Self {
        text.strip_prefix(VOLUMES).map_or(Self::Container(text), Self::Volume)
    }
}

impl fmt::Display for ImageName<'_> {
    /// Writes the name of a container, or `volumes/NAME`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(name) => formatter.write_str(name),
            Self::Volume(name) => write!(formatter, "{VOLUMES}{name}"),
        }
    }
}
