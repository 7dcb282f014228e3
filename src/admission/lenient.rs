//! JSON values that are read when they have the expected shape, and skipped when they do not.
//!
//! The API server has decoded a Pod before the webhook sees it, but a custom resource may put
//! anything under `spec.template`. What is not shaped like a pod has no images; it is no reason to
//! refuse the object. So only text that is no JSON is an error here, never JSON of another shape.

use std::{borrow::Cow, collections::HashSet};

use foldhash::fast::RandomState;

use super::json::{Read, Reader, Result};

/// A string, or nothing; borrowed from the input unless it holds an escape.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(Option<Cow<'a, str>>);

/// An object read as `T`, or nothing.
#[derive(Debug)]
pub(super) struct Object<T>(Option<T>);

/// An array of objects; empty when there is no array. An element of another type keeps its place,
/// so that an index here is an index in the JSON.
#[derive(Debug)]
pub(super) struct List<T>(Vec<Object<T>>);

/// The keys of a JSON object whose value is the string `disabled`. A set, because nobody has validated
/// the labels yet, and there may be a hundred thousand of them.
#[derive(Debug, Default)]
pub(super) struct DisabledLabels(HashSet<Vec<u8>, RandomState>);

/// Whether a JSON object has the key that marks a mirror pod.
#[derive(Debug, Default)]
pub(super) struct MirrorAnnotation(bool);

/// True if a JSON array of owner references names a controller.
#[derive(Debug, Default)]
pub(super) struct ControllerReference(bool);

/// True if a JSON value is the pull policy `Never`.
#[derive(Debug, Default)]
pub(super) struct NeverPulled(bool);

/// The annotation by which the kubelet marks the API server's copy of a static pod
/// (<https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-config-mirror>).
const MIRROR_ANNOTATION: &[u8] = b"kubernetes.io/config.mirror";

/// The value of the label that turns swapping off.
const DISABLED: &str = "disabled";

/// The pull policy of an image that has to be on the node already
/// (<https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy>).
const NEVER: &str = "Never";

impl Text<'_> {
    /// The string; none when there is none.
    #[must_use]
    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<T> Object<T> {
    /// The object; none when there is none.
    #[must_use]
    pub(super) fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// The object; none when there is none.
    #[must_use]
    pub(super) fn into_inner(self) -> Option<T> {
        self.0
    }
}

impl<T> List<T> {
    /// The elements that are objects, with their index in the array.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.0.iter().enumerate().filter_map(|(index, element)| Some((index, element.get()?)))
    }

    /// The element at `index` of the array, if it is an object.
    #[must_use]
    pub(super) fn at(&self, index: usize) -> Option<&T> {
        self.0.get(index)?.get()
    }
}

impl DisabledLabels {
    /// Whether the label `name` has the value `disabled`.
    #[must_use]
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains(name.as_bytes())
    }
}

impl MirrorAnnotation {
    /// Whether the annotation is there, whatever its value.
    #[must_use]
    pub(super) fn is_present(&self) -> bool {
        self.0
    }
}

impl ControllerReference {
    /// Returns true if there is a controller, as a Deployment is of a ReplicaSet.
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

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// An object of which some fields are read.
pub(super) trait Fields<'a>: Default {
    /// Reads or skips the value of a field. A field that comes twice has its last value.
    ///
    /// # Errors
    /// When the value is no JSON.
    fn read_field(&mut self, name: &[u8], reader: &mut Reader<'a>) -> Result<()>;
}

/// Implements [`Fields`] by the names that the fields have in JSON.
macro_rules! fields {
    ($($type:ident { $($name:literal => $field:ident),+ $(,)? })+) => {
        $(impl<'a> Fields<'a> for $type<'a> {
            fn read_field(
                &mut self,
                name: &[u8],
                reader: &mut Reader<'a>,
            ) -> $crate::admission::json::Result<()> {
                match name {
                    $($name => Read::read(&mut self.$field, reader),)+
                    _ => reader.skip(),
                }
            }
        })+
    };
}
pub(super) use fields;

impl<'a> Read<'a> for Text<'a> {
    fn read(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.0 = reader.string()?;
        Ok(())
    }
}

impl<'a, T: Fields<'a>> Read<'a> for Object<T> {
    fn read(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        let object = self.0.insert(T::default());
        if !reader.object(|name, reader| object.read_field(name, reader))? {
            self.0 = None;
        }
        Ok(())
    }
}

impl<'a, T: Fields<'a>> Read<'a> for List<T> {
    fn read(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.0.clear();
        reader.array(|reader| {
            reader.count_element()?;
            self.0.push_mut(Object::default()).read(reader)
        })
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

impl<'a> Read<'a> for MirrorAnnotation {
    fn read(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.0 = false;
        reader.object(|name, reader| {
            self.0 |= name == MIRROR_ANNOTATION;
            reader.skip()
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
