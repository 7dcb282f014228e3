//! What registries are asked with: docker config files, images, and hosts in settings.
//!
//! An input is a docker config file of any bytes, and consists of texts that are read as each of the three. Secrets of
//! the seeds contain a marker, which no message may show.

use std::fmt::Debug;

use imageswap::registry::{Credentials, RegistryHost, Target};
use serde_json::Value;

use crate::inputs;

/// The pieces of docker config files, images and hosts.
pub const PIECES: &[&str] = &[
    SECRET,
    ENCODED_SECRET,
    "{\"auths\":{",
    "\"auths\":",
    "\"h.io\":{",
    "\"https://index.docker.io/v1/\":{",
    "\"https://TOPSECRET:TOPSECRET@h.io\":{",
    "\"*.h.io:5000/team\":{",
    "\"auth\":",
    "\"username\":",
    "\"password\":",
    "\"identitytoken\":",
    "\"registrytoken\":",
    "\"credsStore\":",
    "\"credHelpers\":",
    "\"TOPSECRET\"",
    "\"VE9QU0VDUkVUOlRPUFNFQ1JFVA==\"",
    "\"\\u0054OPSECRET\"",
    "{",
    "}",
    "}}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "1",
    "\\n",
    "\\",
    "h.io",
    "docker.io",
    "index.docker.io",
    "library/",
    "localhost",
    "[fd00::1]",
    "10.0.0.5",
    ":5000",
    ":0",
    ":65536",
    ":latest",
    "@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
    "/",
    "..",
    ".",
    "-",
    "_",
    "*",
    "?",
    "#",
    "%2f",
    "@",
    "A",
    "a",
    " ",
    "é",
];

/// The marker of a secret.
const SECRET: &str = "TOPSECRET";

/// The beginning of each secret of user and password in base64.
const ENCODED_SECRET: &str = "VE9QU0VDUkVU";

/// Maximum size of a name in bytes, with its registry.
const MAX_NAME_BYTES: usize = 255;

/// Maximum size of a text in bytes.
const MAX_BYTES: usize = 4096;

/// Reads an input as a docker config file, and its texts also as images and hosts.
///
/// # Panics
/// If a message shows a secret, or an image or host is printed as another one.
pub fn run(data: &[u8]) {
    assert_config(data);
    for text in inputs::texts(data, PIECES, MAX_BYTES) {
        assert_config(text.as_bytes());
        assert_target(&text);
        assert_host(&text);
    }
}

/// Returns config files with each kind of credential, images, and hosts.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let files = [
        r#"{"auths":{"h.io":{"auth":"VE9QU0VDUkVUOlRPUFNFQ1JFVA=="},"*.h.io:5000/a":{"auth":"VE9QU0VDUkVU"}}}"#,
        r#"{"auths":{"https://i.io/v1/":{"username":"TOPSECRET","password":"TOPSECRET","email":"TOPSECRET"}}}"#,
        r#"{"auths":{"j.io":{"identitytoken":"TOPSECRET"},"k.io":{"registrytoken":"TOPSECRET\n"}}}"#,
        r#"{"auths":{"https://TOPSECRET:TOPSECRET@h.io":{"auth":""},"l.io":"TOPSECRET"}}"#,
        r#"{"credsStore":"TOPSECRET","credHelpers":{"h.io":"TOPSECRET"},"auths":{"h.io":{"auth":["TOPSECRET"]}}}"#,
        r#"{"auths":{"h.io":{"username":"TOPSECRET:a","password":1}}}"#,
    ];
    let images = [
        "nginx",
        "index.docker.io/library/nginx:1",
        "Host.io:5000/a/b:V1",
        "[fd00::1]:5000/a",
        "h.io/a:1@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
    ];
    let hosts = ["Registry.Example.com", "10.0.0.5:5000", "[FD00::1]:0443", "h:00080"];
    let mut seeds: Vec<_> = files.iter().map(|file| file.as_bytes().to_vec()).collect();
    seeds.extend([inputs::of_texts(&images), inputs::of_texts(&hosts)]);
    seeds
}

/// Checks that a docker config file is read without showing a secret. Names of registries, which are keys, are shown.
fn assert_config(text: &[u8]) {
    let file: Option<Value> = serde_json::from_slice(text).ok();
    match Credentials::parse(text) {
        Ok((credentials, problems)) => {
            let Some(file) = file else { panic!("accepted, and not valid JSON") };
            assert_no_secret(&file, &(&credentials, &problems), &problems.join("\n"));
            let auths = file.get("auths").and_then(Value::as_object);
            assert!(credentials.len() <= auths.map_or(0, serde_json::Map::len));
        }
        Err(error) => match file {
            Some(file) => assert_no_secret(&file, &error, &error.to_string()),
            // Nothing of a file that is no JSON can be a name of a registry.
            None => {
                let shown = error.to_string();
                let rest = shown.trim_matches(|character: char| character.is_ascii_digit());
                let is_position = rest.starts_with("line ") && rest.ends_with(": not valid JSON");
                assert!(is_position, "{shown}");
                assert!(!has_secret(&format!("{shown} {error:?}")), "{shown}");
            }
        },
    }
}

fn assert_no_secret(file: &Value, value: &impl Debug, message: &str) {
    if has_secret_registry(file) {
        return;
    }
    let shown = format!("{value:?} {value:#?} {message}");
    assert!(!has_secret(&shown), "{shown}");
}

/// Returns true if a registry has the marker in its name, unless that is a user with a password, which are secrets.
fn has_secret_registry(file: &Value) -> bool {
    // Registries are named by the keys of both.
    let objects = ["auths", "credHelpers"].map(|field| file.get(field).and_then(Value::as_object));
    let mut keys = objects.into_iter().flatten().flat_map(serde_json::Map::keys);
    let is_user = |key: &str| {
        let host = key.trim_start_matches("https://").split('/').next().unwrap_or_default();
        host.contains('@')
    };
    keys.any(|key| has_secret(key) && !is_user(key))
}

fn has_secret(text: &str) -> bool {
    // A host is shown in lower case.
    let text = text.to_ascii_lowercase();
    [SECRET, ENCODED_SECRET].iter().any(|secret| text.contains(&secret.to_ascii_lowercase()))
}

/// Checks that an image is printed as one that is read alike, and that it cannot change the URL which it becomes a part
/// of.
fn assert_target(image: &str) {
    let Some(target) = Target::parse(image) else { return };
    let shown = target.to_string();
    // `Host/a` names a registry only by its upper case, which is not printed; `docker.io/library/` makes a name longer.
    let registry = target.registry();
    let is_registry = registry == "localhost" || registry.contains(['.', ':']);
    if is_registry && shown.len() <= MAX_NAME_BYTES {
        assert_eq!(Target::parse(&shown).as_ref(), Some(&target), "{image} is printed as {shown}");
    }
    let path = format!("{}/{}", target.repository(), target.reference());
    for part in path.split('/') {
        assert!(!["", ".", ".."].contains(&part), "{image} has the path {path}");
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:=".contains(&byte);
    assert!(path.bytes().all(is_plain), "{image} has the path {path}");
    assert!(!registry.contains(['/', '@', '?', '#', '%', ' ']), "{image}");
}

/// Checks that a host is printed as one that is read alike, and holds nothing but host and port.
fn assert_host(text: &str) {
    let Ok(host) = text.parse::<RegistryHost>() else { return };
    let shown = host.to_string();
    assert_eq!(shown.parse(), Ok(host.clone()), "{text} is printed as {shown}");
    assert!(host.is(text) && host.is(&shown), "{text} is not {shown}");
    assert_ne!(host.port(), Some(0), "{text}");
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |byte: u8| is_plain(byte) || b".-:[]".contains(&byte);
    assert!(!host.host().is_empty() && host.host().bytes().all(is_part), "{text}");
}
