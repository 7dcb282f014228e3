//! Fields of which only one fact is read, without a copy of their value.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::json::{Read, Reader, Result};

/// The value of the label that turns swapping off.
const DISABLED: &str = "disabled";

/// The pull policy of an image that must already be on the node
/// (<https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy>).
pub(super) const NEVER: &str = "Never";

/// The keys of a JSON object whose value is the string `disabled`.
///
/// This is a set because the labels are not validated yet, and there may be a hundred thousand of them.
#[derive(Debug, Default)]
pub(super) struct DisabledLabels(HashSet<Vec<u8>, RandomState>);

/// True if a JSON array of owner references names a controller.
#[derive(Debug, Default)]
pub(super) struct ControllerReference(bool);

/// True if a JSON value is the pull policy `Never`.
#[derive(Debug, Default)]
pub(super) struct NeverPulled(bool);

impl DisabledLabels {
    /// Returns true if the label `name` has the value `disabled`.
    #[must_use]
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains(name.as_bytes())
    }
}

impl ControllerReference {
    /// Returns true if a controller owns the object, as a Deployment owns a ReplicaSet.
    #[must_use]
    pub(super) fn is_present(&self) -> bool {
        self.0
    }
}

impl NeverPulled {
    /// Returns true if the pull policy is `Never`.
    #[must_use]
    pub(super) fn is_set(&self) -> bool {
        self.0
    }
}

impl<'a> Read<'a> for DisabledLabels {
    fn read(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.0.clear();
        reader.object(|name, reader| {
            if !self.0.is_empty() {
                self.0.remove(name);
            }
            if reader.string()?.as_deref() == Some(DISABLED) {
                self.0.insert(name.to_owned());
            }
            Ok(())
        })?;
        Ok(())
    }
}

impl<'a> Read<'a> for ControllerReference {
    fn read(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.0 = false;
        reader.array(|reader| {
            let mut is_controller = false;
            reader.object(|name, reader| {
                if name == b"controller" {
                    is_controller = reader.is_true()?;
                    return Ok(());
                }
                reader.skip()
            })?;
            self.0 |= is_controller;
            Ok(())
        })
    }
}

impl<'a> Read<'a> for NeverPulled {
    fn read(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.0 = reader.string()?.as_deref() == Some(NEVER);
        Ok(())
    }
}
