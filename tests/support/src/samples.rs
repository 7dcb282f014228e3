//! The workloads of `deploy/samples`. A comment at the top of each says what the sample map makes of its images.

use std::{fs, path::PathBuf};

/// A workload to apply.
pub struct Sample {
    /// Path of the file.
    pub path: PathBuf,
    /// Name of the file without `.yaml`, which is also the name of the object and the label `sample` of its pods.
    pub name: String,
    /// The subject, in a sentence.
    pub subject: String,
    /// The images of the pod, as it is in the end.
    pub images: Vec<SampleImage>,
    /// Commands to run after it is applied.
    pub commands: Vec<String>,
}

/// An image of a sample.
pub struct SampleImage {
    /// Name of the container or volume.
    pub name: String,
    /// The image as written.
    pub written: String,
    /// The new image. `None` if it is left alone.
    pub swapped: Option<String>,
}

impl SampleImage {
    /// Returns the image of the stored pod.
    pub fn stored(&self) -> &str {
        self.swapped.as_ref().unwrap_or(&self.written)
    }
}

/// Returns the folder of the samples.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/samples"))
}

/// Reads the samples, in the order of their names.
pub fn samples() -> Vec<Sample> {
    let paths = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|it| it.extension().is_some_and(|it| it == "yaml")).collect();
    paths.sort();
    paths.into_iter().map(sample).collect()
}

fn sample(path: PathBuf) -> Sample {
    let text = fs::read_to_string(&path).unwrap();
    let comments: Vec<_> = text.lines().map_while(|line| line.strip_prefix('#')).collect();
    let images = comments.iter().filter_map(|line| {
        let (name, image) = line.strip_prefix("   ")?.split_once(": ").unwrap();
        let (written, stored) = image.split_once(" -> ").unwrap();
        let swapped = (stored != "left alone").then(|| stored.to_owned());
        Some(SampleImage { name: name.to_owned(), written: written.to_owned(), swapped })
    });
    let commands = comments.iter().filter_map(|line| line.strip_prefix(" $ ")).map(str::to_owned);
    Sample {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        subject: comments[0].trim_start().to_owned(),
        images: images.collect(),
        commands: commands.collect(),
        path,
    }
}
