//! The workloads of `deploy/samples`, applied with the sample map.

use imageswap::settings::SAMPLE_MAP;
use serde_json::Value;
use support::samples::{Sample, SampleImage, samples};

use crate::{
    IMAGE_VOLUMES, MAP, SIDECARS, SWAPPED, Step, eventually,
    kubectl::parsed,
    objects::{images, template_of},
    swapping::Swapping,
};

pub(crate) const STEPS: &[Step<Swapping>] =
    &[("the samples are stored as their comments say", stored)];

fn stored(swapping: &Swapping) {
    swapping.files.write("maps.conf", SAMPLE_MAP);
    swapping.cluster.await_probe("app=registry.example.com/official/probe:1");
    for sample in samples() {
        let needed = match &*sample.name {
            "image-volume" => Some(IMAGE_VOLUMES),
            "init-container" => Some(SIDECARS),
            _ => None,
        };
        if needed.is_some_and(|feature| !swapping.cluster.has(feature)) {
            continue;
        }
        apply(swapping, &sample);
    }
    swapping.files.write("maps.conf", MAP);
    swapping.cluster.await_probe("app=one.example.com/probe:1");
}

/// Applies a sample, and compares its stored images with those of its comment.
fn apply(swapping: &Swapping, sample: &Sample) {
    let Sample { name, commands, .. } = sample;
    let control_plane = &swapping.cluster.control_plane;
    let path = sample.path.to_str().unwrap();
    let written = ["create", "--dry-run=client", "--output=json", "--filename", path];
    let written = parsed(&control_plane.kubectl(&written));
    assert_eq!(written["metadata"]["name"], **name);
    control_plane.apply(&["--filename", path, "--namespace", SWAPPED]);
    for command in commands {
        let mut words = command.split(' ');
        assert_eq!(words.next(), Some("kubectl"));
        let in_namespace = words.chain(["--namespace", SWAPPED]).collect::<Vec<_>>();
        control_plane.kubectl(&in_namespace);
    }
    let expected = lines(sample, SampleImage::stored);
    let found = eventually(&format!("the pods of the sample {name}"), || {
        let label = format!("--selector=sample={name}");
        let pods = control_plane.stored(&["pods", "--namespace", SWAPPED, &label]);
        let pods = pods["items"].as_array().unwrap().clone();
        let found: Vec<_> = pods.iter().map(images).collect();
        if found.is_empty() { Err("none") } else { Ok(found) }
    });
    assert_eq!(found, [expected], "{name}");
    assert_written(swapping, sample, &written);
    let kind = written["kind"].as_str().unwrap();
    control_plane.kubectl(&["delete", kind, name, "--namespace", SWAPPED, "--wait=false"]);
}

/// Fails unless the comment has the images of the file, and the object of a controller is stored as written.
fn assert_written(swapping: &Swapping, sample: &Sample, written: &Value) {
    let mut expected = lines(sample, |image| &image.written);
    let added = |line: &String| {
        sample
            .commands
            .iter()
            .any(|command| line.split_once('=').is_some_and(|(_, image)| command.contains(image)))
    };
    expected.retain(|line| !added(line));
    let template = template_of(written);
    assert_eq!(images(template), expected, "{}", sample.name);
    if written["kind"] != "Pod" {
        let object = format!("{}/{}", written["kind"].as_str().unwrap(), sample.name);
        assert_eq!(swapping.template_images_of(&object), expected, "{object}");
    }
}

/// Returns the images of a sample, each as `name=image`.
fn lines(sample: &Sample, image: impl Fn(&SampleImage) -> &str) -> Vec<String> {
    sample.images.iter().map(|one| format!("{}={}", one.name, image(one))).collect()
}
