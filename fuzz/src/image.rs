//! The image reference: registry, repository, tag and digest, and validity.
//!
//! An input consists of images. Each is compared with the oracle of the rule tests and with a naive grammar, and its
//! parts must add up to the whole.

use imageswap::image::{ImageReference, MAX_IMAGE_BYTES, is_valid_reference};
use support::{cases, grammar, oracle};

use crate::inputs;

/// The pieces of images.
pub const PIECES: &[&str] = &[
    "",
    "a",
    "/",
    ":",
    "@",
    ".",
    "-",
    "_",
    "A",
    "0",
    "docker.io",
    "index.docker.io",
    "localhost",
    "INDEX.docker.io",
    "A.io",
    "library",
    "a.io",
    "[",
    "]",
    "[::1]",
    "[FD00::a]",
    ":80",
    ":1.27",
    "sha256:",
    "@sha256:",
    "__",
    "--",
    "é",
    "0123456789abcdef",
    "\n",
    " ",
];

/// Maximum size of an image in bytes: slightly more than the program accepts.
const MAX_BYTES: usize = MAX_IMAGE_BYTES + 8;

/// Runs the images of an input.
///
/// # Panics
/// If an image is read wrongly.
pub fn run(data: &[u8]) {
    for image in inputs::texts(data, PIECES, MAX_BYTES) {
        assert_image(&image);
    }
}

/// Returns the images of the rule tests.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    cases::all().map(|case| case.image.as_bytes().to_vec()).collect()
}

fn assert_image(text: &str) {
    let image = ImageReference::parse(text);
    let expected = oracle::Image::parse(text);
    assert_eq!(image.text(), text);
    // The program keeps the case of the image, and compares registries without case.
    assert!(image.registry().eq_ignore_ascii_case(&expected.registry), "{text}");
    assert!(image.host().eq_ignore_ascii_case(&expected.host), "{text}");
    assert_eq!(image.path(), expected.path, "{text}");
    assert_eq!(image.is_shorthand(), expected.shorthand, "{text}");
    assert_eq!(image.is_library(), expected.canonical_path() != expected.path, "{text}");
    let port = expected.port.map_or_else(String::new, |port| format!(":{port}"));
    assert_eq!(image.port_suffix(), port, "{text}");

    assert_eq!(format!("{}{}", image.host(), image.port_suffix()), image.registry(), "{text}");
    let before = text.strip_suffix(image.path());
    let written = before.map(|before| before.strip_suffix('/').unwrap_or(before));
    assert_eq!(written.is_some_and(str::is_empty), image.is_shorthand(), "{text}");
    assert!(written.is_some(), "{text} does not end with its path {}", image.path());
    assert_eq!(image.repository(), oracle::without_tag_and_digest(image.path()), "{text}");
    assert!(image.path().starts_with(image.repository()), "{text}");
    assert_eq!(Some(image.last_segment()), text.rsplit('/').next(), "{text}");
    assert_eq!(is_valid_reference(text), grammar::is_reference(text), "{text}");
}
