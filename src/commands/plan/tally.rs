//! The images of many pods, counted.

use std::collections::{BTreeMap, BTreeSet};

use super::images::Planned;

/// The images of the pods that were read.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rows: BTreeMap<Row, Count>,
    /// Number of pods.
    pub(super) pods: usize,
    /// Namespaces of the pods.
    pub(super) namespaces: BTreeSet<String>,
}

/// An image with the decision on it. Images that change come first.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Row {
    /// The consequence of the decision.
    pub(super) consequence: Consequence,
    /// The image and the decision.
    pub(super) planned: Planned,
}

/// The consequence of a decision for pods.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Consequence {
    /// The image is rewritten.
    Changes,
    /// The map rewrites the image, but the webhook configuration does not select the pods.
    NotSelected,
    /// The image stays as it is.
    Stays,
}

/// The pods with an image.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// Number of pods.
    pub(super) pods: usize,
    /// Their namespaces.
    pub(super) namespaces: BTreeSet<String>,
}

impl Tally {
    /// Adds the images of a pod. The webhook is asked about it if it is selected.
    pub(super) fn add(&mut self, namespace: &str, planned: Vec<Planned>, is_selected: bool) {
        self.pods += 1;
        self.namespaces.insert(namespace.to_owned());
        let rows = planned.into_iter().map(|planned| {
            let consequence = match planned.result == planned.image {
                true => Consequence::Stays,
                false if is_selected => Consequence::Changes,
                false => Consequence::NotSelected,
            };
            Row { consequence, planned }
        });
        // Each row once, however many containers of the pod have the image.
        for row in rows.collect::<BTreeSet<_>>() {
            let count = self.rows.entry(row).or_default();
            count.pods += 1;
            count.namespaces.insert(namespace.to_owned());
        }
    }

    /// Returns the images, those that change first.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Row, &Count)> {
        self.rows.iter()
    }

    /// Returns the number of different images with a consequence.
    pub(super) fn images(&self, consequence: Consequence) -> usize {
        let rows = self.rows.keys().filter(|row| row.consequence == consequence);
        rows.map(|row| &row.planned.image).collect::<BTreeSet<_>>().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_counts_once_for_each_pod_and_consequence() {
        let planned = |image: &str, result: &str| Planned {
            image: image.to_owned(),
            result: result.to_owned(),
            reason: "default",
            rule: None,
        };
        let mut tally = Tally::default();
        let twice = || vec![planned("a", "d.io/a"), planned("a", "d.io/a"), planned("b", "b")];
        tally.add("shop", twice(), true);
        tally.add("team", twice(), true);
        tally.add("shop", twice(), false);
        let rows = tally.rows().map(|(row, count)| {
            (row.consequence, &*row.planned.image, count.pods, count.namespaces.len())
        });
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [
                (Consequence::Changes, "a", 2, 2),
                (Consequence::NotSelected, "a", 1, 1),
                (Consequence::Stays, "b", 3, 2),
            ]
        );
        assert_eq!((tally.pods, tally.images(Consequence::Changes)), (3, 1));
    }
}
