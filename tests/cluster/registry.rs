//! A real registry as a process, over TLS and with a password: `docker-registry` of Debian, which the distribution project
//! develops.

use std::{
    fmt::Write,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};
use serde_json::json;
use tempfile::TempDir;

use crate::{Cluster, certificates::server_pair, secrecy};

/// Environment variable with the program of the registry.
const PROGRAM: &str = "IMAGESWAP_REGISTRY_PROGRAM";

const USER: &str = "puller";

const PASSWORD: &str = "a-password-of-the-mirror-4711";

/// The bcrypt hash of [`PASSWORD`], with the lowest cost.
const PASSWORD_HASH: &str = "$2b$04$abcdefghijklmnopqrstuuyCxqZ6k3hBfBCJFJTP5MOSTz1Cd9cqq";

/// A running registry on a free port of loopback. Dropping it kills the process.
pub(crate) struct Registry {
    child: Child,
    host: String,
    directory: TempDir,
}

impl Registry {
    /// Starts a registry whose certificate the authority of the cluster has signed. `None` if there is no program, which is
    /// printed.
    pub(crate) fn start(cluster: &Cluster) -> Option<Self> {
        let Some(program) = std::env::var_os(PROGRAM) else {
            eprintln!(
                "      SKIPPED: {PROGRAM} is not set; run .ci/cluster, which gets docker-registry"
            );
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = server_pair(cluster.control_plane.authority(), &["127.0.0.1"]);
        secrecy::record_token(PASSWORD);
        secrecy::record_token(&basic_credentials());
        let write = |name: &str, content: &str| {
            let file = directory.path().join(name);
            fs::write(&file, content).unwrap();
            file
        };
        let configuration = json!({
            "version": "0.1",
            "storage": { "filesystem": { "rootdirectory": directory.path().join("data") } },
            "http": {
                "addr": "127.0.0.1:0",
                "tls": {
                    "certificate": write("cert.pem", &certificate),
                    "key": write("key.pem", &key),
                },
            },
            "auth": {
                "htpasswd": {
                    "realm": "mirror",
                    "path": write("htpasswd", &format!("{USER}:{PASSWORD_HASH}\n")),
                },
            },
        });
        // JSON is YAML.
        let configuration = write("config.yml", &configuration.to_string());
        let mut child = Command::new(program)
            .arg("serve")
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let host = lines.by_ref().find_map(|line| {
            let (_, address) = line.split_once("listening on ")?;
            address.split_once(", tls").map(|(address, _)| address.to_owned())
        });
        thread::spawn(move || lines.for_each(drop));
        Some(Self { child, host: host.unwrap(), directory })
    }

    /// Returns the host and port, as in an image.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Returns a Docker config file with the credentials.
    pub(crate) fn credentials(&self) -> String {
        let entry = json!({ "auth": basic_credentials() });
        json!({ "auths": { self.host.as_str(): entry } }).to_string()
    }

    /// Stores an image without layers, in the folders in which the registry finds it.
    pub(crate) fn store(&self, repository: &str, tag: &str) {
        let root = self.directory.path().join("data/docker/registry/v2");
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": format!("sha256:{}", hash(b"{}")),
                "size": 2,
            },
            "layers": [],
        });
        let manifest = manifest.to_string();
        let hash = hash(manifest.as_bytes());
        write(&root.join("blobs/sha256").join(&hash[..2]).join(&hash).join("data"), &manifest);
        let manifests = root.join("repositories").join(repository).join("_manifests");
        let link = format!("sha256:{hash}");
        write(&manifests.join("revisions/sha256").join(&hash).join("link"), &link);
        write(&manifests.join("tags").join(tag).join("current/link"), &link);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn basic_credentials() -> String {
    STANDARD.encode(format!("{USER}:{PASSWORD}"))
}

fn hash(content: &[u8]) -> String {
    digest(&SHA256, content).as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Writes a file, and creates its folders.
fn write(file: &Path, content: &str) {
    fs::create_dir_all(file.parent().map(PathBuf::from).unwrap()).unwrap();
    fs::write(file, content).unwrap();
}
