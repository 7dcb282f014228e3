//! Corrections of targets that make no valid image reference.

use super::problem::{is_near, text_problem, without_scheme};
use crate::{
    image::{ImageReference, is_registry},
    rules::{
        rule::Key,
        swapped_image::SwappedImage,
        target::Target,
        template::{Template, TemplateError},
    },
};

/// A corrected target. It can still be invalid.
#[derive(Debug)]
pub(super) struct Repair {
    /// The mistakes that were found, each as a clause.
    pub(super) problems: Vec<String>,
    /// The target without them, as far as possible.
    pub(super) text: String,
}

/// A mistake of a target.
struct Finding {
    /// The mistake, as a clause.
    problem: String,
    /// The target without it. It is unchanged if the correction is not known.
    text: String,
}

/// Looks for one kind of mistake in a target.
type Correction = fn(&Key, &str) -> Option<Finding>;

/// Corrects the common mistakes of a target, one kind after the other.
pub(super) fn repaired(key: &Key, target: &str) -> Repair {
    const CORRECTIONS: [Correction; 11] = [
        separator,
        quotation_marks,
        scheme,
        placeholders,
        wildcard,
        separated_port,
        tag,
        missing_port,
        slashes,
        upper_case,
        characters,
    ];
    let mut repair = Repair { problems: Vec::new(), text: target.to_owned() };
    for correct in CORRECTIONS {
        if let Some(Finding { problem, text }) = correct(key, &repair.text) {
            repair = Repair { text, ..repair };
            repair.problems.push(problem);
        }
    }
    repair
}

/// Returns the finding if the text differs from the target.
fn changed(target: &str, text: impl Into<String>, problem: &str) -> Option<Finding> {
    let text = text.into();
    (text != target).then(|| Finding { problem: problem.to_owned(), text })
}

fn separator(_: &Key, target: &str) -> Option<Finding> {
    changed(target, target.trim_start_matches(['=', '>']), "the separator is `::`")
}

fn quotation_marks(_: &Key, target: &str) -> Option<Finding> {
    changed(target, target.trim_matches(['"', '\'']), "a target has no quotation marks")
}

fn scheme(_: &Key, target: &str) -> Option<Finding> {
    changed(target, without_scheme(target), "a target has no scheme")
}

fn placeholders(key: &Key, target: &str) -> Option<Finding> {
    if !target.contains(['{', '}', '$', '<', '>', '\\']) {
        return None;
    }
    let error = Target::new(target).template_error();
    let text = match error {
        Some(_) => with_known_placeholders(target),
        None if target.contains(['$', '<', '>', '\\']) => with_known_placeholders(target),
        None => Some(target.to_owned()),
    };
    let problem = match (key, error) {
        (Key::Exact(_), _) => "the target of an [EXACT] rule is a whole image, without placeholders".into(),
        (_, Some(TemplateError::InRegistry)) => {
            "a placeholder may stand only after the first `/`".into()
        }
        (_, Some(TemplateError::Repeated)) => "each placeholder may occur only once".into(),
        (_, Some(TemplateError::Touching)) => {
            "two placeholders need a text between them, such as `/`".into()
        }
        (_, None) if text.as_deref() == Some(target) => return None,
        (_, Some(TemplateError::Unknown) | None) => {
            "the only placeholders are `{registry}` and `{path}`, and tag and digest are always kept".into()
        }
    };
    let text = text.unwrap_or_else(|| target.to_owned());
    let filled = key.exact().and_then(|image| {
        let template = Template::parse(&text).ok()??;
        Some(SwappedImage::filled(&template, &ImageReference::parse(image))?.to_string())
    });
    Some(Finding { problem, text: filled.unwrap_or(text) })
}

/// Returns the target with placeholders in place of similar ones. `None` if a placeholder is not known.
fn with_known_placeholders(target: &str) -> Option<String> {
    let mut text = target.replace("${", "{").replace("{{", "{").replace("}}", "}");
    for (open, close) in [("$(", ")"), ("<", ">")] {
        if text.contains(open) {
            text = text.replace(open, "{").replace(close, "}");
        }
    }
    for (name, placeholder) in [("$registry", Template::REGISTRY), ("$path", Template::PATH)] {
        text = text.replace(name, placeholder);
    }
    for group in ["$1", "$2", "\\1", "\\2"] {
        text = text.replace(group, Template::PATH);
    }
    let mut known = String::new();
    let mut rest = &*text;
    while let Some((literal, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        known.push_str(literal);
        rest = after;
        match meaning(name)? {
            Meaning::Placeholder(placeholder) if !known.contains(placeholder) => {
                if known.ends_with('}') {
                    known.push('/');
                }
                known.push_str(placeholder);
            }
            Meaning::Placeholder(_) | Meaning::Tag => {
                let kept = known.trim_end_matches(['/', ':', '@']).len();
                known.truncate(kept);
            }
        }
    }
    known.push_str(rest);
    Some(known)
}

/// The meaning of a name in braces.
enum Meaning {
    Placeholder(&'static str),
    /// The tag or the digest, which are always kept.
    Tag,
}

/// Returns the probable meaning of a name in braces. `None` if there is none.
fn meaning(name: &str) -> Option<Meaning> {
    let name = name.trim_matches(['.', '$', '%']).to_ascii_lowercase();
    match &*name {
        "digest" | "tag" | "version" => Some(Meaning::Tag),
        "domain" | "host" | "hostname" | "server" => Some(Meaning::Placeholder(Template::REGISTRY)),
        "image" | "name" | "repo" | "repository" => Some(Meaning::Placeholder(Template::PATH)),
        _ if is_near(&name, "registry") => Some(Meaning::Placeholder(Template::REGISTRY)),
        _ if is_near(&name, "path") => Some(Meaning::Placeholder(Template::PATH)),
        _ => None,
    }
}

fn wildcard(_: &Key, target: &str) -> Option<Finding> {
    let problem = || "a target has no wildcards".to_owned();
    let text = target.trim_end_matches(['*', '/']);
    if !target.contains('*') {
        None
    } else if target[text.len()..].starts_with('/') {
        Some(Finding { problem: problem(), text: text.to_owned() })
    } else {
        Some(Finding { problem: problem(), text: target.to_owned() })
    }
}

/// Finds a `/` between the host and the port.
fn separated_port(_: &Key, target: &str) -> Option<Finding> {
    let (host, port) = target.split_once("/:")?;
    let digits = port.split('/').next().unwrap_or_default();
    let is_port = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_port && !host.contains('/')).then(|| Finding {
        problem: "no `/` stands between the host and the port".to_owned(),
        text: format!("{host}:{port}"),
    })
}

/// Finds the tag or digest of a target to which the path of the image is added.
fn tag(key: &Key, target: &str) -> Option<Finding> {
    if key.exact().is_some() {
        return None;
    }
    let problem = "a target has no tag or digest, as those of the image are kept".to_owned();
    let Some(slash) = target.find('/') else {
        let (registry, rest) = target.split_at(end_of_registry(target)?);
        let is_tag = rest.len() > 1 || (rest == "@" && registry.contains(':'));
        return (is_tag && is_registry(registry))
            .then(|| Finding { problem, text: registry.to_owned() });
    };
    let end = slash + target[slash..].find([':', '@'])?;
    if target[end..].trim_end_matches('/').contains('/') || target.ends_with('-') {
        return Some(Finding { problem, text: target.to_owned() });
    }
    Some(Finding { problem, text: target[..end].to_owned() })
}

/// Returns the end of the host and the port with which a target without `/` starts. `None` if a bracket is not closed.
fn end_of_registry(target: &str) -> Option<usize> {
    let address = if target.starts_with('[') { target.find(']')? } else { 0 };
    let host = address + target[address..].find(['@', ':']).unwrap_or(target.len() - address);
    let rest = target[host..].strip_prefix(':').unwrap_or_default();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let is_port = digits > 0 && (digits == rest.len() || rest[digits..].starts_with([':', '@']));
    Some(if is_port { host + 1 + digits } else { host })
}

fn missing_port(_: &Key, target: &str) -> Option<Finding> {
    let text = target.trim_end_matches([':', '@']).replace(":/", "/");
    changed(target, text, "nothing follows the colon")
}

fn slashes(key: &Key, target: &str) -> Option<Finding> {
    let segments: Vec<_> = target.split('/').filter(|segment| !segment.is_empty()).collect();
    let mut text = segments.join("/");
    if key.exact().is_none() && target.ends_with('/') && !target.ends_with("//") {
        text.push('/');
    }
    changed(target, text, "one `/` stands between two segments")
}

fn upper_case(_: &Key, target: &str) -> Option<Finding> {
    let (host, path) = target.split_at(target.find('/')?);
    let name = path.find([':', '@']).unwrap_or(path.len());
    let text = format!("{host}{}{}", path[..name].to_ascii_lowercase(), &path[name..]);
    changed(target, text, "the path of an image is in lower case")
}

/// Finds characters that no image contains, other than braces. Invisible ones are removed.
fn characters(_: &Key, target: &str) -> Option<Finding> {
    let is_known = |character: char| character.is_alphanumeric() || character.is_ascii_graphic();
    let text: String = target.chars().filter(|&character| is_known(character)).collect();
    let literal = target.replace(Template::PATH, "a").replace(Template::REGISTRY, "a");
    let literal = literal.replace(['{', '}'], "a");
    Some(Finding { problem: text_problem(&literal)?.to_string(), text })
}
