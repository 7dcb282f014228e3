//! Pages of `docs/reference`, generated from the code and compared with the files.
//!
//! To add a page, write a module with a function that returns its text, add it to [`PAGES`], and run `just reference`.
//! The text must be the same on every machine: it must not depend on environment, time, version or git revision.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod cli;
mod exit_codes;
mod export;
mod http;
mod logs;
mod markdown;
mod metrics;
mod settings;

use std::{env, fs, path::PathBuf};

/// Variable that makes the test write the pages.
const WRITE: &str = "IMAGESWAP_WRITE_REFERENCE";

/// Name of a page and the function that generates it.
type Page = (&'static str, fn() -> String);

const PAGES: &[Page] = &[
    ("cli.md", cli::page),
    ("exit-codes.md", exit_codes::page),
    ("export.md", export::page),
    ("http.md", http::page),
    ("logs.md", logs::page),
    ("metrics.md", metrics::page),
    ("settings.md", settings::page),
];

#[test]
fn the_pages_are_what_the_code_says() {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference"));
    let mut stale = Vec::new();
    for (name, page) in PAGES {
        let (file, page) = (directory.join(name), page());
        if env::var_os(WRITE).is_some() {
            fs::create_dir_all(&directory).unwrap();
            fs::write(&file, &page).unwrap();
        }
        let found = fs::read_to_string(&file).unwrap_or_default();
        if found != page {
            let is_same = |(found, expected): &(&str, &str)| found == expected;
            let line = 1 + found.lines().zip(page.lines()).take_while(is_same).count();
            stale.push(format!("docs/reference/{name}:{line}"));
        }
    }
    assert!(
        stale.is_empty(),
        "not what the code says: {}; run `just reference`, or `{WRITE}=1 cargo test --locked --test reference`, and \
         commit the result",
        stale.join(", ")
    );
}

#[test]
fn every_page_is_generated() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference");
    for entry in fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(PAGES.iter().any(|(page, _)| *page == name), "{name:?} is not in PAGES");
    }
}
