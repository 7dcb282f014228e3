//! One rule of a map: its key, its target, and its effect on the images that match it.
//!
//! This module does not parse lines; `map_file` does.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{key_error::KeyError, target::Target};
use crate::{
    closed_enum::closed_enum,
    image::{canonical_registry, is_valid_reference, split_path},
};

/// The key of a rule: the text before the separator.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Key {
    /// `default`: every image that no other rule matches.
    Default,
    /// `[EXACT]image`: one image, written exactly like this.
    Exact(Box<str>),
    /// `noswap_wildcards`: images that contain one of the substrings that the target lists.
    NoswapWildcards,
    /// A registry or `*.domain`, with or without port and path prefix. It is canonical: its registry is as
    /// [`canonical_registry`] returns it, and it has no trailing `/`.
    Registry(Box<str>),
    /// `[REPLACE]glob`: every image that the shell glob matches.
    Replace(Box<str>),
}

closed_enum! {
    /// The kinds of keys, as in metric labels. `[PULLSECRET]` has a kind here but is not a [`Key`], because it decides
    /// nothing.
    pub enum KeyKind {
        /// `default`.
        Default => "default",
        /// `[EXACT]image`.
        Exact => "exact",
        /// `noswap_wildcards`.
        NoswapWildcards => "noswap-wildcards",
        /// `[PULLSECRET]prefix`.
        PullSecret => "pull-secret",
        /// A registry or `*.domain`, with or without a path prefix.
        Registry => "registry",
        /// `[REPLACE]glob`.
        Replace => "replace",
    }
}

impl Key {
    pub(super) const DEFAULT: &str = "default";
    pub(super) const EXACT: &str = "[EXACT]";
    pub(super) const NOSWAP_WILDCARDS: &str = "noswap_wildcards";
    pub(super) const REPLACE: &str = "[REPLACE]";

    /// Start of a registry key that stands for all hosts below a domain.
    pub(super) const WILDCARD: &str = "*.";

    /// Returns the image of an `[EXACT]` key. `None` for other keys.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(image) => Some(image),
            _ => None,
        }
    }

    /// Returns the image of an `[EXACT]` key or the glob of a `[REPLACE]` key. Empty for other keys.
    #[must_use]
    pub fn exact_or_glob(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Replace(text) => text,
            Self::Default | Self::NoswapWildcards | Self::Registry(_) => "",
        }
    }

    /// Returns true if the key is a registry with a path prefix, such as `docker.io/library`.
    #[must_use]
    pub fn has_path_prefix(&self) -> bool {
        matches!(self, Self::Registry(registry) if registry.contains('/'))
    }

    /// Returns true if the key stands for all hosts below a domain, such as `*.gcr.io`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Registry(registry) if registry.starts_with(Self::WILDCARD))
    }

    /// Returns the kind of the key.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        match self {
            Self::Default => KeyKind::Default,
            Self::Exact(_) => KeyKind::Exact,
            Self::NoswapWildcards => KeyKind::NoswapWildcards,
            Self::Registry(_) => KeyKind::Registry,
            Self::Replace(_) => KeyKind::Replace,
        }
    }

    /// Parses a key.
    ///
    /// # Errors
    /// If the key is empty, if nothing follows its bracket, or if a registry contains a `*` other than that of
    /// `*.domain`.
    pub(super) fn parse(text: &str) -> Result<Self, KeyError> {
        if let Some(image) = text.strip_prefix(Self::EXACT) {
            return if image.is_empty() {
                Err(KeyError::Empty)
            } else {
                Ok(Self::Exact(image.into()))
            };
        }
        if let Some(glob) = text.strip_prefix(Self::REPLACE) {
            return if glob.is_empty() {
                Err(KeyError::Empty)
            } else {
                Ok(Self::Replace(glob.into()))
            };
        }
        match text.trim_end_matches('/') {
            "" => Err(KeyError::Empty),
            Self::DEFAULT => Ok(Self::Default),
            Self::NOSWAP_WILDCARDS => Ok(Self::NoswapWildcards),
            key if has_misplaced_star(key) => Err(KeyError::MisplacedStar),
            key => {
                let (registry, path) = split_path(key);
                let registry = canonical_registry(registry);
                Ok(Self::Registry(format!("{registry}{path}").into()))
            }
        }
    }
}

/// Returns true if a registry key contains a `*` that is not the start of `*.domain`.
fn has_misplaced_star(key: &str) -> bool {
    match key.strip_prefix(Key::WILDCARD) {
        Some(domain) => domain.contains('*') || domain.is_empty() || domain.starts_with([':', '/']),
        None => key.contains('*'),
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str(Self::DEFAULT),
            Self::Exact(image) => write!(formatter, "{}{image}", Self::EXACT),
            Self::NoswapWildcards => formatter.write_str(Self::NOSWAP_WILDCARDS),
            // Parsing dropped a slash here. Without it, the colon would be part of the separator.
            Self::Registry(registry) if registry.ends_with(':') => write!(formatter, "{registry}/"),
            // In lower case, it would be a keyword. Registries have no case.
            Self::Registry(registry)
                if [Self::DEFAULT, Self::NOSWAP_WILDCARDS].contains(&&**registry) =>
            {
                formatter.write_str(&registry.to_ascii_uppercase())
            }
            Self::Registry(registry) => formatter.write_str(registry),
            Self::Replace(glob) => write!(formatter, "{}{glob}", Self::REPLACE),
        }
    }
}

/// The effect of a rule on the images that match it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// It leaves them alone, because its target is empty.
    Leave,
    /// It leaves them alone, because its target does not give a valid reference.
    LeaveInvalid,
    /// It swaps them.
    Swap,
}

/// A rule of a map, with the line that it comes from.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The images that the rule applies to.
    pub key: Key,
    /// The registry, prefix or image that it rewrites images to.
    pub target: Target,
    /// Number of the line in the map file, from 1.
    pub line: u32,
    /// Name of the map file.
    pub file: Arc<str>,
    effect: Effect,
    hits: Hits,
}

/// The number of images that a rule has decided.
///
/// It is in the rule, next to what each decision reads, so that counting touches no other cache line. A copy of a rule
/// counts from zero.
#[derive(Debug, Default)]
struct Hits(AtomicU64);

impl Clone for Hits {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Rule {
    /// Creates a rule, and checks whether its target gives valid references.
    #[must_use]
    pub fn new(key: Key, target: Target, file: &Arc<str>, line: u32) -> Self {
        let effect = effect(&key, &target);
        Self { key, target, line, file: file.clone(), effect, hits: Hits::default() }
    }

    /// Returns the location of the rule, as `FILE:LINE`.
    #[must_use]
    pub fn location(&self) -> impl fmt::Display {
        fmt::from_fn(|formatter| write!(formatter, "{}:{}", self.file, self.line))
    }

    /// Returns the effect on the images that match the rule.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Counts an image that the rule has decided.
    pub fn count_hit(&self) {
        self.hits.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of images that the rule has decided since its map was loaded, in reviews.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.0.load(Ordering::Relaxed)
    }

    /// Returns true if both rules have the same key and target, regardless of their lines.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.key == other.key && self.target == other.target
    }
}

/// Determines the effect of a rule from the shortest image with a tag that it can produce.
///
/// The tag shows whether the target already has one.
fn effect(key: &Key, target: &Target) -> Effect {
    let sample = match key {
        _ if target.is_empty() => return Effect::Leave,
        Key::NoswapWildcards => return Effect::Leave,
        Key::Exact(_) => Cow::Borrowed(target.text()),
        Key::Default | Key::Registry(_) | Key::Replace(_) => match target.template() {
            Some(template) => template.sample().into(),
            None if !target.is_prefix() => format!("{}/a:a", target.base()).into(),
            None if matches!(key, Key::Replace(_)) => format!("{target}a:a").into(),
            None => format!("{target}a/a:a").into(),
        },
    };
    if is_valid_reference(&sample) { Effect::Swap } else { Effect::LeaveInvalid }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}::{}", self.key, self.target)
    }
}
