//! The workloads of `deploy/samples`: their page, and what the sample map makes of their images.
//!
//! `tests/cluster/samples.rs` applies them to a control plane.

use std::fs;

use imageswap::{rules::LoadedMap, settings::SAMPLE_MAP};
use support::samples::{Sample, folder, samples};

#[test]
fn the_page_of_the_samples_lists_them() {
    let page = fs::read_to_string(folder().join("README.md")).unwrap();
    let rows: String = samples().iter().map(row).collect();
    let table = format!("| sample | shows | image | new image |\n|---|---|---|---|\n{rows}\n");
    assert!(page.contains(&table), "not in deploy/samples/README.md:\n{table}");
}

/// Returns the row of a sample, with the images of a cell in lines of their own.
fn row(sample: &Sample) -> String {
    let Sample { name, subject, images, .. } = sample;
    let cell = |texts: Vec<String>| texts.join("<br>");
    let written = images.iter().map(|image| format!("`{}`", image.written)).collect();
    let swapped = images.iter().map(|image| match &image.swapped {
        Some(swapped) => format!("`{swapped}`"),
        None => "left alone".to_owned(),
    });
    let (written, swapped) = (cell(written), cell(swapped.collect()));
    format!("| [{name}]({name}.yaml) | {subject} | {written} | {swapped} |\n")
}

#[test]
fn the_sample_map_rewrites_the_images_as_the_samples_say() {
    let rules = LoadedMap::from_text(SAMPLE_MAP).unwrap().rules;
    let samples = samples();
    assert!(samples.len() >= 12, "{} samples", samples.len());
    for Sample { name, images, .. } in samples {
        assert!(!images.is_empty(), "{name} has no images");
        for image in images {
            // What is left alone may be so for another reason than the map.
            if let Some(swapped) = &image.swapped {
                assert_eq!(
                    rules.decide(&image.written).result(&image.written),
                    **swapped,
                    "{name}"
                );
            }
        }
    }
}
