//! Fields of JSON outputs, for the reference.

/// Field of a JSON output, for the reference.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name, with the names of the enclosing fields.
    pub name: &'static str,
    /// Meaning, as a clause without a full stop.
    pub meaning: &'static str,
}
