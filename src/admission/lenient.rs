//! JSON values that are read when they have the expected shape, and skipped when they do not.
//!
//! The API server has validated a Pod before the webhook sees it, but a custom resource may put
//! anything under `spec.template`. What is not shaped like a pod has no images; it is no reason to
//! refuse the object. So only text that is no JSON is an error here, never JSON of another shape.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

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

/// The keys of a JSON object whose value is the string `disabled`.
#[derive(Debug, Default)]
pub(super) struct DisabledLabels<'a>(Vec<Text<'a>>);

/// Whether a JSON object has the key that marks a mirror pod.
#[derive(Debug, Default)]
pub(super) struct MirrorAnnotation(bool);

/// The annotation by which the kubelet marks the API server's copy of a static pod
/// (<https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-config-mirror>).
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// The value of the label that turns swapping off.
const DISABLED: &str = "disabled";

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

impl DisabledLabels<'_> {
    /// Whether the label `name` has the value `disabled`.
    #[must_use]
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|label| label.get() == Some(name))
    }
}

impl MirrorAnnotation {
    /// Whether the annotation is there, whatever its value.
    #[must_use]
    pub(super) fn is_present(&self) -> bool {
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

/// The visitor for `T`; each type implements what it wants to see, and skips all else.
struct Shape<T>(PhantomData<T>);

/// Reads scalars, and the compound values named, as the empty `$value`.
macro_rules! skip {
    (scalars) => {
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("any JSON value")
        }
        skip!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (strings) => {
        skip!(visit_str: &str);
    };
    (maps) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (sequences) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
            while sequence.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    ($($method:ident: $type:ty),+) => {
        $(fn $method<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })+
    };
}

/// Implements `Deserialize` by the visitor [`Shape`].
macro_rules! deserialize {
    ([$($generics:tt)*] $type:ty) => {
        impl<'de $($generics)*> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Shape::<Self>(PhantomData))
            }
        }
    };
}

deserialize!([: 'a, 'a] Text<'a>);
deserialize!([, T: Deserialize<'de>] Object<T>);
deserialize!([, T: Deserialize<'de>] List<T>);
deserialize!([: 'a, 'a] DisabledLabels<'a>);
deserialize!([] MirrorAnnotation);

impl<'de: 'a, 'a> Visitor<'de> for Shape<Text<'a>> {
    type Value = Text<'a>;

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    skip!(scalars);
    skip!(maps);
    skip!(sequences);
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Shape<Object<T>> {
    type Value = Object<T>;

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|object| Object(Some(object)))
    }

    skip!(scalars);
    skip!(strings);
    skip!(sequences);
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Shape<List<T>> {
    type Value = List<T>;

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(List(elements))
    }

    skip!(scalars);
    skip!(strings);
    skip!(maps);
}

impl<'de: 'a, 'a> Visitor<'de> for Shape<DisabledLabels<'a>> {
    type Value = DisabledLabels<'a>;

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut labels = Vec::new();
        while let Some((name, value)) = map.next_entry::<Text<'a>, Text<'a>>()? {
            if value.get() == Some(DISABLED) {
                labels.push(name);
            }
        }
        Ok(DisabledLabels(labels))
    }

    skip!(scalars);
    skip!(strings);
    skip!(sequences);
}

impl<'de> Visitor<'de> for Shape<MirrorAnnotation> {
    type Value = MirrorAnnotation;

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut present = false;
        while let Some((name, _)) = map.next_entry::<Text<'de>, IgnoredAny>()? {
            present |= name.get() == Some(MIRROR_ANNOTATION);
        }
        Ok(MirrorAnnotation(present))
    }

    skip!(scalars);
    skip!(strings);
    skip!(sequences);
}
