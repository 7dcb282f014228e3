//! The images of many objects, counted.

use std::collections::{BTreeMap, BTreeSet};

use super::images::Planned;
use crate::{kubernetes::Selected, registry::Presence, rules::Reason};

/// The images of the objects that were read.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rows: BTreeMap<Row, Count>,
    /// Number of pods and of workloads.
    pub(super) objects: [usize; Counted::ALL.len()],
    /// Namespaces of the objects.
    pub(super) namespaces: BTreeSet<String>,
    /// Images of pods that a map has rewritten before, without a record of the original.
    pub(super) unrecorded: BTreeSet<String>,
    /// The new images that registries were asked for.
    pub(super) targets: BTreeMap<String, Presence>,
    /// The reasons why registries did not say whether they have an image.
    pub(super) unknown: Vec<String>,
    /// Number of pods with changes, by the kind of their owner, of those kinds that have sites.
    pub(super) owners: BTreeMap<String, usize>,
}

/// An object that is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Counted {
    /// A pod.
    Pod,
    /// Anything else that has images.
    Workload,
}

/// An image with the decision on it. Images that change come first.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Row {
    /// The consequence of the decision.
    pub(super) consequence: Consequence,
    /// The image and the decision.
    pub(super) planned: Planned,
    /// The decision of the map that is compared with, if there is one.
    pub(super) against: Option<Planned>,
    /// The original image, if the webhook has rewritten and recorded it.
    pub(super) original: Option<String>,
}

/// The consequence of a decision.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Consequence {
    /// The image is rewritten, or differs between the two maps.
    Changes,
    /// The image was rewritten by an older map, and would be another one now.
    OlderMap,
    /// As `Changes`, but the selectors of the webhook configuration do not match.
    NotSelected,
    /// As `Changes`, but no rule of the webhook configuration is for the resource.
    NoRule,
    /// The image stays as it is, or is the same by both maps.
    Stays,
}

/// The objects with an image.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// Number of pods and of workloads.
    pub(super) objects: [usize; Counted::ALL.len()],
    /// Their namespaces.
    pub(super) namespaces: BTreeSet<String>,
}

impl Counted {
    const ALL: [Self; 2] = [Self::Pod, Self::Workload];
}

impl Row {
    /// Creates the row of an image of an object.
    pub(super) fn new(planned: Planned, against: Option<Planned>, selected: Selected) -> Self {
        let differs = match &against {
            Some(against) => against.result != planned.result,
            None => planned.result != planned.image,
        };
        let consequence = match selected {
            _ if !differs => Consequence::Stays,
            Selected::Yes => Consequence::Changes,
            Selected::NotByLabels => Consequence::NotSelected,
            Selected::NoRule => Consequence::NoRule,
        };
        Self { consequence, planned, against, original: None }
    }

    /// Creates the row of an image that the webhook has rewritten: `running` in the pod, from the image of `original`.
    pub(super) fn rewritten(running: String, original: Planned, selected: Selected) -> Self {
        let is_current = original.result == running;
        let reason = if is_current { Reason::AlreadySwapped.as_str() } else { original.reason };
        let Planned { image, result, rule, is_verifiable, .. } = original;
        let planned = Planned { image: running, result, reason, rule, is_verifiable };
        let mut row = Self::new(planned, None, selected);
        if row.consequence == Consequence::Changes {
            row.consequence = Consequence::OlderMap;
        }
        Self { original: Some(image), ..row }
    }

    /// Returns true if the image of a selected object changes.
    pub(super) fn is_change(&self) -> bool {
        matches!(self.consequence, Consequence::Changes | Consequence::OlderMap)
    }

    /// Returns true if the image of a pod is already under a target of a map, so that its original is not known.
    pub(super) fn is_unrecorded(&self) -> bool {
        let is_swapped = |planned: &Planned| planned.reason == Reason::AlreadySwapped.as_str();
        is_swapped(&self.planned) || self.against.as_ref().is_some_and(is_swapped)
    }
}

impl Tally {
    /// Adds the images of an object. Each row counts once, however many containers have the image.
    pub(super) fn add(&mut self, counted: Counted, namespace: &str, rows: BTreeSet<Row>) {
        self.objects[counted as usize] += 1;
        self.namespaces.insert(namespace.to_owned());
        for row in rows {
            let count = self.rows.entry(row).or_default();
            count.objects[counted as usize] += 1;
            count.namespaces.insert(namespace.to_owned());
        }
    }

    /// Adds the images of another tally.
    pub(super) fn merge(&mut self, other: Self) {
        let sum = |sum: &mut [usize; 2], more: [usize; 2]| {
            sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        };
        sum(&mut self.objects, other.objects);
        self.namespaces.extend(other.namespaces);
        self.unrecorded.extend(other.unrecorded);
        for (owner, pods) in other.owners {
            *self.owners.entry(owner).or_default() += pods;
        }
        for (row, more) in other.rows {
            let count = self.rows.entry(row).or_default();
            sum(&mut count.objects, more.objects);
            count.namespaces.extend(more.namespaces);
        }
    }

    /// Returns the images, those that change first.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Row, &Count)> {
        self.rows.iter()
    }

    /// Returns the number of different images with one of these consequences.
    pub(super) fn images(&self, consequences: &[Consequence]) -> usize {
        let rows = self.rows.keys().filter(|row| consequences.contains(&row.consequence));
        rows.map(|row| &row.planned.image).collect::<BTreeSet<_>>().len()
    }

    /// Returns the new images of selected objects that registries can be asked for.
    pub(super) fn verifiable(&self) -> BTreeSet<String> {
        let rows = self.rows.keys().filter(|row| row.is_change() && row.planned.is_verifiable);
        rows.map(|row| row.planned.result.clone()).collect()
    }

    /// Returns the knowledge about the new image of a row; `None` if no registry was asked for it.
    pub(super) fn target(&self, row: &Row) -> Option<Presence> {
        let is_asked = row.is_change() && row.planned.is_verifiable;
        self.targets.get(&row.planned.result).copied().filter(|_| is_asked)
    }

    /// Returns the number of new images of selected objects for which no registry was asked.
    pub(super) fn not_asked(&self) -> usize {
        let changes = self.rows.keys().filter(|row| row.is_change());
        let not_asked = changes
            .filter(|row| row.planned.result != row.planned.image && self.target(row).is_none());
        not_asked.map(|row| &row.planned.result).collect::<BTreeSet<_>>().len()
    }

    /// Returns the number of new images with this result.
    pub(super) fn targets_with(&self, presence: Presence) -> usize {
        self.targets.values().filter(|&&it| it == presence).count()
    }

    /// Returns true if an image of a selected object changes.
    pub(super) fn has_changes(&self) -> bool {
        self.images(&[Consequence::Changes, Consequence::OlderMap]) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(image: &str, result: &str) -> Planned {
        Planned {
            image: image.to_owned(),
            result: result.to_owned(),
            reason: "default",
            rule: None,
            is_verifiable: true,
        }
    }

    #[test]
    fn an_image_counts_once_for_each_object_and_consequence() {
        let rows = |selected| {
            let rows = [planned("a", "d.io/a"), planned("a", "d.io/a"), planned("b", "b")];
            rows.into_iter().map(|planned| Row::new(planned, None, selected)).collect()
        };
        let (mut tally, mut other) = (Tally::default(), Tally::default());
        tally.add(Counted::Pod, "shop", rows(Selected::Yes));
        tally.add(Counted::Pod, "team", rows(Selected::Yes));
        tally.add(Counted::Pod, "shop", rows(Selected::NotByLabels));
        other.add(Counted::Workload, "web", rows(Selected::Yes));
        other.add(Counted::Workload, "web", rows(Selected::NoRule));
        tally.merge(other);
        let rows = tally.rows().map(|(row, count)| {
            (row.consequence, &*row.planned.image, count.objects, count.namespaces.len())
        });
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [
                (Consequence::Changes, "a", [2, 1], 3),
                (Consequence::NotSelected, "a", [1, 0], 1),
                (Consequence::NoRule, "a", [0, 1], 1),
                (Consequence::Stays, "b", [3, 2], 3),
            ]
        );
        assert_eq!((tally.objects, tally.images(&[Consequence::Changes])), ([3, 2], 1));
        assert!(tally.has_changes());
    }

    #[test]
    fn a_row_says_how_two_maps_differ() {
        for (new, old, expected) in [
            ("d.io/a", "d.io/a", Consequence::Stays),
            ("d.io/a", "a", Consequence::Changes),
            ("a", "d.io/a", Consequence::Changes),
        ] {
            let row = Row::new(planned("a", new), Some(planned("a", old)), Selected::Yes);
            assert_eq!(row.consequence, expected, "{new} {old}");
        }
    }

    #[test]
    fn a_rewritten_image_is_of_this_map_or_of_an_older_one() {
        for (running, selected, expected, reason) in [
            ("d.io/a", Selected::Yes, Consequence::Stays, "already-swapped"),
            ("old.io/a", Selected::Yes, Consequence::OlderMap, "default"),
            ("old.io/a", Selected::NotByLabels, Consequence::NotSelected, "default"),
        ] {
            let row = Row::rewritten(running.to_owned(), planned("a", "d.io/a"), selected);
            assert_eq!((row.consequence, row.planned.reason), (expected, reason), "{running}");
            assert_eq!(row.original.as_deref(), Some("a"));
        }
    }
}
