//! Rewrites the images on the command line with a map, and prints the reason for each.
//!
//! ```console
//! $ cargo run --example decide -- nginx:1.27 quay.io/prometheus/node-exporter ghcr.io/acme/web:2
//! nginx:1.27 -> registry.example.com/hub/library/nginx:1.27 (registry, line 2)
//! quay.io/prometheus/node-exporter -> quay.io/prometheus/node-exporter (registry, line 3)
//! ghcr.io/acme/web:2 -> registry.example.com/acme/web:2 (default, line 1)
//! ```

use std::{
    env,
    io::{self, Write},
};

use imageswap::rules::LoadedMap;

/// A rule for all images, one for Docker Hub, and one that leaves the images of Quay alone.
const MAP: &str = "\
default::registry.example.com
docker.io::registry.example.com/hub/{path}
quay.io::
";

fn main() -> anyhow::Result<()> {
    let map = LoadedMap::from_text(MAP)?;
    let mut output = io::stdout().lock();
    // A line that is not a rule is skipped. Its diagnostic says why. Warnings and notes are about rules that apply.
    for diagnostic in map.diagnostics.kept() {
        writeln!(output, "{}: {}", diagnostic.severity().as_str(), diagnostic.message)?;
    }
    for image in env::args().skip(1) {
        let decision = map.rules.decide(&image);
        write!(output, "{image} -> {} ({}", decision.result(&image), decision.reason.as_str())?;
        if let Some(rule) = decision.rule {
            write!(output, ", line {}", rule.line)?;
        }
        writeln!(output, ")")?;
    }
    Ok(())
}
