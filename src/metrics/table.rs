//! Handles of metrics by their labels.

use std::sync::OnceLock;

/// Handles by the product of their labels, each made when it is first used.
pub(super) struct Table<T, const N: usize>([OnceLock<T>; N]);

impl<T, const N: usize> Table<T, N> {
    /// The handle at a place, made by `make` if it is not there yet.
    pub(super) fn at(&self, index: usize, make: impl FnOnce() -> T) -> &T {
        self.0[index].get_or_init(make)
    }

    /// Those that have been used.
    pub(super) fn used(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(OnceLock::get)
    }
}

impl<T, const N: usize> Default for Table<T, N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| OnceLock::new()))
    }
}
