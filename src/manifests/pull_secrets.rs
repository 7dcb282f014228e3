//! New pull secrets in the text of a pod spec.

use std::fmt::Write;

use super::{
    document::{Content, Document, NodeId, Pairs, Style},
    pointer::Pointers,
    replacement::Replacement,
    scalar::{Kind, written},
};

/// The field of a pod spec with its pull secrets.
const FIELD: &str = "imagePullSecrets";

/// Returns the names of the pull secrets in a pod spec.
pub(super) fn present<'d>(
    document: &'d Document<'_>,
    pointers: &Pointers<'d, '_>,
    spec: NodeId,
) -> Vec<&'d str> {
    let list = pointers.field(spec, FIELD);
    let items = list.map(|list| document.items(list)).unwrap_or_default();
    items.iter().filter_map(|item| pointers.text(*item, "/name")).collect()
}

/// Returns the text that adds pull secrets to a pod spec with this list, if it has one, and its place; `None` if there is no place that is sure to be
/// right, as in a list with an anchor at its first item.
pub(super) fn addition(
    text: &str,
    document: &Document<'_>,
    spec: NodeId,
    secrets: Option<NodeId>,
    names: &[&str],
) -> Option<Replacement> {
    let insert = |at: usize, text: String| Some(Replacement { bytes: at..at, text });
    let Some(secrets) = secrets else {
        return field(text, document, spec, names);
    };
    let node = document.node(secrets);
    match &node.content {
        Content::Sequence(Style::Flow, items) => match items.last() {
            Some(last) if document.written(*last).bytes.is_empty() => None,
            Some(last) => insert(document.written(*last).bytes.end, format!(", {}", flow(names))),
            None => insert(node.bytes.start + 1, flow(names)),
        },
        Content::Sequence(Style::Block, items) => {
            let (first, last) = (items.first()?, items.last()?);
            let before = line_before(text, document.written(*first).bytes.start)?;
            let indentation = &before[..before.len() - before.trim_start_matches(' ').len()];
            before[indentation.len()..].strip_prefix("- ")?;
            let end = document.written(*last).bytes.end;
            // A block scalar ends after its line break.
            if text.get(..end)?.ends_with('\n') {
                return None;
            }
            let (rest, newline) = line_after(text, end)?;
            is_end(rest).then(|| Replacement {
                bytes: end + rest.len()..end + rest.len(),
                text: block(indentation, newline, names),
            })
        }
        Content::Scalar(scalar) if scalar.kind == Kind::Null && !node.bytes.is_empty() => {
            Some(Replacement { bytes: node.bytes.clone(), text: format!("[{}]", flow(names)) })
        }
        // The field has no value: it is put behind the colon.
        Content::Scalar(scalar) if scalar.kind == Kind::Null => {
            let pairs = document.pairs(spec);
            let (key, _) = pairs.iter().find(|(_, value)| *value == secrets)?;
            let end = document.written(*key).bytes.end;
            let (rest, _) = line_after(text, end)?;
            if !is_end(rest.strip_prefix(':')?) {
                return None;
            }
            insert(end + 1, format!(" [{}]", flow(names)))
        }
        _ => None,
    }
}

/// Returns the text that adds the field to a pod spec without it, as its first one.
fn field(text: &str, document: &Document<'_>, spec: NodeId, names: &[&str]) -> Option<Replacement> {
    let node = document.node(spec);
    let Content::Mapping(style, Pairs { written: pairs, .. }) = &node.content else { return None };
    if *style == Style::Flow {
        let separator = if pairs.is_empty() { "" } else { ", " };
        let at = node.bytes.start + 1;
        let text = format!("\"{FIELD}\": [{}]{separator}", flow(names));
        return Some(Replacement { bytes: at..at, text });
    }
    let at = document.written(pairs.first()?.0).bytes.start;
    let indentation = line_before(text, at)?;
    let (_, newline) = line_after(text, at)?;
    let is_alone = indentation.bytes().all(|byte| byte == b' ');
    is_alone.then(|| {
        let items = block(indentation, newline, names);
        Replacement { bytes: at..at, text: format!("{FIELD}:{items}{newline}{indentation}") }
    })
}

/// Returns the text of a line before a byte.
fn line_before(text: &str, at: usize) -> Option<&str> {
    let before = text.get(..at)?;
    Some(&before[before.rfind('\n').map_or(0, |newline| newline + 1)..])
}

/// Returns the rest of a line from a byte on, and the line break of the text there.
fn line_after(text: &str, at: usize) -> Option<(&str, &'static str)> {
    let after = text.get(at..)?;
    let rest = &after[..after.find('\n').unwrap_or(after.len())];
    Some(match rest.strip_suffix('\r') {
        Some(rest) => (rest, "\r\n"),
        None => (rest, "\n"),
    })
}

/// Returns true if nothing but a comment follows on a line.
fn is_end(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

/// Returns items in block style, each with a line break before it.
fn block(indentation: &str, newline: &str, names: &[&str]) -> String {
    let mut items = String::new();
    for name in names {
        // A string accepts all that is written to it.
        let _ = write!(items, "{newline}{indentation}- name: {}", written(name));
    }
    items
}

/// Returns items in flow style, which JSON has too.
fn flow(names: &[&str]) -> String {
    let items = names.iter().map(|name| format!("{{\"name\": \"{name}\"}}"));
    items.collect::<Vec<_>>().join(", ")
}
