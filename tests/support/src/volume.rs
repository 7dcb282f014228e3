//! A volume that changes like the volumes of ConfigMaps and Secrets.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// A mounted ConfigMap or Secret.
///
/// Each file is a symbolic link through `..data`, which links to the directory in use.
pub struct Volume {
    _parent: TempDir,
    directory: PathBuf,
    generation: usize,
}

impl Volume {
    /// Creates an empty volume.
    pub fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("volume");
        fs::create_dir(&directory).unwrap();
        Self { _parent: parent, directory, generation: 0 }
    }

    /// Returns the path of the volume.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Replaces all files at once: writes a new directory, then renames a new `..data` over the old one. Then it adds the
    /// links of new files, and removes those of files that are gone, like the kubelet.
    pub fn write(&mut self, files: &[(&str, &[u8])]) {
        let old = fs::read_link(self.directory.join("..data")).ok();
        self.generation += 1;
        let generation = format!("..generation_{}", self.generation);
        fs::create_dir(self.directory.join(&generation)).unwrap();
        for (name, content) in files {
            fs::write(self.directory.join(&generation).join(name), content).unwrap();
        }
        symlink(&generation, self.directory.join("..data_tmp")).unwrap();
        fs::rename(self.directory.join("..data_tmp"), self.directory.join("..data")).unwrap();
        for (name, _) in files {
            let file = self.directory.join(name);
            if !file.is_symlink() {
                symlink(Path::new("..data").join(name), file).unwrap();
            }
        }
        for entry in fs::read_dir(&self.directory).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let is_stale = !files.iter().any(|(file, _)| name == **file);
            if is_stale && !name.to_string_lossy().starts_with("..") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        if let Some(old) = old {
            fs::remove_dir_all(self.directory.join(old)).unwrap();
        }
    }

    /// Removes the volume and creates an empty one.
    pub fn replace(&mut self) {
        fs::remove_dir_all(&self.directory).unwrap();
        fs::create_dir(&self.directory).unwrap();
    }
}
