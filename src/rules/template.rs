//! Targets with placeholders: `{registry}` and `{path}` stand for parts of the image.
//!
//! It implements rule 6 of section 1 of the swap rules.

use std::fmt;

use memchr::memchr2;

use crate::image::ImageReference;

/// A target with placeholders, split into its parts.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Template(Box<[Part]>);

/// A part of a template.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Part {
    /// A text that is the same for all images.
    Literal(Box<str>),
    /// `{path}`: the canonical path of the image, without tag and digest.
    Path,
    /// `{registry}`: the host of the image in lower case, and `-` and the port if it has one.
    Registry,
}

/// A piece of a new image.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece<'a> {
    AsWritten(&'a str),
    /// A host, which becomes part of a path, where upper-case letters are not allowed.
    LowerCase(&'a str),
}

/// The reason why a text with braces is not a template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TemplateError {
    /// A placeholder stands in the registry of the target.
    InRegistry,
    /// A placeholder occurs twice.
    Repeated,
    /// Two placeholders have no text between them.
    Touching,
    /// The text in braces is neither placeholder, or a brace has no counterpart.
    Unknown,
}

impl Template {
    pub(super) const PATH: &str = "{path}";
    pub(super) const REGISTRY: &str = "{registry}";

    /// Parses a target. `None` if it has no braces.
    ///
    /// # Errors
    /// If the braces are not valid placeholders.
    pub(super) fn parse(target: &str) -> Result<Option<Self>, TemplateError> {
        let mut rest = target.trim_end_matches('/');
        let Some(first) = memchr2(b'{', b'}', rest.as_bytes()) else { return Ok(None) };
        if !rest[..first].contains('/') {
            return Err(TemplateError::InRegistry);
        }
        let mut parts: Vec<Part> = Vec::new();
        while let Some(brace) = rest.find(['{', '}']) {
            let (literal, placeholder) = rest.split_at(brace);
            let part = if let Some(after) = placeholder.strip_prefix(Self::PATH) {
                rest = after;
                Part::Path
            } else if let Some(after) = placeholder.strip_prefix(Self::REGISTRY) {
                rest = after;
                Part::Registry
            } else {
                return Err(TemplateError::Unknown);
            };
            if parts.contains(&part) {
                return Err(TemplateError::Repeated);
            }
            if literal.is_empty() {
                // The first literal has at least the host and a `/`.
                return Err(TemplateError::Touching);
            }
            parts.extend([Part::Literal(literal.into()), part]);
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.into()));
        }
        if !parts.contains(&Part::Path) {
            parts.extend([Part::Literal("/".into()), Part::Path]);
        }
        Ok(Some(Self(parts.into())))
    }

    /// Returns the parts in order. The first is a literal.
    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Returns true if `{registry}` is the first placeholder.
    pub(super) fn starts_with_registry(&self) -> bool {
        self.0.get(1) == Some(&Part::Registry)
    }

    /// Returns the text before the first placeholder. It contains a `/`.
    pub(super) fn start(&self) -> &str {
        match self.0.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// Returns true if the host of the image becomes part of the new image.
    pub(super) fn names_registry(&self) -> bool {
        self.0.contains(&Part::Registry)
    }

    /// Calls `visit` with the pieces of the image that replaces `image`, in order.
    pub(super) fn fill<'a>(
        &'a self,
        image: &ImageReference<'a>,
        visit: &mut impl FnMut(Piece<'a>),
    ) {
        for part in &self.0 {
            match part {
                Part::Literal(text) => visit(Piece::AsWritten(text)),
                Part::Path => {
                    path_pieces(image).map(Piece::AsWritten).into_iter().for_each(&mut *visit);
                }
                Part::Registry => registry_pieces(image).into_iter().for_each(&mut *visit),
            }
        }
        visit(Piece::AsWritten(image.tag_and_digest()));
    }

    /// Returns each placeholder with its value for `image`.
    pub(super) fn values(&self, image: &ImageReference<'_>) -> Vec<(&'static str, String)> {
        let value = |part: &Part| match part {
            Part::Literal(_) => None,
            Part::Path => Some((Self::PATH, path_pieces(image).concat())),
            Part::Registry => {
                let text = |piece| match piece {
                    Piece::AsWritten(text) => text.to_owned(),
                    Piece::LowerCase(text) => text.to_ascii_lowercase(),
                };
                Some((Self::REGISTRY, registry_pieces(image).map(text).concat()))
            }
        };
        self.0.iter().filter_map(value).collect()
    }

    /// Returns the shortest image with a tag that the template makes.
    pub(super) fn sample(&self) -> String {
        let part = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Path | Part::Registry => "a".into(),
        };
        let mut sample: String = self.0.iter().map(part).collect();
        sample.push_str(":a");
        sample
    }
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| {
            formatter.write_str(match part {
                Part::Literal(text) => text,
                Part::Path => Self::PATH,
                Part::Registry => Self::REGISTRY,
            })
        })
    }
}

fn path_pieces<'a>(image: &ImageReference<'a>) -> [&'a str; 2] {
    [image.library_prefix(), image.repository()]
}

fn registry_pieces<'a>(image: &ImageReference<'a>) -> [Piece<'a>; 3] {
    let port = image.port_suffix();
    let hyphen = if port.is_empty() { "" } else { "-" };
    let port = port.trim_start_matches(':');
    [Piece::LowerCase(image.host()), Piece::AsWritten(hyphen), Piece::AsWritten(port)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_parsed_as_rule_6_of_section_1_defines() {
        for (target, expected) in [
            ("h.io/x", Ok(None)),
            ("h.io/{path}", Ok(Some("h.io/a:a"))),
            ("h.io/{path}/", Ok(Some("h.io/a:a"))),
            ("h.io/{registry}", Ok(Some("h.io/a/a:a"))),
            ("h.io/{registry}/", Ok(Some("h.io/a/a:a"))),
            ("h.io/x-{registry}/y/{path}-z", Ok(Some("h.io/x-a/y/a-z:a"))),
            ("h.io/{path}/{registry}", Ok(Some("h.io/a/a:a"))),
            ("{registry}/x", Err(TemplateError::InRegistry)),
            ("{registry}.h.io/x", Err(TemplateError::InRegistry)),
            ("h.io/{path}/{path}", Err(TemplateError::Repeated)),
            ("h.io/{registry}{path}", Err(TemplateError::Touching)),
            ("h.io/{tag}", Err(TemplateError::Unknown)),
            ("h.io/{Path}", Err(TemplateError::Unknown)),
            ("h.io/{path", Err(TemplateError::Unknown)),
            ("h.io/{path}}", Err(TemplateError::Unknown)),
            ("h.io/}", Err(TemplateError::Unknown)),
        ] {
            let sample = Template::parse(target).map(|template| template.map(|it| it.sample()));
            assert_eq!(
                sample.as_ref().map(Option::as_deref),
                expected.as_ref().copied(),
                "{target}"
            );
        }
    }
}
