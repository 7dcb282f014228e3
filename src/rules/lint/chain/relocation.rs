//! The text that a rule adds to the images that it rewrites.

use super::made::{Continuation, MadeImages};
use crate::{
    image::{DOCKER_HUB, LIBRARY},
    rules::{
        glob::Glob,
        rule::{Key, Rule},
        template::{Part, Template},
    },
};

/// The way in which a glob claims new images.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Claim {
    /// It claims them whatever the case of the host.
    Any,
    /// It claims only images whose old host is written with upper-case letters.
    UpperCaseHosts,
}

/// The text that a rule adds to an image, in order. Between the texts are parts of the old image.
#[derive(Default)]
pub(super) struct Relocation {
    /// The texts that a new image can start with.
    starts: Vec<String>,
    /// The texts that can follow later in a new image.
    later: Vec<String>,
    host: OldHost,
    /// True if parts of the old image are in another order.
    is_reordered: bool,
}

/// The place of the old image's host in the new image, where it is in lower case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum OldHost {
    /// It is not in the new image.
    #[default]
    Dropped,
    /// It is before the path. Its port is dropped.
    WithoutPort,
    /// It is in the path, followed by `-` and its port.
    WithPort,
}

impl Relocation {
    /// Returns the text that `rule` adds. The rule is not an `[EXACT]` rule.
    pub(super) fn by(rule: &Rule) -> Self {
        if let Some(template) = rule.target.template() {
            return Self::by_template(template, Self::may_be_docker_hub(rule));
        }
        let base = rule.target.base();
        if rule.target.is_prefix() {
            let mut starts = vec![base.to_owned()];
            if matches!(rule.key, Key::Replace(_)) {
                return Self { starts, ..Self::default() };
            }
            if Self::may_be_docker_hub(rule) {
                // The host follows the prefix. For a shorthand it is Docker Hub.
                starts.push(format!("{base}{DOCKER_HUB}/"));
            }
            return Self { starts, host: OldHost::WithoutPort, ..Self::default() };
        }
        let starts = MadeImages::of(rule).continuations.into_iter().flat_map(|continuation| {
            match continuation {
                Continuation::AnyText => vec![base.to_owned()],
                Continuation::Path => vec![format!("{base}/")],
                Continuation::Port => vec![format!("{base}:")],
                Continuation::Tag => vec![format!("{base}:"), format!("{base}@"), base.to_owned()],
            }
        });
        Self { starts: starts.collect(), ..Self::default() }
    }

    /// Returns true if the images of `rule` can be those of Docker Hub, which need not name their registry.
    pub(super) fn may_be_docker_hub(rule: &Rule) -> bool {
        match &rule.key {
            Key::Registry(key) => {
                key.starts_with(Key::WILDCARD) || key.split('/').next() == Some(DOCKER_HUB)
            }
            _ => true,
        }
    }

    fn by_template(template: &Template, may_be_docker_hub: bool) -> Self {
        let position = |part: &Part| template.parts().iter().position(|other| other == part);
        let registry = position(&Part::Registry);
        let mut relocation = Self {
            host: if registry.is_some() { OldHost::WithPort } else { OldHost::Dropped },
            is_reordered: registry > position(&Part::Path),
            ..Self::default()
        };
        let images = if may_be_docker_hub {
            // The new image of an official image is the same if it is written with its registry.
            &[OldImage::WithRegistry, OldImage::Shorthand, OldImage::Official][..]
        } else {
            &[OldImage::WithRegistry]
        };
        for &image in images {
            let mut added = added_by(template, image).into_iter();
            relocation.starts.extend(added.next());
            relocation.later.extend(added);
        }
        relocation
    }

    /// Returns the claim of `glob` on the new images, if the old ones match no glob.
    pub(super) fn claim(&self, glob: &Glob) -> Option<Claim> {
        let Some(tail) = glob.after_leading_stars() else {
            let claims = self.starts.iter().any(|start| glob.matches_some_extension_of(start));
            return claims.then_some(Claim::Any);
        };
        // A match within a part of the old image would also match the old image. So only a match that includes some of
        // the added text counts.
        let claims = self.starts.iter().any(|start| starts_within(&tail, start))
            || self.later.iter().any(|text| glob.touches(text))
            || (self.host == OldHost::WithPort && glob.touches_port())
            || (self.host == OldHost::WithoutPort && glob.spans_slash())
            || self.is_reordered;
        if claims {
            Some(Claim::Any)
        } else {
            (self.host != OldHost::Dropped && glob.has_lower_case_letter())
                .then_some(Claim::UpperCaseHosts)
        }
    }
}

/// A way in which an image is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum OldImage {
    /// An official image of Docker Hub, without registry.
    Official,
    /// Another image of Docker Hub, without registry.
    Shorthand,
    WithRegistry,
}

/// Returns the texts that a template adds to an image.
fn added_by(template: &Template, image: OldImage) -> Vec<String> {
    let is_shorthand = image != OldImage::WithRegistry;
    // Between two of the texts is a part of the old image.
    let mut added = vec![String::new()];
    let parts = template.parts();
    for (index, part) in parts.iter().enumerate() {
        let text = match part {
            Part::Literal(text) => {
                let before = index.checked_sub(1).and_then(|index| parts.get(index));
                let is_in_old_image = &**text == "/"
                    && before == Some(&Part::Registry)
                    && parts.get(index + 1) == Some(&Part::Path);
                if is_in_old_image && !is_shorthand { "" } else { text }
            }
            Part::Path if image == OldImage::Official => &format!("{LIBRARY}/"),
            Part::Registry if is_shorthand => DOCKER_HUB,
            Part::Path | Part::Registry => "",
        };
        if let Some(last) = added.last_mut() {
            last.push_str(text);
        }
        if *part == Part::Path || (*part == Part::Registry && !is_shorthand) {
            added.push(String::new());
        }
    }
    let start = added.remove(0);
    added.retain(|text| !text.is_empty());
    std::iter::once(start).chain(added).collect()
}

/// Returns true if `tail` can match a text that starts within `text` and continues with any text.
fn starts_within(tail: &Glob, text: &str) -> bool {
    text.char_indices().any(|(start, _)| tail.matches_some_extension_of(&text[start..]))
}
