//! Fields of which only one fact is read, without a copy of their value.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::json::{self, Read, Reader, Result};

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
    fn read(&mut self, reader: &mut Reader<'a>, rest: &'a [u8]) -> Result<&'a [u8]> {
        self.0.clear();
        reader.object(rest, |name, reader, rest| {
            if !self.0.is_empty() {
                self.0.remove(name);
            }
            let (value, after) = reader.string(rest)?;
            if value.as_deref() == Some(DISABLED) {
                self.0.insert(name.to_owned());
            }
            Ok(after)
        })
    }
}

impl<'a> Read<'a> for ControllerReference {
    fn read(&mut self, reader: &mut Reader<'a>, rest: &'a [u8]) -> Result<&'a [u8]> {
        self.0 = false;
        reader.array(rest, |reader, rest| {
            let mut is_controller = false;
            let after = reader.object(rest, |name, reader, rest| {
                if name == b"controller" {
                    is_controller = json::is_true(rest);
                }
                reader.skip(rest)
            })?;
            self.0 |= is_controller;
            Ok(after)
        })
    }
}

impl<'a> Read<'a> for NeverPulled {
    fn read(&mut self, reader: &mut Reader<'a>, rest: &'a [u8]) -> Result<&'a [u8]> {
        let (policy, after) = reader.string(rest)?;
        self.0 = policy.as_deref() == Some(NEVER);
        Ok(after)
    }
}
