//! The objects of a text as JSON.

use super::{
    SyntaxError,
    document::Document,
    documents::Documents,
    error::AMBIGUOUS,
    json::MAX_DOCUMENT_BYTES,
    object::{Object, objects},
    pointer::Pointers,
};

/// An object of a manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// Line in the text, from 1.
    pub line: usize,
    /// Group of the kind; empty for the core group.
    pub group: String,
    /// Version of the group.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; `None` if the object names none.
    pub namespace: Option<String>,
    /// Object in JSON; `None` if it is larger than 8 MiB or nested too deeply.
    pub json: Option<String>,
}

/// Calls `each` with every Kubernetes object in a text: those of all documents, and the items of lists.
///
/// # Errors
/// If the text is not valid YAML or JSON, or if a document with aliases stands for too much.
pub fn for_each_manifest(text: &str, mut each: impl FnMut(Manifest)) -> Result<(), SyntaxError> {
    for document in Documents::new(text) {
        let document = document?;
        check(&document)?;
        let mut total = 0;
        for object in objects(&document, &Pointers::new(&document)) {
            let manifest = Manifest::of(&document, object);
            total += manifest.json.as_ref().map_or(0, String::len);
            if document.has_aliases && total > MAX_DOCUMENT_BYTES {
                let problem = "the aliases of the document stand for more than 32 MiB";
                return Err(SyntaxError::new(manifest.line, 1, problem));
            }
            each(manifest);
        }
    }
    Ok(())
}

/// Checks that a document does not stand for too much, and that all readers read it in the same way.
fn check(document: &Document<'_>) -> Result<(), SyntaxError> {
    if let Some(line) = document.ambiguous {
        return Err(SyntaxError::new(line, 1, AMBIGUOUS));
    }
    if document.has_aliases && document.uses().is_err() {
        let line = document.root.map_or(1, |root| document.written(root).line);
        let problem = "the aliases stand for more than a million values";
        return Err(SyntaxError::new(line, 1, problem));
    }
    Ok(())
}

impl Manifest {
    fn of(document: &Document<'_>, object: Object<'_>) -> Self {
        let mut json = Vec::new();
        let is_written = document.write_json(object.node, &mut json).is_ok();
        let json = String::from_utf8(json).ok().filter(|_| is_written);
        let Object { node, api_version, kind, namespace } = object;
        let version = api_version.rsplit_once('/').map_or(api_version, |(_, version)| version);
        Self {
            line: document.written(node).line,
            group: object.group().to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_has_its_kind_and_its_json() {
        let text = "a: 1\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: &m {namespace: shop}\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, spec: {x: [1, ~, yes, 'a\\b']}}\n";
        let mut found = Vec::new();
        for_each_manifest(text, |manifest| found.push(manifest)).unwrap();
        let [deployment, pod] = &*found else { panic!("{found:?}") };
        assert_eq!((deployment.line, &*deployment.group, &*deployment.version), (3, "apps", "v1"));
        assert_eq!(
            (&*deployment.kind, deployment.namespace.as_deref()),
            ("Deployment", Some("shop"))
        );
        assert_eq!((pod.line, &*pod.group, &*pod.version, &pod.namespace), (10, "", "v1", &None));
        assert_eq!(
            pod.json.as_deref(),
            Some(r#"{"apiVersion":"v1","kind":"Pod","spec":{"x":[0,null,true,"a\\b"]}}"#)
        );
    }
}
