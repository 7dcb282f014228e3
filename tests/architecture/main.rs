//! The architecture: which room of `src` may use which, and which libraries a room may name.
//!
//! ARCHITECTURE.md describes the rooms; this test keeps the description true. It reads the source without its unit
//! tests: `use` declarations, paths that begin with `crate::`, and the names of libraries.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod paths;
mod source;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use source::{File, files};

/// The rooms, from the bottom to the top. A room uses rooms of lower levels only.
const LEVELS: &[&[&str]] = &[
    // Small helpers that know nothing of the others.
    &[
        "bounded_read",
        "closed_enum",
        "color",
        "excerpt",
        "field",
        "fnv",
        "https_url",
        "innermost",
        "log_once",
        "namespace",
        "origin",
        "version",
    ],
    &["image", "metrics"],
    &["rules"],
    &["admission", "explanation"],
    &["export", "manifests", "state"],
    &["tls"],
    &["kubernetes", "registry"],
    &["status_page"],
    &["client", "controller", "server"],
    &["sources"],
    &["settings"],
    &["log"],
    &["app", "commands"],
    &["cli"],
];

/// Rooms that decide: bytes in, bytes out.
const PURE: &[&str] = &["admission", "explanation", "export", "image", "manifests", "rules"];

/// Names that a pure room does not use: runtime, files, network, clock, cluster, TLS and log.
const IMPURE: &[&str] = &[
    "Instant",
    "SystemTime",
    "hyper",
    "k8s_openapi",
    "kube",
    "now_utc",
    "rustls",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "tokio",
    "tokio_rustls",
    "tracing",
];

/// Libraries that only some rooms name.
const RESTRICTED: &[(&str, &[&str])] = &[
    ("arc_swap", &["registry", "state", "tls"]),
    ("http_auth", &["registry"]),
    ("hyper_rustls", &["registry"]),
    ("k8s_openapi", &["controller", "kubernetes"]),
    ("kube", &["controller", "kubernetes"]),
    ("notify", &["sources"]),
    ("rcgen", &["tls"]),
    ("rustls", &["server", "tls"]),
    ("rustls_native_certs", &["tls"]),
    ("tokio_rustls", &["client", "server", "tls"]),
];

#[test]
fn every_room_has_a_level() {
    let rooms: BTreeSet<_> = files().iter().filter_map(File::room).map(str::to_owned).collect();
    let listed: BTreeSet<_> =
        LEVELS.iter().copied().flatten().map(|&room| room.to_owned()).collect();
    assert_eq!(rooms, listed);
}

#[test]
fn rooms_use_lower_rooms_only() {
    let level = |room: &str| LEVELS.iter().position(|level| level.contains(&room));
    let mut wrong = Vec::new();
    for file in files() {
        let Some(room) = file.room() else { continue };
        for used in file.rooms_used() {
            if used != room && level(&used) >= level(room) {
                wrong.push(format!("{}: {room} uses {used}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point the wrong way:\n{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_name_nothing_impure() {
    let mut wrong = Vec::new();
    for file in files().iter().filter(|file| file.room().is_some_and(|room| PURE.contains(&room))) {
        for name in IMPURE.iter().filter(|name| file.names(name)) {
            wrong.push(format!("{}: {name}", file.path));
        }
    }
    assert!(wrong.is_empty(), "not pure:\n{}", wrong.join("\n"));
}

#[test]
fn libraries_are_named_where_they_belong() {
    let mut wrong = Vec::new();
    for file in files() {
        for (library, rooms) in RESTRICTED {
            let is_allowed = file.room().is_some_and(|room| rooms.contains(&room));
            if !is_allowed && file.names(library) {
                wrong.push(format!("{}: {library} belongs to {}", file.path, rooms.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "libraries in the wrong room:\n{}", wrong.join("\n"));
}

#[test]
fn modules_of_a_room_have_no_cycles() {
    let files = files();
    let mut wrong = Vec::new();
    for parent in files.iter().filter(|file| file.path.ends_with("/mod.rs")) {
        let directory = parent.path.trim_end_matches("mod.rs");
        let exports = parent.exports();
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for file in &files {
            let Some(module) = file.module_in(directory) else { continue };
            let siblings = file.siblings_used(directory, &exports);
            uses.entry(module.to_owned()).or_default().extend(siblings);
        }
        wrong.extend(cycles(&uses).into_iter().map(|cycle| format!("{directory}: {cycle}")));
    }
    assert!(wrong.is_empty(), "modules that use each other:\n{}", wrong.join("\n"));
}

/// Returns the modules that reach themselves, each with a way.
fn cycles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut found = Vec::new();
    for start in uses.keys() {
        let mut ways = vec![vec![start.clone()]];
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop() {
            let last = way.last().unwrap();
            for next in uses.get(last).into_iter().flatten().filter(|next| *next != last) {
                let mut way = way.clone();
                way.push(next.clone());
                if next == start {
                    found.push(way.join(" -> "));
                } else if seen.insert(next.clone()) {
                    ways.push(way);
                }
            }
        }
    }
    found
}
