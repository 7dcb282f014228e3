//! The review of the creation of an object, as the API server would send it.
//!
//! Commands ask with it how the webhook would decide on an object.

use serde_json::json;

use super::Operation;

/// The creation of an object.
#[derive(Clone, Copy, Debug)]
pub struct Creation<'a> {
    /// Group of the kind; empty for the core group.
    pub group: &'a str,
    /// Kind.
    pub kind: &'a str,
    /// Namespace.
    pub namespace: &'a str,
}

impl Creation<'_> {
    /// Appends the review to `body`. `write_object` appends the object as JSON.
    ///
    /// # Errors
    /// The error of `write_object`.
    pub fn write<E>(
        &self,
        body: &mut Vec<u8>,
        write_object: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let request = json!({
            "uid": "creation",
            "kind": { "group": self.group, "kind": self.kind },
            "namespace": self.namespace,
            "operation": Operation::Create.as_str(),
        });
        let head = json!({ "request": request }).to_string();
        // The object goes into the request, which ends with two brackets.
        let (head, brackets) = head.split_at(head.len() - 2);
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b",\"object\":");
        write_object(body)?;
        body.extend_from_slice(brackets.as_bytes());
        Ok(())
    }
}
