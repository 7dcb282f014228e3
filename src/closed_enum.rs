//! Enums with a fixed set of named values, such as the values of a metric label.

/// An enum that lists its variants and has a name for each.
pub trait ClosedEnum: Copy + 'static {
    /// All variants, in the order of their discriminants.
    const ALL: &'static [Self];

    /// Returns the name of the variant.
    fn as_str(self) -> &'static str;

    /// Returns the position of the variant in [`ClosedEnum::ALL`].
    fn index(self) -> usize;
}

/// Defines an enum of unit variants, each with a name, and implements [`ClosedEnum`] for it.
///
/// Each variant and its name are written once, so the list and the names cannot differ. `ALL` and `as_str` are also
/// inherent, so that callers need no import and `ALL.len()` is a constant.
macro_rules! closed_enum {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident => $text:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        $visibility enum $name { $($(#[$variant_attribute])* $variant,)+ }

        impl $name {
            /// All variants, in the order of their discriminants.
            $visibility const ALL: [Self; [$($text),+].len()] = [$(Self::$variant,)+];

            /// Returns the name of the variant.
            #[must_use]
            $visibility const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl $crate::closed_enum::ClosedEnum for $name {
            const ALL: &'static [Self] = &$name::ALL;

            fn as_str(self) -> &'static str {
                $name::as_str(self)
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

pub(crate) use closed_enum;
