//! Fuzz targets: for each parser of `imageswap` a function of bytes that panics if the parser is wrong.
//!
//! The functions do not depend on their caller: libFuzzer (`fuzz_targets`), or the driver of this crate, which needs
//! only stable Rust. They compare the parsers with code that the program does not share: the oracle and the laws of the
//! rule tests, a naive grammar, and a naive reading of reviews.

pub mod driver;
pub mod glob;
pub mod image;
mod inputs;
pub mod manifest;
pub mod map;
mod mutation;
pub mod registry;
pub mod review;
pub mod settings;
pub mod sites;

/// One parser under test.
#[derive(Clone, Copy)]
pub struct Target {
    /// The name, on the command line and of the directories with inputs.
    pub name: &'static str,
    /// Runs one input; panics if the parser is wrong.
    pub run: fn(&[u8]),
    /// Returns the seed inputs, made from test data of the repository.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words that have a meaning for the parser.
    pub dictionary: &'static [&'static str],
}

/// All targets, by name.
pub const TARGETS: [Target; 8] = [
    Target { name: "glob", run: glob::run, seeds: glob::seeds, dictionary: glob::PIECES },
    Target { name: "image", run: image::run, seeds: image::seeds, dictionary: image::PIECES },
    Target {
        name: "manifest",
        run: manifest::run,
        seeds: manifest::seeds,
        dictionary: manifest::PIECES,
    },
    Target { name: "map", run: map::run, seeds: map::seeds, dictionary: map::PIECES },
    Target {
        name: "registry",
        run: registry::run,
        seeds: registry::seeds,
        dictionary: registry::PIECES,
    },
    Target { name: "review", run: review::run, seeds: review::seeds, dictionary: review::PIECES },
    Target {
        name: "settings",
        run: settings::run,
        seeds: settings::seeds,
        dictionary: settings::PIECES,
    },
    Target { name: "sites", run: sites::run, seeds: sites::seeds, dictionary: sites::PIECES },
];
