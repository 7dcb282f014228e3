//! Rewriting of manifests: in each notation of YAML and JSON, for each kind of object, and for random documents, which an
//! independent YAML library compares.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod compare;
mod corpus;
mod notations;
mod objects;
mod properties;
mod pull_secrets;

use imageswap::{
    admission::{AdmissionSettings, World},
    manifests::{Rewriting, Rewritten},
    rules::{LoadedMap, NamespaceMaps, Policy},
};

/// A map that shows which rule applied.
const MAP: &str = "default::d.io\nquay.io::q.io/proxy\nleft.io::\n";

fn world(map: &str) -> World {
    let map = LoadedMap::from_text(map).unwrap();
    World::new(Policy::Maps(Box::new(map.rules)), AdmissionSettings::default())
}

fn rewriting(world: &World) -> Rewriting<'_> {
    Rewriting { world, namespace: "default", adds_pull_secrets: false }
}

/// Rewrites a text by [`MAP`], and checks that a second time changes nothing.
fn rewrite(text: &str) -> Rewritten<'_> {
    let world = world(MAP);
    let rewritten =
        rewriting(&world).rewrite(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let again = rewriting(&world).rewrite(&rewritten.text).unwrap();
    assert_eq!(again.text, rewritten.text);
    rewritten
}

/// Returns the problems of a text with their lines.
fn problems(rewritten: &Rewritten<'_>) -> Vec<String> {
    rewritten.notes.iter().map(|note| format!("{}: {}", note.line, note.problem)).collect()
}

/// Returns a world with a map for one namespace.
fn with_namespace(mut world: World, namespace: &str, map: &str) -> World {
    use imageswap::rules::MapScope;
    let map = LoadedMap::from_file(MapScope::Namespace, "", map).unwrap();
    let maps = [(namespace.into(), map.into())].into_iter().collect::<NamespaceMaps>();
    world.namespaces = maps.into();
    world
}
