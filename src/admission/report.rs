//! The records of the changes that a review makes: audit annotations, warnings, and an annotation of the pod.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::{Display, Write},
};

use serde_json::json;

use super::{
    Edit, ImageName, Mode, Reporting,
    annotations::{Annotations, MAX_ANNOTATION_BYTES, ORIGINAL_ANNOTATION, SKIP_ANNOTATION},
    answer::{Answer, PatchOperation},
    image_name::VOLUMES,
    pull_secrets::AddedSecret,
};
use crate::{
    excerpt::{MAX_VALUE_BYTES, excerpt},
    fnv::fnv1a,
};

/// Maximum size of the value of an audit annotation, in bytes. A pod of a hundred containers needs about this much.
const MAX_AUDIT_BYTES: usize = 10 * 1024;

/// Maximum size of the number of changes that an audit annotation leaves out, in bytes.
const MAX_REST_BYTES: usize = "; 4294967295 more".len();

/// Size of a change in an audit annotation that is reserved, in bytes: two images, a name and a location.
const RESERVED_BYTES: usize = 160;

/// Maximum number of changes for which memory is reserved at once.
const MAX_RESERVED_CHANGES: usize = 16;

/// Maximum number of warnings of a review. The API server cuts all warnings of a request to 4 KiB.
const MAX_WARNINGS: usize = 5;

const TOO_MANY_IMAGES: &str =
    "imageswap: the object has too many images, so all of them stay as written";

/// Maximum size of a warning in bytes: the API server may cut longer ones
/// (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response>).
const MAX_WARNING_BYTES: usize = 256;

/// Maximum size of an image in a warning, in bytes: two of them, a name and a location mostly fit into a warning.
const MAX_WARNED_IMAGE_BYTES: usize = 96;

/// Maximum length of the name of a container, or of `volumes/NAME`, in bytes: names are DNS labels (RFC 1123).
const MAX_NAME_BYTES: usize = VOLUMES.len() + 63;

/// The changes of an object, and what their records need besides.
pub(super) struct Changes<'p> {
    /// The consequences of the decisions.
    pub(super) mode: Mode,
    /// The changed images.
    pub(super) edits: &'p [Edit<'p>],
    /// The pull secrets that are added.
    pub(super) pull_secrets: &'p [AddedSecret<'p>],
    /// The changes that are not made, because the registry does not have the new image.
    pub(super) fallbacks: &'p [Edit<'p>],
    /// Names that an annotation excludes, but that no image of the object has.
    pub(super) unknown_exclusions: &'p [String],
    /// True if the object is left alone, because it has too many images.
    pub(super) has_too_many_images: bool,
    /// The annotations of the object, if it may be annotated.
    pub(super) annotations: Option<&'p Annotations<'p>>,
}

impl Changes<'_> {
    /// Adds the records to an answer.
    pub(super) fn report(&self, reporting: Reporting, answer: &mut Answer<'_>) {
        answer.warnings = self.warnings(reporting.warns);
        if reporting.audits && self.total() > 0 {
            answer.audit_annotations.push(self.audit());
        }
        if reporting.annotates {
            answer.patch.extend(self.annotation());
        }
    }

    /// Returns the audit annotation. Its key depends on the value, because a second call for the same object, after
    /// another webhook has changed it, cannot replace the annotation of the first.
    fn audit(&self) -> (String, String) {
        let total = self.total();
        let mut value = String::with_capacity(total.min(MAX_RESERVED_CHANGES) * RESERVED_BYTES);
        for index in 0..total {
            let before = value.len();
            if index > 0 {
                value.push_str("; ");
            }
            self.push_change(index, MAX_VALUE_BYTES, &mut value);
            if value.len() + MAX_REST_BYTES > MAX_AUDIT_BYTES {
                value.truncate(before);
                // Writing to a string cannot fail.
                let _ = write!(value, "; {} more", total - index);
                break;
            }
        }
        let prefix = match self.mode {
            Mode::Enforce => "images",
            Mode::Shadow => "shadow-images",
        };
        let hash = fnv1a(&value);
        // Half of the bits, with the influence of all.
        (format!("{prefix}-{:08x}", (hash ^ (hash >> u32::BITS)) & u64::from(u32::MAX)), value)
    }

    /// Returns the warnings: an object with too many images, names in [`SKIP_ANNOTATION`] that no image has, images that
    /// the registry does not have, and the changes if they are `shown`.
    fn warnings(&self, shown: bool) -> Vec<String> {
        let changes = if shown { self.total() } else { self.fallbacks.len() };
        if self.has_too_many_images {
            return vec![TOO_MANY_IMAGES.to_owned()];
        }
        let total = self.unknown_exclusions.len() + changes;
        if total == 0 {
            return Vec::new();
        }
        let unknown = self.unknown_exclusions.iter().map(|name| {
            let name = name_for_records(name);
            let missing = if name.starts_with('/') { "image at" } else { "container" };
            format!("imageswap: annotation {SKIP_ANNOTATION}: there is no {missing} {name}")
        });
        let mode = match self.mode {
            Mode::Enforce => "",
            Mode::Shadow => "shadow: ",
        };
        let changes = (0..changes).map(|index| {
            let mut warning = format!("imageswap: {mode}");
            self.push_change(index, MAX_WARNED_IMAGE_BYTES, &mut warning);
            warning
        });
        let shown = if total > MAX_WARNINGS { MAX_WARNINGS - 1 } else { total };
        let warnings = unknown.chain(changes).take(shown);
        let mut warnings: Vec<_> =
            warnings.map(|warning| excerpt(&warning, MAX_WARNING_BYTES).into_owned()).collect();
        if total > shown {
            warnings.push(format!("imageswap: {} more", total - shown));
        }
        warnings
    }

    /// Returns the number of changes, with those that are not made.
    fn total(&self) -> usize {
        self.fallbacks.len() + self.edits.len() + self.pull_secrets.len()
    }

    /// Appends a change to `text`, with images of at most `max_bytes` each. The changes that are not made come first, then
    /// the images, then the pull secrets.
    fn push_change(&self, index: usize, max_bytes: usize, text: &mut String) {
        let image = index.checked_sub(self.fallbacks.len());
        if let Some(fallback) = self.fallbacks.get(index) {
            push_image(fallback, " kept, the registry does not have ", max_bytes, text);
        } else if let Some(edit) = image.and_then(|index| self.edits.get(index)) {
            push_image(edit, " -> ", max_bytes, text);
        } else if let Some(AddedSecret { name, line }) =
            image.and_then(|index| self.pull_secrets.get(index - self.edits.len()))
        {
            text.push_str("imagePullSecrets: ");
            text.push_str(name);
            text.push_str(" added");
            push_location(&line.location(), text);
        }
    }

    /// Returns the operation that annotates the pod with its original images, besides those that it already has. `None`
    /// if nothing changes, or if the API server would refuse the pod for the size of its annotations.
    fn annotation(&self) -> Option<PatchOperation<'static>> {
        if self.edits.is_empty() {
            return None;
        }
        let annotations = self.annotations.filter(|it| it.bytes <= MAX_ANNOTATION_BYTES)?;
        let before = annotations.original.get();
        // A text of another form was not written by this program.
        let mut images: BTreeMap<String, String> =
            before.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        for Edit::Image { name, from, .. } in self.edits {
            images.insert(name.to_string(), (*from).to_owned());
        }
        let value = serde_json::to_string(&images).ok()?;
        let bytes = annotations.bytes + ORIGINAL_ANNOTATION.len() + value.len();
        if before == Some(&*value) || bytes > MAX_ANNOTATION_BYTES {
            return None;
        }
        Some(if annotations.is_present {
            let key = ORIGINAL_ANNOTATION.replace('/', "~1");
            let path = format!("/metadata/annotations/{key}");
            PatchOperation::Add { path, value: value.into() }
        } else {
            let value = json!({ ORIGINAL_ANNOTATION: value });
            PatchOperation::Add { path: "/metadata/annotations".to_owned(), value }
        })
    }
}

/// Appends an image, what happens to it in words, the new image, and the location of the rule.
fn push_image(edit: &Edit<'_>, happens: &str, max_bytes: usize, text: &mut String) {
    let Edit::Image { name, from, to, rule, .. } = edit;
    push_name(name, text);
    text.push_str(": ");
    text.push_str(&excerpt(from, max_bytes));
    text.push_str(happens);
    let start = text.len();
    to.append_to(text);
    if let Cow::Owned(cut) = excerpt(&text[start..], max_bytes) {
        text.truncate(start);
        text.push_str(&cut);
    }
    if let Some(rule) = rule {
        push_location(&rule.location(), text);
    }
}

/// Appends the location of a rule in parentheses.
fn push_location(location: &impl Display, text: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(text, " ({location})");
}

/// Appends the name of an image.
fn push_name(name: &ImageName<'_>, text: &mut String) {
    let name = match name {
        ImageName::Container(name) | ImageName::Site(name) => name,
        ImageName::Volume(name) => {
            text.push_str(VOLUMES);
            name
        }
    };
    text.push_str(&name_for_records(name));
}

/// Returns the name of an image for a record. JSON Pointers may be longer than names of containers.
fn name_for_records(name: &str) -> Cow<'_, str> {
    excerpt(name, if name.starts_with('/') { MAX_VALUE_BYTES } else { MAX_NAME_BYTES })
}
