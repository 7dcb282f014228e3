//! JSON values that are read if they have the expected shape, and skipped otherwise.
//!
//! The API server has decoded a Pod before the webhook sees it, but a custom resource may put anything under
//! `spec.template`. A value of another shape has no images; it is not a reason to refuse the object. So only text that
//! is not JSON is an error here, never JSON of another shape.

use std::borrow::Cow;

use super::{Read, Reader, Result, token};

/// A string, or nothing; borrowed from the input unless it contains an escape.
#[derive(Debug, Default)]
pub(in crate::admission) struct Text<'a>(Option<Cow<'a, str>>);

/// An object read as `T`, or nothing.
#[derive(Debug)]
pub(in crate::admission) struct Object<T>(Option<T>);

/// An object read as `T`, with its JSON text.
///
/// The object is on the heap, because a large one would be moved several times.
#[derive(Debug)]
pub(in crate::admission) struct WithSource<'a, T> {
    source: &'a str,
    object: Option<Box<T>>,
}

/// An array of objects; empty if the value is not an array.
///
/// An element of another type keeps its position, so that an index here is an index in the JSON.
#[derive(Debug)]
pub(in crate::admission) struct List<T>(Vec<Object<T>>);

impl Text<'_> {
    /// Returns the string; `None` if the value is not a string.
    #[must_use]
    pub(in crate::admission) fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<T> Object<T> {
    /// Returns the object; `None` if the value is not an object.
    #[must_use]
    pub(in crate::admission) fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// Returns the object; `None` if the value is not an object.
    #[must_use]
    pub(in crate::admission) fn into_inner(self) -> Option<T> {
        self.0
    }
}

impl<'a, T> WithSource<'a, T> {
    /// Returns the object; `None` if the value is not an object.
    #[must_use]
    pub(in crate::admission) fn get(&self) -> Option<&T> {
        self.object.as_deref()
    }

    /// Returns the text of the value; empty if there is no value.
    #[must_use]
    pub(in crate::admission) fn source(&self) -> &'a str {
        self.source
    }
}

impl<T> List<T> {
    /// Returns the elements that are objects, with their index in the array.
    pub(in crate::admission) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.0.iter().enumerate().filter_map(|(index, element)| Some((index, element.get()?)))
    }

    /// Returns true if there is no element, of whatever type.
    #[must_use]
    pub(in crate::admission) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the element at `index` of the array; `None` if it is not an object.
    #[must_use]
    pub(in crate::admission) fn at(&self, index: usize) -> Option<&T> {
        self.0.get(index)?.get()
    }
}

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for WithSource<'_, T> {
    fn default() -> Self {
        Self { source: "", object: None }
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// An object of which some fields are read.
pub(in crate::admission) trait Fields<'a>: Default {
    /// Reads or skips the value of a field. If a field occurs twice, the last value counts.
    ///
    /// # Errors
    /// If the value is not valid JSON.
    fn read_field(
        &mut self,
        name: &[u8],
        reader: &mut Reader<'a>,
        rest: &'a [u8],
    ) -> Result<&'a [u8]>;
}

/// Implements [`Fields`] by the names that the fields have in JSON.
macro_rules! fields {
    ($($type:ident { $($name:literal => $field:ident),+ $(,)? })+) => {
        $(impl<'a> Fields<'a> for $type<'a> {
            fn read_field(
                &mut self,
                name: &[u8],
                reader: &mut Reader<'a>,
                rest: &'a [u8],
            ) -> $crate::admission::json::Result<&'a [u8]> {
                $(if name == $name {
                    return Read::read(&mut self.$field, reader, rest);
                })+
                reader.skip(rest)
            }
        })+
    };
}
pub(in crate::admission) use fields;

impl<'a> Read<'a> for Text<'a> {
    fn read(&mut self, reader: &mut Reader<'a>, rest: &'a [u8]) -> Result<&'a [u8]> {
        let (text, after) = reader.string(rest)?;
        self.0 = text;
        Ok(after)
    }
}

impl<'a, T: Fields<'a>> Read<'a> for Object<T> {
    fn read(&mut self, reader: &mut Reader<'a>, rest: &'a [u8]) -> Result<&'a [u8]> {
        if !token::is_at(rest, b'{') {
            self.0 = None;
            return reader.skip(rest);
        }
        let object = self.0.insert(T::default());
        reader.object(rest, |name, reader, rest| object.read_field(name, reader, rest))
    }
}

impl<'a, T: Fields<'a>> Read<'a> for WithSource<'a, T> {
    fn read(&mut self, reader: &mut Reader<'a>, rest: &'a [u8]) -> Result<&'a [u8]> {
        let start = token::space(rest);
        let after = if token::is_at(start, b'{') {
            let object = self.object.insert(Box::default());
            reader.object(start, |name, reader, rest| object.read_field(name, reader, rest))?
        } else {
            self.object = None;
            reader.skip(start)?
        };
        self.source = reader.between(start, after);
        Ok(after)
    }
}

impl<'a, T: Fields<'a>> Read<'a> for List<T> {
    fn read(&mut self, reader: &mut Reader<'a>, rest: &'a [u8]) -> Result<&'a [u8]> {
        self.0.clear();
        reader.array(rest, |reader, rest| {
            reader.count_element(rest)?;
            self.0.push_mut(Object::default()).read(reader, rest)
        })
    }
}
