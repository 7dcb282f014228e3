//! The commands besides `serve`. Those that answer on the terminal read files, and touch neither
//! network nor cluster; `init` prepares a cluster.

pub mod check;
pub mod explain;
pub mod init;
pub mod swap;

use anyhow::Context;

use crate::{
    reload::{MapError, read_map},
    rules::{MapFile, Policy, RuleSet},
    settings::RuleSource,
};

/// Loads the rules that `source` names; what is wrong with them is for `check` to say.
///
/// # Errors
/// When the map file cannot be read or compiled.
fn load_policy(source: RuleSource) -> anyhow::Result<Policy> {
    let (file, text) = match source {
        RuleSource::Legacy(prefix) => return Ok(Policy::Legacy(prefix)),
        RuleSource::BuiltIn(map) => ("the built-in map".into(), map.to_owned()),
        RuleSource::MapFile(file) => {
            let text = read_map(&file)
                .context("the map, which --maps or IMAGESWAP_MAPS_FILE names, cannot be used")?;
            (file, text)
        }
    };
    match RuleSet::compile(MapFile::parse(&text).0) {
        Ok(rules) => Ok(Policy::Maps(Box::new(rules))),
        Err(reason) => Err(MapError::Compile { file, reason }.into()),
    }
}
