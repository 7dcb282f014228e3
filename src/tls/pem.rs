//! Reads PEM files within a size limit. Its errors do not quote them.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio_rustls::rustls::pki_types::pem;

use crate::bounded_read::read_regular_up_to;

/// Maximum size of a file with a certificate chain or a key, in bytes.
///
/// A chain of ten RSA-4096 certificates has about 25 KB, and the maximum size of a Secret is 1 MiB.
pub(super) const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// The reason why a PEM file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PemFileError {
    /// The file is too large for certificates or a key.
    #[error("{file}: larger than {MAX_PEM_BYTES} bytes")]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be read.
    #[error("{file}: {reason}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        reason: io::Error,
    },
}

/// Reads a file of certificates or of a key.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, PemFileError> {
    let unreadable = |reason| PemFileError::Unreadable { file: file.to_owned(), reason };
    match read_regular_up_to(file, MAX_PEM_BYTES).map_err(unreadable)? {
        Some(content) => Ok(content),
        None => Err(PemFileError::TooLarge { file: file.to_owned() }),
    }
}

/// Checks that the first line of a PEM text can be its first marker.
///
/// A parser takes a marker with other bytes before it for a comment, and skips the block without an error.
pub(super) fn check_encoding(text: &[u8]) -> Result<(), &'static str> {
    match text {
        [0xef, 0xbb, 0xbf, ..] => {
            Err("the text begins with a byte-order mark; save it without one")
        }
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => Err("the text is UTF-16; save it as ASCII"),
        _ => Ok(()),
    }
}

/// Returns the error in a PEM text without quoting the text.
///
/// The parser's own message quotes the line. If the line breaks are missing, that line is the whole key.
pub(super) fn pem_reason(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::NoItemsFound => "no items found",
        pem::Error::MissingSectionEnd { .. } => {
            "a block has no END line; each marker needs its own line"
        }
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line lacks its closing dashes",
        pem::Error::Base64Decode(_) => "a block is not valid base64",
        _ => "it cannot be read",
    }
}
