//! Reads the objects of manifests, and counts their images.

use std::io::{Read, Write};

use serde_json::value::RawValue;

use super::{
    super::{
        Exit,
        input::{DEFAULT_NAMESPACE, STDIN_NAME, is_stdin, unusable},
        manifest_files::{self, shown},
    },
    PlanArguments,
    images::ReviewedObject,
    tally::{Counted, Tally},
    worlds::Worlds,
};
use crate::{
    excerpt::{MAX_VALUE_BYTES, excerpt},
    kubernetes::{Resource, Selected},
    manifests::{Manifest, for_each_manifest},
};

/// Reads the manifests, and counts their images. If a file cannot be used, the others are still read.
pub(super) fn read(
    arguments: &PlanArguments,
    worlds: &Worlds,
    input: &mut impl Read,
    errors: &mut impl Write,
) -> (Tally, Exit) {
    let found = manifest_files::files(&arguments.filename);
    let (mut tally, mut exit) = (Tally::default(), found.report(errors));
    let namespace = arguments.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
    for file in &found.manifests {
        let name = if is_stdin(file) { STDIN_NAME.to_owned() } else { shown(file) };
        let text = match manifest_files::read(file, input) {
            Ok(text) => text,
            Err(error) => {
                exit = exit.worse(unusable(&error, errors));
                continue;
            }
        };
        let mut problems = Vec::new();
        let read = for_each_manifest(&text, |manifest| {
            let kind = excerpt(&manifest.kind, MAX_VALUE_BYTES).into_owned();
            let line = manifest.line;
            if let Err(problem) = add(&mut tally, worlds, namespace, manifest) {
                problems.push(format!("{name}:{line}: {kind} {problem}"));
            }
        });
        if let Err(error) = read {
            problems.push(manifest_files::syntax_error(&name, &text, &error));
        }
        for problem in &problems {
            exit = exit.worse(unusable(problem, errors));
        }
    }
    if exit == Exit::Success && tally.rows().next().is_none() {
        // The exit code says the same if the warning cannot be written.
        let _ = writeln!(errors, "warning: no image was found in the manifests");
    }
    (tally, exit)
}

/// Adds the images of an object. All objects count as selected, because no cluster is asked.
fn add(
    tally: &mut Tally,
    worlds: &Worlds,
    namespace: &str,
    manifest: Manifest,
) -> Result<(), String> {
    let Manifest { group, version, kind, json, namespace: own, .. } = manifest;
    let Some(json) = json else {
        return Err("is larger than 8 MiB, or nested too deeply".to_owned());
    };
    let text = RawValue::from_string(json).map_err(|error| error.to_string())?;
    let resource = Resource::new(&group, &version, "", &kind);
    let namespace = own.as_deref().unwrap_or(namespace);
    let object = ReviewedObject { resource: &resource, namespace, text: &text };
    let rows =
        worlds.rows(&object, Selected::Yes).map_err(|error| format!("cannot be read: {error}"))?;
    if !rows.is_empty() {
        let is_pod = group.is_empty() && kind == "Pod";
        let counted = if is_pod { Counted::Pod } else { Counted::Workload };
        tally.add(counted, namespace, rows.into_iter().collect());
    }
    Ok(())
}
