//! The input of a KRM function, as kustomize calls one
//! (<https://github.com/kubernetes-sigs/kustomize/blob/master/cmd/config/docs/api-conventions/functions-spec.md>).

use super::{
    SyntaxError,
    document::{Document, NodeId},
    documents::Documents,
    pointer::Pointers,
};

/// The key of the map in the ConfigMap that configures the function.
const MAP_KEY: &str = "maps";

/// The part of the input of a function that is not objects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FunctionInput {
    /// The map in the configuration; `None` if it has none.
    pub map: Option<String>,
}

/// Reads the configuration of a function from its input; `None` if the text is not a `ResourceList`.
///
/// # Errors
/// If the first document is not valid YAML.
pub fn function_input(text: &str) -> Result<Option<FunctionInput>, SyntaxError> {
    for document in Documents::new(text) {
        let document = document?;
        // There may be empty documents before the list.
        if let Some(root) = document.root.filter(|root| !document.pairs(*root).is_empty()) {
            return Ok(of_list(&document, root));
        }
    }
    Ok(None)
}

fn of_list(document: &Document<'_>, root: NodeId) -> Option<FunctionInput> {
    let pointers = Pointers::new(document);
    let value = |pointer| pointers.text(root, pointer);
    let is_function = value("/kind") == Some("ResourceList")
        && value("/apiVersion").is_some_and(|version| version.starts_with("config.kubernetes.io/"));
    let map = value(&format!("/functionConfig/data/{MAP_KEY}")).map(str::to_owned);
    is_function.then_some(FunctionInput { map })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_resource_list_is_the_input_of_a_function() {
        let list = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: []\n";
        let configured = format!(
            "{list}functionConfig:\n  kind: ConfigMap\n  data:\n    maps: |\n      default::d.io\n"
        );
        let of = |text: &str| function_input(text).unwrap();
        assert_eq!(of(list), Some(FunctionInput { map: None }));
        let map = Some("default::d.io\n".to_owned());
        assert_eq!(of(&format!("---\n# nothing\n---\n{list}")), Some(FunctionInput { map: None }));
        assert_eq!(of(&configured), Some(FunctionInput { map }));
        for text in ["", "# nothing\n", "a: 1\n", "apiVersion: v1\nkind: List\nitems: []\n"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
