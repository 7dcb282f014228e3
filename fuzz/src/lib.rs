//! Fuzz targets: for each parser of `imageswap` one function of bytes that panics when the parser
//! is wrong.
//!
//! The functions know nothing of who calls them: libFuzzer (`fuzz_targets`), or the driver of this
//! crate, which needs stable Rust alone. What they hold the parsers against is kept apart from the
//! program: the oracle and the laws of the rule tests, a grammar and a reading of reviews written
//! here naively.

pub mod driver;
pub mod glob;
pub mod image;
mod inputs;
pub mod map;
mod mutation;
pub mod review;
pub mod settings;

/// One parser under test.
#[derive(Clone, Copy)]
pub struct Target {
    /// The name, as on the command line and of the directories with inputs.
    pub name: &'static str,
    /// Tries one input; panics when something is wrong.
    pub run: fn(&[u8]),
    /// Inputs to begin with, made of what the repository has.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Texts that mean something to the parser.
    pub dictionary: &'static [&'static str],
}

/// All targets, by name.
pub const TARGETS: [Target; 5] = [
    Target { name: "glob", run: glob::run, seeds: glob::seeds, dictionary: glob::PIECES },
    Target { name: "image", run: image::run, seeds: image::seeds, dictionary: image::PIECES },
    Target { name: "map", run: map::run, seeds: map::seeds, dictionary: map::PIECES },
    Target { name: "review", run: review::run, seeds: review::seeds, dictionary: review::PIECES },
    Target {
        name: "settings",
        run: settings::run,
        seeds: settings::seeds,
        dictionary: settings::PIECES,
    },
];
