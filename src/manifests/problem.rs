//! Problems with the objects of a text.

use super::error::AMBIGUOUS;

/// A problem with an object, and its place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// Line in the text, from 1.
    pub line: usize,
    /// The problem.
    pub problem: Problem,
}

/// A problem with an object.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// Readers of YAML disagree about the document.
    #[error("the document stays, because {AMBIGUOUS}")]
    Ambiguous,
    /// The template of a workload gets the first pull secrets.
    #[error(
        "the template of {object} had no imagePullSecrets; with them, its pods no longer get those of their service \
         account"
    )]
    HidesAccountSecrets {
        /// The object.
        object: String,
    },
    /// An image is used by aliases or merge keys in places that need different texts.
    #[error(
        "`{image}` stays, because its anchor is also used where it must not become `{result}`; write the image out in \
         each place"
    )]
    Shared {
        /// The image.
        image: String,
        /// The image by the map.
        result: String,
    },
    /// An object is larger than 8 MiB, or nested too deeply.
    #[error("{object} stays, because it is larger than 8 MiB or nested too deeply")]
    TooLarge {
        /// The object.
        object: String,
    },
    /// The aliases of a document stand for too many values.
    #[error("the document stays, because its aliases stand for more than a million values")]
    TooManyUses,
    /// The aliases of a document stand for too much text.
    #[error("{object} stays, because the aliases of its document stand for more than 32 MiB")]
    TooMuchText {
        /// The object.
        object: String,
    },
    /// An object has more images than the webhook reads.
    #[error("{object} stays, because it has too many images")]
    TooManyImages {
        /// The object.
        object: String,
    },
    /// An annotation excludes a container that does not exist.
    #[error("{object} excludes `{name}` by an annotation, but has no such container or volume")]
    UnknownExclusion {
        /// The object.
        object: String,
        /// The name.
        name: String,
    },
    /// The place of an image or of pull secrets cannot be changed safely.
    #[error("{what} cannot be inserted here; write the field in block style, on a line of its own")]
    Unplaced {
        /// The image, or the field.
        what: String,
    },
    /// An object cannot be read as the webhook reads it.
    #[error("{object} stays, because it cannot be read: {reason}")]
    Unreadable {
        /// The object.
        object: String,
        /// The reason.
        reason: String,
    },
}

impl Problem {
    /// Returns true if an image that the map rewrites stays in the text.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        !matches!(self, Self::HidesAccountSecrets { .. } | Self::UnknownExclusion { .. })
    }
}
