//! The commands that answer on the terminal: they read files, and touch neither network nor
//! cluster.

pub mod check;
pub mod explain;
pub mod swap;

use crate::{
    reload::{MapError, read_map},
    rules::{LoadedMap, Policy},
    settings::RuleSource,
};

/// Loads the rules that `source` names.
///
/// # Errors
/// When the map file cannot be read or compiled.
fn load_policy(source: RuleSource) -> Result<Policy, MapError> {
    let (file, text) = match source {
        RuleSource::Legacy(prefix) => return Ok(Policy::Legacy(prefix)),
        RuleSource::BuiltIn(map) => ("the built-in map".into(), map.to_owned()),
        RuleSource::MapFile(file) => {
            let text = read_map(&file)?;
            (file, text)
        }
    };
    match LoadedMap::from_text(&text) {
        Ok(map) => Ok(Policy::Maps(Box::new(map.rules))),
        Err(reason) => Err(MapError::Compile { file, reason }),
    }
}
