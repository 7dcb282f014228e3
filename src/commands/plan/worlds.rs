//! The rules that `plan` decides by, and those of the map that is compared with.

use std::{io::Write, sync::Arc};

use super::{
    super::load_map_of_flag,
    PlanArguments,
    images::{self, Planned, ReviewedObject},
    tally::Row,
};
use crate::{
    admission::{ReviewError, World},
    kubernetes::Selected,
};

/// The rules by which images are decided.
pub(super) struct Worlds {
    /// The map, and everything else.
    pub(super) new: World,
    /// The same with the map that is compared with, if there is one.
    pub(super) against: Option<World>,
}

impl Worlds {
    /// Returns the rows of an object.
    ///
    /// # Errors
    /// If the object cannot be read as part of a review.
    pub(super) fn rows(
        &self,
        object: &ReviewedObject<'_>,
        selected: Selected,
    ) -> Result<Vec<Row>, ReviewError> {
        self.compared(object, images::of(object, &self.new)?, selected)
    }

    /// Returns the rows of an object with these decisions, with those of the map that is compared with, if there is one.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub(super) fn compared(
        &self,
        object: &ReviewedObject<'_>,
        new: Vec<Planned>,
        selected: Selected,
    ) -> Result<Vec<Row>, ReviewError> {
        let Some(old) = &self.against else {
            return Ok(new.into_iter().map(|new| Row::new(new, None, selected)).collect());
        };
        let both = new.into_iter().zip(images::of(object, old)?);
        Ok(both.map(|(new, old)| Row::new(new, Some(old), selected)).collect())
    }
}

/// Loads the rules, and writes their mistakes to `errors`.
///
/// # Errors
/// If a map or the file with sites cannot be used.
pub(super) fn load(arguments: &PlanArguments, errors: &mut impl Write) -> anyhow::Result<Worlds> {
    let new = arguments.world.load(errors)?;
    let mut against = None;
    if let Some(file) = &arguments.against {
        let policy = Arc::new(load_map_of_flag("--against", file, errors)?.policy);
        against = Some(World { policy, ..new.clone() });
    }
    Ok(Worlds { new, against })
}
