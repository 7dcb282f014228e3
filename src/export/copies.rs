//! The images that have to be in the mirror: those that change in the output of `imageswap plan --output json`, each with
//! its source and its target, for skopeo and regsync.
//!
//! Both programs copy all platforms and keep digests. skopeo takes no reference with a tag and a digest, so the digest
//! decides what is copied, and the copy gets the tag of the new image. Two different sources are never copied to the same
//! target.

use std::{collections::BTreeMap, fmt::Write};

use serde::Deserialize;

use super::{Exported, ExportedFile, Remark, shown};
use crate::image::{ImageReference, is_valid_reference};

/// Maximum number of images.
pub const MAX_COPIES: usize = 100_000;

/// The images to copy.
#[derive(Clone, Debug, Default)]
pub struct Copies {
    /// Sources by their targets; `None` if a target has several.
    copies: BTreeMap<String, Option<String>>,
    left_out: Vec<Remark>,
}

/// The fields of a line of a plan that matter here.
#[derive(Deserialize)]
struct Line {
    image: String,
    result: String,
    changes: bool,
}

/// The reason why a line cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is not a line of a plan.
    #[error("not a line of `imageswap plan --output json`: {0}")]
    Json(serde_json::Error),
    /// There are too many images.
    #[error("more than {MAX_COPIES} images")]
    TooMany,
}

impl Copies {
    /// Adds a line of a plan. A line of an image that does not change adds nothing.
    ///
    /// # Errors
    /// If it is not a line of a plan, or there are too many images.
    pub fn add(&mut self, number: u32, line: &str) -> Result<(), LineError> {
        let Line { image, result, changes } =
            serde_json::from_str(line).map_err(LineError::Json)?;
        if !changes {
            return Ok(());
        }
        if self.copies.len() == MAX_COPIES {
            return Err(LineError::TooMany);
        }
        match (full_name(&image), full_name(&result)) {
            // A map that is compared with another one can leave alone what differs.
            (Some(old), Some(new)) if old == new => {}
            (Some([name, tag, digest]), Some([target, new_tag, new_digest])) => {
                let exact = if digest.is_empty() { &tag } else { &digest };
                let kept = if new_tag.is_empty() { &new_digest } else { &new_tag };
                let (source, target) = (format!("{name}{exact}"), format!("{target}{kept}"));
                if !new_digest.is_empty() && new_digest != digest {
                    self.leave_out(number, &image, "the map gives it another digest".to_owned());
                    return Ok(());
                }
                let known =
                    self.copies.entry(target.clone()).or_insert_with(|| Some(source.clone()));
                if known.as_ref() != Some(&source) {
                    let other = known.take().unwrap_or_else(|| "several images".to_owned());
                    let target = shown(&target);
                    let reason =
                        format!("{other} would be copied to `{target}` too, so neither is");
                    self.leave_out(number, &image, reason);
                }
            }
            _ => {
                let reason = "image or result is not a valid reference".to_owned();
                self.leave_out(number, &image, reason);
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, line: u32, image: &str, text: String) {
        self.left_out.push(Remark { line, key: shown(image), text });
    }

    /// Returns the sources with their targets.
    fn pairs(&self) -> impl Iterator<Item = (&String, &String)> {
        self.copies.iter().filter_map(|(target, source)| Some((source.as_ref()?, target)))
    }

    /// Returns a script that copies the images by skopeo
    /// (<https://github.com/containers/skopeo/blob/main/docs/skopeo-copy.1.md>).
    #[must_use]
    pub fn skopeo(self) -> Exported {
        let mut text = String::from(
            "\
#!/bin/sh
# Copies what a plan needs into the mirror: each image with all platforms, under the same digest.
# Written by `imageswap export --to skopeo`. If a copy fails, the others are still made, and the exit code is 1.
failed=0
copy() { skopeo copy --all --preserve-digests \"docker://$1\" \"docker://$2\" || failed=1; }
",
        );
        for (source, target) in self.pairs() {
            // Writing to a string cannot fail. A valid reference contains no quote.
            let _ = writeln!(text, "copy '{source}' '{target}'");
        }
        text.push_str("exit \"$failed\"\n");
        self.exported("copy-images.sh", text)
    }

    /// Returns a configuration of regsync (<https://regclient.org/usage/regsync/>).
    #[must_use]
    pub fn regsync(self) -> Exported {
        let mut text = String::from(
            "\
# What a plan needs in the mirror: each image with all platforms, under the same digest.
# Written by `imageswap export --to regsync`. Copy with `regsync once`; an image that cannot be copied is an error.
version: 1
sync:",
        );
        text.push_str(if self.pairs().next().is_none() { " []\n" } else { "\n" });
        for (source, target) in self.pairs() {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "  - source: \"{source}\"\n    target: \"{target}\"\n    type: image"
            );
        }
        self.exported("regsync.yaml", text)
    }

    fn exported(self, path: &str, text: String) -> Exported {
        let file = ExportedFile { path: path.to_owned(), text };
        Exported { files: vec![file], left_out: self.left_out, notes: Vec::new() }
    }
}

/// Returns the full name of an image, its tag and its digest with their separators. `None` if it is not valid.
fn full_name(image: &str) -> Option<[String; 3]> {
    let parsed = ImageReference::parse(image);
    let name = format!("{}/{}{}", parsed.registry(), parsed.library_prefix(), parsed.repository());
    let suffix = parsed.tag_and_digest();
    if !is_valid_reference(&format!("{name}{suffix}")) {
        return None;
    }
    let (tag, digest) = suffix.split_at(suffix.find('@').unwrap_or(suffix.len()));
    // Without both, the tag is the one that programs add.
    let tag = if suffix.is_empty() { ":latest" } else { tag };
    Some([name, tag.to_owned(), digest.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7";

    fn added(image: &str, result: &str, changes: bool) -> Copies {
        let line =
            serde_json::json!({ "image": image, "result": result, "changes": changes, "pods": 1 });
        let mut copies = Copies::default();
        copies.add(1, &line.to_string()).unwrap();
        copies
    }

    #[test]
    fn an_image_that_changes_is_copied_by_its_digest_or_its_tag() {
        for (suffix, source, target) in [
            ("", ":latest", ":latest"),
            (":1", ":1", ":1"),
            (DIGEST, DIGEST, DIGEST),
            (&format!(":1{DIGEST}"), DIGEST, ":1"),
        ] {
            let copies = added(&format!("nginx{suffix}"), &format!("h.io/nginx{suffix}"), true);
            let expected =
                (format!("docker.io/library/nginx{source}"), format!("h.io/nginx{target}"));
            let found: Vec<_> = copies.pairs().map(|(a, b)| (a.clone(), b.clone())).collect();
            assert_eq!(found, [expected], "{suffix}");
        }
        assert!(added("nginx", "nginx", false).copies.is_empty());
        // A comparison of two maps: this one leaves the image alone.
        assert!(added("quay.io/a:1", "quay.io/a:1", true).copies.is_empty());
    }

    #[test]
    fn a_copy_has_the_tag_of_the_new_image() {
        let copies = added("nginx:1", "h.io/web:2", true);
        let expected = Some("docker.io/library/nginx:1".to_owned());
        assert_eq!(copies.copies["h.io/web:2"], expected);
        let other = added("nginx:1", &format!("h.io/web{DIGEST}"), true);
        assert_eq!((other.copies.len(), other.left_out.len()), (0, 1));
    }

    #[test]
    fn two_images_are_not_copied_to_the_same_target() {
        let mut copies = Copies::default();
        for image in ["ghcr.io/a:1", "quay.io/a:1", "ghcr.io/a:1"] {
            let line = serde_json::json!({ "image": image, "result": "d.io/a:1", "changes": true });
            copies.add(1, &line.to_string()).unwrap();
        }
        assert_eq!(copies.pairs().count(), 0);
        assert!(
            copies.left_out[0].text.starts_with("ghcr.io/a:1 would be copied to `d.io/a:1` too")
        );
    }

    #[test]
    fn what_is_no_reference_is_left_out() {
        let copies = added("$(rm)", "h.io/x", true);
        assert!(copies.copies.is_empty());
        assert_eq!(copies.left_out[0].key, "$(rm)");
    }
}
