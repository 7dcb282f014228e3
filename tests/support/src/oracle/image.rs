//! The image: registry, path, tag and digest (section 2).

/// An image split at its registry.
pub struct Image {
    /// The reference as it is written.
    pub text: String,
    /// The canonical registry, `docker.io` by default.
    pub registry: String,
    /// The canonical registry without its port.
    pub host: String,
    /// The port of the registry.
    pub port: Option<String>,
    /// The part after the registry.
    pub path: String,
    /// True if the reference names no registry.
    pub shorthand: bool,
}

impl Image {
    /// Splits a reference.
    pub fn parse(text: &str) -> Self {
        let (written, path) = match text.split_once('/') {
            Some((first, follows)) if !follows.is_empty() && is_registry(first) => {
                (Some(first), follows)
            }
            _ => (None, text),
        };
        let (host, port) = split_port(written.unwrap_or("docker.io"));
        let host = canonical_host(host);
        let registry = match port {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        };
        Self {
            text: text.to_owned(),
            registry,
            host,
            port: port.map(str::to_owned),
            path: path.to_owned(),
            shorthand: written.is_none(),
        }
    }

    /// Returns the path, with `library/` for an official image of Docker Hub.
    pub fn canonical_path(&self) -> String {
        if self.registry == "docker.io" && !self.path.contains('/') {
            format!("library/{}", self.path)
        } else {
            self.path.clone()
        }
    }

    /// Returns the canonical path without tag and digest, and these.
    pub fn repository_and_suffix(&self) -> (String, String) {
        let path = self.canonical_path();
        let repository = without_tag_and_digest(&path);
        (repository.to_owned(), path[repository.len()..].to_owned())
    }

    /// Returns true if the host is an IPv6 address.
    pub fn is_ipv6(&self) -> bool {
        self.host.starts_with('[')
    }

    /// Returns the reference with its registry, if it names one, in lower case.
    pub fn text_in_lower_case(&self) -> String {
        if self.shorthand {
            return self.text.clone();
        }
        let (registry, path) = self.text.split_once('/').unwrap();
        format!("{}/{path}", registry.to_ascii_lowercase())
    }
}

fn is_registry(first: &str) -> bool {
    first.contains('.')
        || first.contains(':')
        || first == "localhost"
        || first.contains(|character: char| character.is_ascii_uppercase())
}

/// Splits a registry into host and port. The colons of an IPv6 address do not separate a port.
pub(super) fn split_port(registry: &str) -> (&str, Option<&str>) {
    match registry.rsplit_once(':') {
        Some((host, port)) if !registry.ends_with(']') => (host, Some(port)),
        _ => (registry, None),
    }
}

/// Returns a host in lower case, and `docker.io` for `index.docker.io`.
pub(super) fn canonical_host(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    if host == "index.docker.io" { "docker.io".to_owned() } else { host }
}

/// Removes tag and digest from a path.
pub fn without_tag_and_digest(path: &str) -> &str {
    let path = path.split('@').next().unwrap();
    let last = path.rsplit('/').next().unwrap();
    match last.rfind(':') {
        Some(colon) => &path[..path.len() - last.len() + colon],
        None => path,
    }
}
