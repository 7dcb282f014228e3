//! A volume that changes the way the kubelet changes one.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

/// A mounted ConfigMap or Secret: each file is a link through `..data` to the generation in use.
pub(crate) struct Volume {
    _parent: TempDir,
    directory: PathBuf,
    generation: usize,
}

impl Volume {
    /// A volume with nothing in it.
    pub(crate) fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("volume");
        fs::create_dir(&directory).unwrap();
        Self { _parent: parent, directory, generation: 0 }
    }

    /// Where it is mounted.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Exchanges all files at once: a new directory, then `..data` renamed onto the old link.
    pub(crate) fn write(&mut self, files: &[(&str, &[u8])]) {
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
        if let Some(old) = old {
            fs::remove_dir_all(self.directory.join(old)).unwrap();
        }
    }

    /// Removes the whole volume, and makes an empty one in its place.
    pub(crate) fn replace(&mut self) {
        fs::remove_dir_all(&self.directory).unwrap();
        fs::create_dir(&self.directory).unwrap();
    }
}

/// A certificate and its key in PEM, and the certificate in DER.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) der: Vec<u8>,
}

impl Pair {
    /// Makes a pair for localhost.
    pub(crate) fn make() -> Self {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
        }
    }

    /// The files of a Secret with this pair.
    pub(crate) fn files(&self) -> [(&'static str, &[u8]); 2] {
        [("cert.pem", self.certificate.as_bytes()), ("key.pem", self.key.as_bytes())]
    }
}
