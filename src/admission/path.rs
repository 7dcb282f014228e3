//! The paths at which reviews are answered.

/// A path at which reviews are answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReviewPath {
    /// `/mutate`.
    Mutate,
    /// `/`.
    Root,
}

impl ReviewPath {
    /// Reads the path of a URL; `None` if no reviews are answered there.
    ///
    /// Slashes that are doubled or at the end do not count: whoever writes `clientConfig.service.path` or the URL of a
    /// webhook may join parts that both have one.
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
