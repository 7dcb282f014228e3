//! Positions in a text of which a parser has read only the last part.

use granit_parser::Marker;

/// A position in a text, as what stands before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    /// Number of bytes.
    pub(super) bytes: usize,
    /// Number of lines that have ended.
    pub(super) lines: usize,
}

impl Origin {
    /// Returns the position of a marker in a text that begins here.
    pub(super) fn of(self, marker: &Marker) -> Self {
        Self {
            bytes: self.bytes + marker.byte_offset().unwrap_or_default(),
            lines: self.lines + marker.line().saturating_sub(1),
        }
    }

    /// Returns the line of a marker in a text that begins here, from 1.
    pub(super) fn line_of(self, marker: &Marker) -> usize {
        self.of(marker).lines + 1
    }
}
