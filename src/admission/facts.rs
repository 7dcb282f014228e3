//! Facts about the targets of a plan: images that their registries do not have.

use std::collections::HashSet;

use super::{Edit, Plan, Review, images::stored_images_of};
use crate::rules::{Reason, SwappedImage};

/// The known facts about the targets of a plan.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    absent: HashSet<String>,
}

impl Facts {
    /// Records images that their registry does not have.
    #[must_use]
    pub fn with_absent(images: impl IntoIterator<Item = String>) -> Self {
        Self { absent: images.into_iter().collect() }
    }

    /// Returns true if there are no facts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.absent.is_empty()
    }

    /// Returns true if the registry is known not to have the image. An image without facts counts as present.
    fn is_absent(&self, image: &SwappedImage<'_>) -> bool {
        self.absent.contains(&image.to_string())
    }
}

impl Plan<'_> {
    /// Returns the new images that a registry is to be asked for: those whose host stands in the map.
    ///
    /// A host that is built from the old image is not asked. Whoever creates a pod could name it. Neither is a registry
    /// asked for an image that the stored object has already: to apply an unchanged manifest again must change nothing.
    pub fn questions(&self, review: &Review<'_>) -> impl Iterator<Item = String> {
        let stored = if self.edits.is_empty() { HashSet::new() } else { stored_images_of(review) };
        let asked = self.edits.iter().filter(|Edit::Image { to, .. }| to.has_fixed_host());
        let images = asked.map(|Edit::Image { to, .. }| to.to_string());
        images.filter(move |image| !stored.contains(&**image))
    }

    /// Leaves the images alone whose new image the registry does not have.
    pub fn fall_back(&mut self, facts: &Facts) {
        if facts.is_empty() {
            return;
        }
        let (images, fallbacks) = (&mut self.images, &mut self.fallbacks);
        self.edits.retain(|edit| {
            let Edit::Image { to, reason, .. } = edit;
            let is_absent = facts.is_absent(to);
            if is_absent {
                images[*reason as usize].swapped -= 1;
                images[Reason::TargetAbsent as usize].left_alone += 1;
                fallbacks.push(*edit);
            }
            !is_absent
        });
        if !self.fallbacks.is_empty() {
            self.outcome = self.outcome_of_edits();
        }
    }
}
