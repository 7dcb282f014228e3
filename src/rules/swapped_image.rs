//! A new image, as pieces of the rule and the old image.
//!
//! The pieces are joined only where the text is needed, so a decision allocates nothing.

use std::fmt;

use super::template::{Piece, Template};
use crate::image::{ImageReference, MAX_IMAGE_BYTES, MAX_NAME_BYTES};

/// A new image.
#[derive(Clone, Copy, Debug)]
pub struct SwappedImage<'a>(Form<'a>);

#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    /// A template, filled with the parts of the old image.
    Filled { template: &'a Template, image: ImageReference<'a> },
    /// Pieces, joined.
    Joined([&'a str; 4]),
    /// A text before the host and the path of the old image.
    Prefixed { prefix: &'a str, image: ImageReference<'a> },
}

impl<'a> SwappedImage<'a> {
    /// Joins up to four pieces.
    pub(super) fn joined<const N: usize>(pieces: [&'a str; N]) -> Self {
        const { assert!(N <= 4) };
        let mut all = [""; 4];
        all[..N].copy_from_slice(&pieces);
        Self(Form::Joined(all))
    }

    /// Fills a template. `None` if an IPv6 address would become part of the path.
    pub(super) fn filled(template: &'a Template, image: &ImageReference<'a>) -> Option<Self> {
        let is_possible = !(template.names_registry() && image.has_ipv6_host());
        is_possible.then_some(Self(Form::Filled { template, image: *image }))
    }

    /// Puts `prefix` before the host and the path. `None` if an IPv6 address would become part of the path.
    pub(super) fn prefixed(prefix: &'a str, image: &ImageReference<'a>) -> Option<Self> {
        (!image.has_ipv6_host()).then_some(Self(Form::Prefixed { prefix, image: *image }))
    }

    /// Returns true if the registry of the new image comes from the rule alone, whatever the old image is.
    #[must_use]
    pub fn has_fixed_host(&self) -> bool {
        match &self.0 {
            // The first `/` ends the registry. The first piece is from the rule, and so is the whole image if there is
            // no other piece.
            Form::Joined([first, others @ ..]) => {
                let next = others.iter().find(|piece| !piece.is_empty());
                first.contains('/') || next.is_none_or(|next| next.starts_with('/'))
            }
            Form::Prefixed { prefix, .. } => prefix.contains('/'),
            // A template has no placeholder in its registry.
            Form::Filled { .. } => true,
        }
    }

    /// Appends the image to `text`.
    pub fn append_to(&self, text: &mut String) {
        self.for_each_piece(&mut |piece| match piece {
            Piece::AsWritten(piece) => text.push_str(piece),
            Piece::LowerCase(piece) => {
                text.extend(piece.chars().map(|character| character.to_ascii_lowercase()));
            }
        });
    }

    /// Returns true if the new image of `image` is longer than any registry accepts.
    pub(super) fn is_too_long(&self, image: &ImageReference<'_>) -> bool {
        let mut length = 0;
        self.for_each_piece(&mut |piece| match piece {
            Piece::AsWritten(piece) | Piece::LowerCase(piece) => length += piece.len(),
        });
        // Tag and digest of the old image are at the end of the new one.
        length > MAX_IMAGE_BYTES || length - image.tag_and_digest().len() > MAX_NAME_BYTES
    }

    /// Returns true if the new image is `image`, the old one.
    pub(super) fn is(&self, image: &str) -> bool {
        match &self.0 {
            Form::Joined(pieces) => {
                pieces.iter().try_fold(image, |rest, piece| rest.strip_prefix(piece)) == Some("")
            }
            // An image that starts like this is already under the target, so no rule makes it from itself.
            Form::Filled { .. } | Form::Prefixed { .. } => false,
        }
    }

    fn for_each_piece(&self, visit: &mut impl FnMut(Piece<'a>)) {
        match self.0 {
            Form::Filled { template, image } => template.fill(&image, visit),
            Form::Joined(pieces) => pieces.map(Piece::AsWritten).into_iter().for_each(visit),
            Form::Prefixed { prefix, image } => {
                visit(Piece::AsWritten(prefix));
                visit(Piece::LowerCase(image.host()));
                visit(Piece::AsWritten("/"));
                visit(Piece::AsWritten(image.path()));
            }
        }
    }
}

impl fmt::Display for SwappedImage<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.append_to(&mut text);
        formatter.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_image_consists_of_its_pieces() {
        let image = ImageReference::parse("Quay.IO:80/a/b:1");
        let template = Template::parse("h.io/{registry}").unwrap().unwrap();
        for (swapped, text) in [
            (SwappedImage::joined(["d.io", "/", "x"]), "d.io/x"),
            (SwappedImage::prefixed("h.io/m-", &image).unwrap(), "h.io/m-quay.io/a/b:1"),
            (SwappedImage::filled(&template, &image).unwrap(), "h.io/quay.io-80/a/b:1"),
        ] {
            assert_eq!(swapped.to_string(), text);
        }
        let swapped = SwappedImage::joined(["d.io", "/", "x"]);
        assert!(swapped.is("d.io/x"));
        assert!(!swapped.is("d.io/xy"));
        assert!(!swapped.is("d.io/"));
    }

    #[test]
    fn a_host_is_fixed_if_no_part_of_it_comes_from_the_old_image() {
        let image = ImageReference::parse("evil.io/a:1");
        let template = Template::parse("h.io/{registry}").unwrap().unwrap();
        for (swapped, is_fixed) in [
            (SwappedImage::joined(["d.io", "/", "x"]), true),
            (SwappedImage::joined(["d.io", "/x"]), true),
            (SwappedImage::joined(["d.io/m", ":1"]), true),
            (SwappedImage::joined(["d.io/m-", "", "x"]), true),
            (SwappedImage::joined(["d.io/x:1"]), true),
            (SwappedImage::joined(["nginx:1"]), true),
            (SwappedImage::joined(["d.io", ":22", "/", "x"]), false),
            (SwappedImage::joined(["d.io", "", "/", "x"]), true),
            (SwappedImage::joined(["m-", "", "evil.io/x"]), false),
            (SwappedImage::joined(["m-", "evil.io/x"]), false),
            (SwappedImage::filled(&template, &image).unwrap(), true),
            (SwappedImage::prefixed("h.io/m-", &image).unwrap(), true),
            (SwappedImage::prefixed("m-", &image).unwrap(), false),
        ] {
            assert_eq!(swapped.has_fixed_host(), is_fixed, "{swapped}");
        }
    }

    #[test]
    fn an_ipv6_address_cannot_be_part_of_a_path() {
        let image = ImageReference::parse("[fd00::1]:80/a");
        let template = |text| Template::parse(text).unwrap().unwrap();
        let (with, without) = (template("h.io/{registry}"), template("h.io/{path}"));
        assert!(SwappedImage::prefixed("h.io/m-", &image).is_none());
        assert!(SwappedImage::filled(&with, &image).is_none());
        assert!(SwappedImage::filled(&without, &image).is_some());
    }
}
