//! Pull secrets: the Secrets that a pod needs to pull its images from a registry (section 9 of the swap rules).
//!
//! They decide nothing about images, so they are not rules of a rule set.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use foldhash::fast::RandomState;

use super::target::{Scope, Target};
use crate::image::{DOCKER_HUB, ImageReference, canonical_registry, is_valid_reference};

/// Maximum length of the name of a Secret in bytes: that of a DNS subdomain (RFC 1123), as in Kubernetes.
const MAX_NAME_BYTES: usize = 253;

/// A line `[PULLSECRET]PREFIX::SECRET,SECRET`: a pod with an image under the prefix gets these pull secrets.
#[derive(Clone, Debug)]
pub struct PullSecret {
    /// The images that need the Secrets: those under this target.
    pub prefix: Target,
    /// The names of the Secrets in the namespace of the pod, each once.
    pub names: Arc<[Box<str>]>,
    /// Number of the line in the map file, from 1.
    pub line: u32,
    /// Name of the map file.
    pub file: Arc<str>,
}

impl PullSecret {
    /// The start of the line.
    pub const KEY: &str = "[PULLSECRET]";

    /// Returns the location of the line, as `FILE:LINE`.
    #[must_use]
    pub fn location(&self) -> impl fmt::Display {
        fmt::from_fn(|formatter| write!(formatter, "{}:{}", self.file, self.line))
    }
}

impl fmt::Display for PullSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}::{}", Self::KEY, self.prefix, self.names.join(","))
    }
}

/// The reason why a `[PULLSECRET]` line is invalid.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum PullSecretError {
    #[error("a name of a Secret is empty")]
    EmptyName,
    #[error("`{0}` is not a valid prefix of an image")]
    InvalidPrefix(String),
    #[error("`{0}` is not a valid name of a Secret")]
    InvalidName(String),
}

impl PullSecretError {
    /// Returns advice on the line.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::EmptyName => {
                "write the names with commas between them, as in \
                 `[PULLSECRET]registry.example.com::registry-credentials`"
            }
            Self::InvalidPrefix(_) => {
                "write a registry, with or without a path, as in \
                 `[PULLSECRET]registry.example.com/team::registry-credentials`"
            }
            Self::InvalidName(_) => {
                "write the name of the Secret alone, in lower case; it is in the namespace of the pod"
            }
        }
    }
}

/// Returns the prefix of a line.
///
/// # Errors
/// If no image can start with it.
pub(super) fn parse_prefix(text: &str) -> Result<Target, PullSecretError> {
    let prefix = Target::new(text);
    let separator = if prefix.is_prefix() { "" } else { "/" };
    let sample = format!("{}{separator}a/a:a", prefix.base());
    if prefix.is_empty() || prefix.template().is_some() || !is_valid_reference(&sample) {
        return Err(PullSecretError::InvalidPrefix(text.to_owned()));
    }
    Ok(prefix)
}

/// Returns the names of a line, each once.
///
/// # Errors
/// If a name is not one of a Secret. The API server would refuse a pod with such a pull secret.
pub(super) fn parse_names(text: &str) -> Result<Arc<[Box<str>]>, PullSecretError> {
    let mut names: Vec<Box<str>> = Vec::new();
    let mut known = HashSet::<_, RandomState>::default();
    for name in text.split(',') {
        if name.is_empty() {
            return Err(PullSecretError::EmptyName);
        }
        if !is_secret_name(name) {
            return Err(PullSecretError::InvalidName(name.to_owned()));
        }
        if known.insert(name) {
            names.push(name.into());
        }
    }
    Ok(names.into())
}

/// Returns true if a text is a DNS subdomain (RFC 1123), as the names of Secrets are.
fn is_secret_name(name: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        ends.into_iter().all(|end| end.is_some_and(|&byte| is_alphanumeric(byte)))
            && bytes.iter().all(|&byte| is_alphanumeric(byte) || byte == b'-')
    };
    name.len() <= MAX_NAME_BYTES && name.split('.').all(is_label)
}

/// The pull secrets of a map. The cost of a lookup does not grow with their number.
#[derive(Clone, Debug, Default)]
pub struct PullSecrets {
    lines: Vec<PullSecret>,
    /// The lines by the text that an image starts with, apart from the case of its host.
    by_base: HashMap<Box<str>, Lines, RandomState>,
    /// Length of the longest of these texts in bytes.
    longest: usize,
}

/// The lines with the same text.
#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    /// The line for the images in this repository or registry.
    container: Option<u32>,
    /// The line for all images that start with the text.
    prefix: Option<u32>,
}

impl PullSecrets {
    pub(super) fn new(lines: Vec<PullSecret>) -> Self {
        let mut secrets = Self { lines, ..Self::default() };
        for (number, line) in (0..).zip(&secrets.lines) {
            let Scope { base, is_prefix } = line.prefix.scope();
            secrets.longest = secrets.longest.max(base.len());
            let found = secrets.by_base.entry(base.into()).or_default();
            *if is_prefix { &mut found.prefix } else { &mut found.container } = Some(number);
        }
        secrets
    }

    /// Returns the lines in the order of the file.
    #[must_use]
    pub fn lines(&self) -> &[PullSecret] {
        &self.lines
    }

    /// Returns the lines whose prefix an image is under, in the order of the file. The registry of the image is in lower
    /// case.
    pub(super) fn of(&self, image: &ImageReference<'_>) -> Vec<&PullSecret> {
        if self.lines.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        self.find(image.text(), &mut found);
        if canonical_registry(image.registry()) == DOCKER_HUB {
            let (library, path) = (image.library_prefix(), image.path());
            self.find(&format!("{DOCKER_HUB}/{library}{path}"), &mut found);
        }
        // A host without a port stands for all ports. An IPv6 address contains colons, so it never does.
        if !image.host().contains(':') {
            found.extend(self.lines_at(image.host()).container);
        }
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|number| &self.lines[number as usize]).collect()
    }

    /// Adds the lines whose prefix an image starts with.
    fn find(&self, text: &str, found: &mut Vec<u32>) {
        for (at, byte) in text.bytes().enumerate().take(self.longest + 1) {
            match byte {
                b'/' => found.extend(self.lines_at(&text[..at]).container),
                b'-' => found.extend(self.lines_at(&text[..=at]).prefix),
                // Before a tag or digest, not before a port.
                b':' | b'@' if text[..at].contains('/') => {
                    found.extend(self.lines_at(&text[..at]).container);
                }
                _ => {}
            }
        }
        found.extend(self.lines_at(text).container);
    }

    fn lines_at(&self, base: &str) -> Lines {
        self.by_base.get(base).copied().unwrap_or_default()
    }
}
