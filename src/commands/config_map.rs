//! The value of a key in the manifest of a ConfigMap.
//!
//! It reads manifests as text, not the cluster.

use serde_json::{Map, Value};

use crate::excerpt::{MAX_VALUE_BYTES, excerpt};

/// Maximum number of keys or ConfigMaps that an error names.
const MAX_NAMED: usize = 10;

/// The reason why manifests have no usable value for a key.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigMapError {
    /// The value is in `binaryData`.
    #[error("ConfigMap `{name}` has `{key}` in `binaryData`; a map is text, so put it into `data`")]
    Binary { name: String, key: String },
    /// No ConfigMap has the key.
    #[error("no ConfigMap has the key `{key}`; its keys are: {keys}")]
    MissingKey { key: String, keys: String },
    /// None of the manifests is a ConfigMap.
    #[error("not the manifest of a ConfigMap; without --configmap-key, a file is checked as a map")]
    NoConfigMap,
    /// The value is not a string.
    #[error("ConfigMap `{name}`: the value of `{key}` is not a string")]
    NotText { name: String, key: String },
    /// More than one ConfigMap has the key.
    #[error("more than one ConfigMap has the key `{key}`: {names}")]
    Several { key: String, names: String },
    /// The text is not valid YAML or JSON.
    #[error("not valid YAML or JSON: {0}; without --configmap-key, a file is checked as a map")]
    Syntax(String),
}

/// Returns the value of `key` in the only ConfigMap that has it.
///
/// The manifests are in YAML or JSON, in one or more documents, or in a `List`. Other kinds are ignored.
///
/// # Errors
/// If the text is not valid YAML or JSON, or if not exactly one ConfigMap has the key, with a text.
pub(super) fn value(manifests: &str, key: &str) -> Result<String, ConfigMapError> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifests)
        .map_err(|error| ConfigMapError::Syntax(syntax_error(&error)))?;
    let config_maps: Vec<_> =
        documents.iter().flat_map(items).filter(|item| item["kind"] == "ConfigMap").collect();
    if config_maps.is_empty() {
        return Err(ConfigMapError::NoConfigMap);
    }
    let has_key = |config_map: &&&Value| {
        [&config_map["data"], &config_map["binaryData"]].iter().any(|data| data.get(key).is_some())
    };
    let with_key: Vec<_> = config_maps.iter().filter(has_key).copied().collect();
    let shown = excerpt(key, MAX_VALUE_BYTES).into_owned();
    match &*with_key {
        [] => Err(ConfigMapError::MissingKey { key: shown, keys: keys(&config_maps) }),
        [config_map] => match (config_map["data"].get(key), name(config_map)) {
            (Some(Value::String(text)), _) => Ok(text.clone()),
            (Some(_), name) => Err(ConfigMapError::NotText { name, key: shown }),
            (None, name) => Err(ConfigMapError::Binary { name, key: shown }),
        },
        several => {
            let names = first_names(several.iter().map(|config_map| name(config_map)));
            Err(ConfigMapError::Several { key: shown, names })
        }
    }
}

/// Returns the first line of a syntax error, which contains its line and column, without an excerpt of the manifests.
fn syntax_error(error: &serde_saphyr::Error) -> String {
    let error = error.without_snippet().to_string();
    error.lines().next().unwrap_or_default().to_owned()
}

/// Returns the objects in a document: the items of a list, or the document itself.
fn items(document: &Value) -> Vec<&Value> {
    match document["items"].as_array() {
        Some(items) if document["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => {
            items.iter().collect()
        }
        _ => vec![document],
    }
}

fn name(config_map: &Value) -> String {
    let name = config_map["metadata"]["name"].as_str().unwrap_or("without a name");
    excerpt(name, MAX_VALUE_BYTES).into_owned()
}

/// Returns the keys of ConfigMaps, for an error.
fn keys(config_maps: &[&Value]) -> String {
    let data = config_maps.iter().flat_map(|map| [&map["data"], &map["binaryData"]]);
    let keys = data.filter_map(Value::as_object).flat_map(Map::keys);
    first_names(keys.map(|key| excerpt(key, MAX_VALUE_BYTES).into_owned()))
}

/// Returns the first names, for an error.
fn first_names(names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    let more = if names.len() > MAX_NAMED { ", ..." } else { "" };
    match &*names {
        [] => "none".to_owned(),
        names => names[..names.len().min(MAX_NAMED)].join(", ") + more,
    }
}
