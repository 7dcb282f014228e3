//! Parser of files with sites.
//!
//! A line is `GROUP/KIND POINTER…`. Text after a `#`, at the start of a line or after white space, is a comment.

use std::ops::Range;

use super::pointer::{Pointer, PointerError};
use crate::{
    excerpt::{MAX_VALUE_BYTES, excerpt},
    rules::{Code, Diagnostic, Diagnostics, first_line_of_manifest},
};

/// Maximum size of a file with sites in bytes: that of a ConfigMap.
pub const MAX_SITES_BYTES: usize = 1024 * 1024;

/// Maximum length of the name of a kind: that of a DNS label (RFC 1035), as for custom resources.
const MAX_KIND_BYTES: usize = 63;

/// Maximum length of the name of an API group: that of a DNS subdomain (RFC 1123).
const MAX_GROUP_BYTES: usize = 253;

/// The images of one kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Line<'t> {
    pub(super) group: &'t str,
    pub(super) kind: &'t str,
    pub(super) pointers: Vec<Pointer>,
}

/// Parses a file, and returns its valid lines with an error for each other line.
pub(super) fn parse(text: &str) -> (Vec<Line<'_>>, Diagnostics) {
    let (mut lines, mut diagnostics) = (Vec::new(), Diagnostics::default());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some((number, line)) = first_line_of_manifest(text) {
        let message = "this is a manifest in YAML or JSON, not a file with sites";
        let hint = "take the value of the key `sites` of the ConfigMap";
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let diagnostic = Diagnostic::new(Code::InvalidSite, message, hint);
        diagnostics.push(diagnostic.at(number, 0..line.len()));
        return (lines, diagnostics);
    }
    for (number, line) in (1..).zip(text.lines()) {
        match parse_line(line) {
            Ok(parsed) => lines.extend(parsed),
            Err((error, span)) => {
                let diagnostic =
                    Diagnostic::new(Code::InvalidSite, error.to_string(), error.hint());
                diagnostics.push(diagnostic.at(number, span));
            }
        }
    }
    (lines, diagnostics)
}

/// A mistake in a line.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("`{0}` is not GROUP/KIND")]
    Kind(String),
    #[error("the group has no dot, so it is not a group of custom resources")]
    BuiltInGroup,
    #[error("there is no JSON Pointer after the kind")]
    NoPointer,
    #[error("{0}")]
    Pointer(PointerError),
}

impl LineError {
    fn hint(&self) -> &'static str {
        match self {
            Self::Kind(_) => "write it as in postgresql.cnpg.io/Cluster, without a version",
            Self::BuiltInGroup => {
                "the pods and pod templates of Kubernetes itself need no site; write a group such as \
                 postgresql.cnpg.io"
            }
            Self::NoPointer => "add the field with the image, such as /spec/image",
            Self::Pointer(error) => error.hint(),
        }
    }
}

/// Parses a line; `None` if it is empty. An error comes with the range of the text that is wrong.
fn parse_line(line: &str) -> Result<Option<Line<'_>>, (LineError, Range<usize>)> {
    let mut words = words(line);
    let Some((name, span)) = words.next() else { return Ok(None) };
    let (group, kind) = match parse_kind(name) {
        Ok(parsed) => parsed,
        Err(error) => return Err((error, span)),
    };
    let pointers = words.map(|(word, span)| {
        Pointer::parse(word).map_err(|error| (LineError::Pointer(error), span))
    });
    let pointers = pointers.collect::<Result<Vec<_>, _>>()?;
    if pointers.is_empty() {
        return Err((LineError::NoPointer, span));
    }
    Ok(Some(Line { group, kind, pointers }))
}

/// Splits `GROUP/KIND`.
fn parse_kind(name: &str) -> Result<(&str, &str), LineError> {
    let wrong = || LineError::Kind(excerpt(name, MAX_VALUE_BYTES).into_owned());
    let (group, kind) = name.split_once('/').ok_or_else(wrong)?;
    let is_label = |label: &str| {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(is_allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_group = group.len() <= MAX_GROUP_BYTES && group.split('.').all(is_label);
    let is_kind = kind.len() <= MAX_KIND_BYTES
        && kind.starts_with(|first: char| first.is_ascii_alphabetic())
        && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_group || !is_kind {
        return Err(wrong());
    }
    // The API server accepts a CustomResourceDefinition only with a dot in its group.
    if group.contains('.') { Ok((group, kind)) } else { Err(LineError::BuiltInGroup) }
}

/// Returns the words of a line before its comment, with their ranges.
fn words(line: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    let mut at = 0;
    let words = std::iter::from_fn(move || {
        let rest = line.get(at..)?;
        let start = at + rest.find(|c: char| !c.is_whitespace())?;
        let word = line[start..].split(char::is_whitespace).next()?;
        at = start + word.len();
        Some((word, start..at))
    });
    words.take_while(|(word, _)| !word.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kinds_with_pointers_and_comments() {
        let text = "\u{feff}# a comment\n\n  a.io/Kind  /spec/image\t/spec/*/image # why\r\nb.c.io/kind /x#y\n";
        let (lines, diagnostics) = parse(text);
        let shown = lines.iter().map(|line| {
            let pointers: Vec<_> = line.pointers.iter().map(ToString::to_string).collect();
            format!("{}/{} {}", line.group, line.kind, pointers.join(" "))
        });
        let shown: Vec<_> = shown.collect();
        assert_eq!(shown, ["a.io/Kind /spec/image /spec/*/image", "b.c.io/kind /x#y"]);
        assert!(diagnostics.kept().is_empty());
    }

    #[test]
    fn a_manifest_is_one_mistake() {
        let (lines, diagnostics) =
            parse("apiVersion: v1\nkind: ConfigMap\ndata:\n  sites: a.io/K /x\n");
        assert_eq!((lines.len(), diagnostics.kept().len()), (0, 1));
    }

    #[test]
    fn a_mistake_skips_its_line_and_names_the_wrong_word() {
        for (line, wrong, message) in [
            ("Cluster /spec/image", "Cluster", "`Cluster` is not GROUP/KIND"),
            ("a.io/Clu.ster /x", "a.io/Clu.ster", "`a.io/Clu.ster` is not GROUP/KIND"),
            ("a_b.io/C /x", "a_b.io/C", "`a_b.io/C` is not GROUP/KIND"),
            ("a..io/C /x", "a..io/C", "`a..io/C` is not GROUP/KIND"),
            ("a.io/v1/C /x", "a.io/v1/C", "`a.io/v1/C` is not GROUP/KIND"),
            (
                "apps/Deployment /spec/x",
                "apps/Deployment",
                "the group has no dot, so it is not a group of custom resources",
            ),
            ("  a.io/C # /x", "a.io/C", "there is no JSON Pointer after the kind"),
            ("a.io/C /x spec.image", "spec.image", "a JSON Pointer begins with `/`"),
            ("a.io/C /x/~2", "/x/~2", "`~` is followed by neither `0` nor `1`"),
            ("a.io/C /status/image", "/status/image", "images cannot be in `status`"),
            ("a.io/C /*/image", "/*/image", "a JSON Pointer to images does not begin with `*`"),
        ] {
            let text = format!("b.io/D /a\n{line}\nb.io/D /b");
            let (lines, diagnostics) = parse(&text);
            assert_eq!(lines.len(), 2, "{line}");
            let [diagnostic] = diagnostics.kept() else { panic!("{line}") };
            assert_eq!(diagnostic.message, message);
            assert_eq!(diagnostic.line, Some(2));
            assert_eq!(&line[diagnostic.span.clone()], wrong);
        }
    }
}
