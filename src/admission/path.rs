//! The URL paths that accept reviews.

/// A URL path that accepts reviews.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReviewPath {
    /// `/mutate`.
    Mutate,
    /// `/`.
    Root,
}

impl ReviewPath {
    /// Parses the path of a URL; `None` if it does not accept reviews.
    ///
    /// Double and trailing slashes are ignored: the parts that make up `clientConfig.service.path` or the URL of a
    /// webhook may both have a slash.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        match (segments.next(), segments.next()) {
            (None, _) => Some(Self::Root),
            (Some("mutate"), None) => Some(Self::Mutate),
            _ => None,
        }
    }
}
