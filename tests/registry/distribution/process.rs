//! The process of a registry.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    fixture::{Pki, USER, skip},
    token_server::{ISSUER, SERVICE},
};

/// Environment variable with the path of the program.
const PROGRAM: &str = "IMAGESWAP_REGISTRY_PROGRAM";

/// The hash of the password of the tests, by bcrypt, which is the only kind that the registry reads.
const PASSWORD_HASH: &str = "$2b$04$qEgm3.NAqzF4eUmlXJKiSOzkgOdPOVQ/VgiOerLDOJSVvr5ZW6abG";

/// The way in which a registry knows its users.
pub(crate) enum Authentication {
    /// It does not.
    None,
    /// By user and password.
    Password,
    /// By tokens of the token server at this URL.
    Token { realm: String },
}

/// A running registry with TLS. Dropping it ends the process.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    child: Child,
    _directory: TempDir,
}

/// Returns the path of the program. `None` if it is not set, so that the test is skipped.
pub(crate) fn program() -> Option<PathBuf> {
    let program = env::var_os(PROGRAM).map(PathBuf::from);
    if program.is_none() {
        skip(&format!("{PROGRAM} is not set; .ci/registry sets it"));
    }
    program
}

impl Registry {
    /// Starts a registry on a free port, and waits until it listens.
    pub(crate) async fn start(program: &Path, pki: &Pki, authentication: &Authentication) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let path = directory.path().join(name);
            fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let auth = match authentication {
            Authentication::None => Value::Null,
            Authentication::Password => {
                let path = write("htpasswd", &format!("{USER}:{PASSWORD_HASH}\n"));
                json!({ "htpasswd": { "realm": "registry", "path": path } })
            }
            Authentication::Token { realm } => {
                let bundle = write("ca.pem", &pki.authority.pem());
                json!({ "token": {
                    "realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle,
                } })
            }
        };
        let mut config = json!({
            "version": "0.1",
            "log": { "level": "info", "formatter": "json" },
            "storage": {
                "filesystem": { "rootdirectory": directory.path().join("data") },
                "delete": { "enabled": true },
            },
            "http": { "addr": "127.0.0.1:0", "secret": "of uploads", "tls": {
                "certificate": write("tls.crt", &pki.pair.certificate),
                "key": write("tls.key", &pki.pair.key),
            } },
        });
        if !auth.is_null() {
            config["auth"] = auth;
        }
        // JSON is YAML.
        let config = write("config.yml", &config.to_string());
        let mut child = Command::new(program)
            .args(["serve", &config])
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = tokio::task::spawn_blocking(|| await_address(lines)).await.unwrap();
        Self { address, child, _directory: directory }
    }

    /// Returns the registry in images, by name.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }
}

/// Reads the log up to the address on which the registry listens. The rest of it is read and dropped, so that the
/// registry never waits for its reader.
fn await_address(
    mut lines: impl Iterator<Item = std::io::Result<String>> + Send + 'static,
) -> SocketAddr {
    let mut log = Vec::new();
    let address = loop {
        let Some(line) = lines.next() else { break None };
        let line = line.unwrap();
        let address = line
            .split_once("listening on ")
            .and_then(|(_, rest)| rest.split([',', '"']).next()?.parse().ok());
        if address.is_some() {
            break address;
        }
        log.push(line);
    };
    std::thread::spawn(move || while lines.next().is_some() {});
    address.unwrap_or_else(|| panic!("the registry does not listen:\n{}", log.join("\n")))
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
