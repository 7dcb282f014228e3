//! The images of a text, rewritten in place.

use std::borrow::Cow;

use super::{
    SyntaxError,
    documents::Documents,
    object::objects,
    pass::Pass,
    replacement::Replacement,
    rewritten::{Rewriting, Rewritten},
};

impl Rewriting<'_> {
    /// Rewrites the images in a text. Documents that are not Kubernetes objects stay.
    ///
    /// # Errors
    /// If the text is not valid YAML or JSON.
    pub fn rewrite<'t>(&self, text: &'t str) -> Result<Rewritten<'t>, SyntaxError> {
        let mut replacements = Vec::new();
        let (mut changes, mut added, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        check_line_breaks(text)?;
        for document in Documents::new(text) {
            let document = document?;
            let mut pass = match Pass::new(text, &document) {
                Ok(pass) => pass,
                Err(note) => {
                    notes.push(note);
                    continue;
                }
            };
            for object in objects(&document, &pass.pointers) {
                pass.add(self, object);
            }
            pass.finish();
            added.append(&mut pass.added);
            replacements.append(&mut pass.replacements);
            changes.append(&mut pass.changes);
            notes.append(&mut pass.notes);
        }
        replacements.sort_by_key(|replacement| replacement.bytes.start);
        changes.sort_by_key(|change| change.line);
        Ok(Rewritten { text: replaced(text, &replacements), changes, added, notes })
    }
}

/// Checks that no comment contains a line break of YAML 1.1. A reader of that version sees an image behind it.
fn check_line_breaks(text: &str) -> Result<(), SyntaxError> {
    for (at, _) in text.match_indices(['\u{85}', '\u{2028}', '\u{2029}']) {
        let before = &text[..at];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        if before[start..].contains('#') {
            let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
            let column = before[start..].chars().count() + 1;
            let problem = "a comment contains a line break of YAML 1.1 (U+0085, U+2028 or U+2029)";
            return Err(SyntaxError::new(line, column, problem));
        }
    }
    Ok(())
}

/// Returns the text with the replacements, which are sorted and do not overlap.
fn replaced<'t>(text: &'t str, replacements: &[Replacement]) -> Cow<'t, str> {
    if replacements.is_empty() {
        return text.into();
    }
    let added = replacements.iter().map(|replacement| replacement.text.len()).sum::<usize>();
    let (mut new, mut end) = (String::with_capacity(text.len() + added), 0);
    for Replacement { bytes, text: replacement } in replacements {
        new.push_str(text.get(end..bytes.start).unwrap_or_default());
        new.push_str(replacement);
        end = bytes.end;
    }
    new.push_str(text.get(end..).unwrap_or_default());
    new.into()
}
