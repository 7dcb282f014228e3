//! Answers an AdmissionReview, without a server: reads it from a file or from standard input, and prints the
//! AdmissionReview that the webhook would answer with.
//!
//! ```console
//! $ cargo run --example review -- tests/fixtures/reviews/00-create-pod.json
//! $ cargo run --example review < tests/fixtures/reviews/00-create-pod.json
//! ```
//!
//! The `patch` in the answer is a JSON Patch in base64, as the API server expects it.

use std::{
    env, fs,
    io::{self, Read, Write},
};

use anyhow::Context;
use imageswap::{
    admission::{AdmissionSettings, Review, World, plan},
    rules::{LoadedMap, Policy},
};

/// A map that takes every image from one registry.
const MAP: &str = "default::registry.example.com";

fn main() -> anyhow::Result<()> {
    let body = read_body()?;
    let review = Review::from_slice(&body).context("the input is not an AdmissionReview")?;
    let map = LoadedMap::from_text(MAP)?;
    let world = World::new(Policy::Maps(Box::new(map.rules)), AdmissionSettings::default());
    // The plan lists the images that change. No registry is asked whether it has the new ones.
    let plan = plan(&review, &world);
    let answer = plan.settle();
    writeln!(io::stdout(), "{}", answer.to_json(&review))?;
    Ok(())
}

/// Reads the file that the first argument names, or standard input if there is no argument.
fn read_body() -> anyhow::Result<Vec<u8>> {
    if let Some(file) = env::args_os().nth(1) {
        return fs::read(&file).with_context(|| format!("cannot read {}", file.display()));
    }
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body).context("cannot read standard input")?;
    Ok(body)
}
