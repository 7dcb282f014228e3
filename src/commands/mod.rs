//! The commands that answer on the terminal: they read files, and touch neither network nor
//! cluster.

pub mod check;
pub mod explain;
pub mod swap;

use crate::{
    reload::{MapError, read_map},
    rules::{MapFile, Policy, RuleSet},
    settings::RuleSource,
};

/// Loads the rules that `source` names; what is wrong with them is for `check` to say.
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
    match RuleSet::compile(MapFile::parse(&text).0) {
        Ok(rules) => Ok(Policy::Maps(Box::new(rules))),
        Err(reason) => Err(MapError::Compile { file, reason }),
    }
}
