//! Reasons why the text before the separator is not a key.

/// The reason why a text is not a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum KeyError {
    /// Nothing stands before the separator, or after `[EXACT]` or `[REPLACE]`.
    #[error("the key before the separator is empty")]
    Empty,
    /// A registry contains a `*` that is not the start of `*.domain`.
    #[error("a registry key may contain `*` only at its start, as in `*.example.com`")]
    MisplacedStar,
}
