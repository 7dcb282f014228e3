//! The hosts that a registry can send the client to.

use hyper::{Uri, http::uri::Scheme};

use super::{answer::failed, settings::ClientSettings};
use crate::{
    image::DOCKER_HUB,
    registry::{
        check::{CheckResult, Checked},
        host::RegistryHost,
        target::Target,
    },
};

/// The host of the registry of Docker Hub.
const DOCKER_HUB_REGISTRY: &str = "registry-1.docker.io";

/// The host of the token server of Docker Hub.
const DOCKER_HUB_TOKENS: &str = "auth.docker.io";

/// The setting that allows more hosts.
const ALLOWED_HOSTS: &str = "IMAGESWAP_REGISTRY_ALLOWED_HOSTS";

/// The rules that hold for all registries.
#[derive(Debug)]
pub(super) struct Destinations {
    settings: ClientSettings,
    docker_hub_tokens: Option<RegistryHost>,
}

/// A registry as it is connected to, and the hosts that it can send the client to.
#[derive(Debug)]
pub(super) struct Endpoint<'a> {
    host: RegistryHost,
    is_plain: bool,
    allowed_hosts: &'a [RegistryHost],
    /// The token server of Docker Hub, if this is its registry.
    token_server: Option<&'a RegistryHost>,
}

impl Destinations {
    pub(super) fn new(settings: ClientSettings) -> Self {
        Self { settings, docker_hub_tokens: DOCKER_HUB_TOKENS.parse().ok() }
    }

    /// Returns the endpoint of the registry of an image.
    ///
    /// # Errors
    /// If the registry has no valid host and port.
    pub(super) fn endpoint(&self, registry: &str) -> Result<Endpoint<'_>, Checked> {
        let is_docker_hub = registry == DOCKER_HUB;
        let name = if is_docker_hub { DOCKER_HUB_REGISTRY } else { registry };
        let host: RegistryHost =
            name.parse().map_err(|error| invalid(&format!("the registry {name}: {error}")))?;
        Ok(Endpoint {
            is_plain: self.settings.plain_http.contains(&host),
            host,
            allowed_hosts: &self.settings.allowed_hosts,
            token_server: self.docker_hub_tokens.as_ref().filter(|_| is_docker_hub),
        })
    }
}

impl Endpoint<'_> {
    /// Returns the URL of the manifest of an image.
    ///
    /// # Errors
    /// If the parts of the image are not valid in a URL.
    pub(super) fn manifest(&self, target: &Target) -> Result<Uri, Checked> {
        let scheme = if self.is_plain { "http" } else { "https" };
        let (repository, reference) = (target.repository(), target.reference());
        format!("{scheme}://{}/v2/{repository}/manifests/{reference}", self.host)
            .parse()
            .map_err(|_| invalid("the image cannot be written as a URL"))
    }

    /// Returns true if a URL is one of the registry itself, which may see the credentials.
    pub(super) fn is_registry(&self, uri: &Uri) -> bool {
        (self.is_plain || is_https(uri)) && self.host.serves(uri)
    }

    /// Returns the URL that the registry redirects to.
    ///
    /// # Errors
    /// If the URL is not valid, or its host is not allowed.
    pub(super) fn redirect(&self, from: &Uri, location: &str) -> Result<Uri, Checked> {
        let uri = resolve(from, location)
            .ok_or_else(|| invalid("the registry redirects to an invalid URL"))?;
        if self.is_registry(&uri) || self.is_allowed(&uri) {
            return Ok(uri);
        }
        Err(invalid(&format!(
            "the registry redirects to {}",
            not_allowed(&uri, "the target of a redirect")
        )))
    }

    /// Returns the URL of the token server that the registry names.
    ///
    /// # Errors
    /// If the URL is not valid, or its host is not allowed.
    pub(super) fn realm(&self, realm: &str) -> Result<Uri, Checked> {
        let refused = |detail: &str| failed(CheckResult::Refused, detail);
        let uri: Uri = realm
            .parse()
            .ok()
            .filter(|uri: &Uri| RegistryHost::of(uri).is_some() && uri.scheme().is_some())
            .ok_or_else(|| refused("the registry names a token server with an invalid URL"))?;
        if self.is_registry(&uri) || self.is_token_server(&uri) || self.is_allowed(&uri) {
            return Ok(uri);
        }
        Err(refused(&format!(
            "the registry sends token requests to {}",
            not_allowed(&uri, "the token server")
        )))
    }

    /// Returns true if a URL is that of a token server which belongs to the registry: one on another port of its host,
    /// as GitLab has it, or that of Docker Hub.
    fn is_token_server(&self, uri: &Uri) -> bool {
        let is_same_host =
            RegistryHost::of(uri).is_some_and(|host| host.host() == self.host.host());
        is_https(uri)
            && (is_same_host || self.token_server.is_some_and(|server| server.serves(uri)))
    }

    fn is_allowed(&self, uri: &Uri) -> bool {
        is_https(uri) && self.allowed_hosts.iter().any(|host| host.serves(uri))
    }
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}

fn invalid(detail: &str) -> Checked {
    failed(CheckResult::Invalid, detail)
}

/// Returns the end of a message about `peer`, whose host is not allowed. The URL is not quoted: it may hold a signature.
fn not_allowed(uri: &Uri, peer: &str) -> String {
    let host = RegistryHost::of(uri).map_or("an invalid host".to_owned(), |host| host.to_string());
    if is_https(uri) {
        format!("{host}, which is not in {ALLOWED_HOSTS}")
    } else {
        format!("{host} without HTTPS, which {peer} has to use")
    }
}

/// Resolves the value of `Location`. `None` if it is not valid, or relative to the path, which no registry sends.
fn resolve(from: &Uri, location: &str) -> Option<Uri> {
    let scheme = from.scheme_str()?;
    let uri: Uri = if location.starts_with("//") {
        format!("{scheme}:{location}").parse().ok()?
    } else if location.starts_with('/') {
        format!("{scheme}://{}{location}", from.authority()?).parse().ok()?
    } else {
        location.parse().ok()?
    };
    (uri.scheme().is_some() && RegistryHost::of(&uri).is_some()).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destinations() -> Destinations {
        let hosts = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Destinations::new(ClientSettings {
            plain_http: hosts(&["plain.io:5000"]),
            allowed_hosts: hosts(&["tokens.io", "blobs.io:8443"]),
        })
    }

    #[test]
    fn a_manifest_has_the_url_of_its_registry() {
        for (image, expected) in [
            ("h.io/a/b:1", "https://h.io/v2/a/b/manifests/1"),
            ("nginx", "https://registry-1.docker.io/v2/library/nginx/manifests/latest"),
            ("plain.io:5000/a", "http://plain.io:5000/v2/a/manifests/latest"),
            ("plain.io/a", "https://plain.io/v2/a/manifests/latest"),
            ("[fd00::1]:5000/a", "https://[fd00::1]:5000/v2/a/manifests/latest"),
        ] {
            let target = Target::parse(image).unwrap();
            let destinations = destinations();
            let endpoint = destinations.endpoint(target.registry()).unwrap();
            let uri = endpoint.manifest(&target).unwrap();
            assert_eq!(uri.to_string(), expected);
            assert!(endpoint.is_registry(&uri), "{image}");
        }
        let target = Target::parse("h.io:99999/a").unwrap();
        let error = destinations().endpoint(target.registry()).unwrap_err();
        assert_eq!(error.result, CheckResult::Invalid);
    }

    #[test]
    fn a_registry_redirects_to_itself_and_to_allowed_hosts() {
        for (registry, location, expected) in [
            ("h.io", "/v2/b", Some("https://h.io/v2/b")),
            ("h.io", "https://H.io:443/b", Some("https://H.io:443/b")),
            ("h.io", "//h.io/b", Some("https://h.io/b")),
            ("h.io", "https://tokens.io/b?sig=1", Some("https://tokens.io/b?sig=1")),
            ("h.io", "https://blobs.io:8443/b", Some("https://blobs.io:8443/b")),
            ("h.io", "https://blobs.io/b", None),
            ("h.io", "https://h.io:8443/b", None),
            ("h.io", "http://h.io/b", None),
            ("h.io", "http://tokens.io/b", None),
            ("h.io", "https://h.io@evil.io/b", None),
            ("h.io", "https://user@h.io/b", None),
            ("h.io", "//evil.io/b", None),
            ("h.io", "b", None),
            ("h.io", "", None),
            ("h.io", "https://h.io.evil.io/b", None),
            ("h.io", "https://169.254.169.254/", None),
            ("h.io", "file:///etc/passwd", None),
            ("h.io", "\\\\evil.io", None),
            ("plain.io:5000", "http://plain.io:5000/b", Some("http://plain.io:5000/b")),
            ("plain.io:5000", "https://plain.io:5000/b", Some("https://plain.io:5000/b")),
            ("plain.io:5000", "http://tokens.io/b", None),
        ] {
            let destinations = destinations();
            let endpoint = destinations.endpoint(registry).unwrap();
            let from = endpoint.manifest(&Target::parse("h.io/a").unwrap()).unwrap();
            let found = endpoint.redirect(&from, location);
            let found = found.map(|uri| uri.to_string()).map_err(|error| error.result);
            let expected = expected.map(str::to_owned).ok_or(CheckResult::Invalid);
            assert_eq!(found, expected, "{registry} {location}");
        }
    }

    #[test]
    fn token_requests_go_to_the_registry_and_to_allowed_hosts() {
        for (registry, realm, expected) in [
            ("h.io", "https://h.io/token", true),
            ("h.io:5050", "https://h.io/jwt/auth", true),
            ("h.io", "https://tokens.io/token?x=1", true),
            ("docker.io", "https://auth.docker.io/token", true),
            ("docker.io", "http://auth.docker.io/token", false),
            ("h.io", "https://auth.docker.io/token", false),
            ("h.io", "http://h.io/token", false),
            ("h.io", "http://tokens.io/token", false),
            ("h.io", "https://evil.io/token", false),
            ("h.io", "https://h.io@evil.io/token", false),
            ("h.io", "https://a.h.io/token", false),
            ("h.io", "/token", false),
            ("h.io", "token", false),
            ("h.io", "", false),
            ("plain.io:5000", "http://plain.io:5000/token", true),
            ("plain.io:5000", "http://plain.io/token", false),
            ("plain.io:5000", "https://plain.io/token", true),
        ] {
            let destinations = destinations();
            let endpoint = destinations.endpoint(registry).unwrap();
            let found = endpoint.realm(realm);
            assert_eq!(found.is_ok(), expected, "{registry} {realm}: {found:?}");
        }
    }

    #[test]
    fn a_refused_host_is_named_with_what_would_be_right() {
        let destinations = destinations();
        let endpoint = destinations.endpoint("h.io").unwrap();
        for (realm, expected) in [
            ("https://t.io/?secret", "t.io, which is not in IMAGESWAP_REGISTRY_ALLOWED_HOSTS"),
            (
                "http://h.io:5001/?secret",
                "h.io:5001 without HTTPS, which the token server has to use",
            ),
        ] {
            let error = endpoint.realm(realm).unwrap_err();
            let expected = format!("the registry sends token requests to {expected}");
            assert_eq!((error.result, error.detail), (CheckResult::Refused, expected));
        }
        let from = endpoint.manifest(&Target::parse("h.io/a").unwrap()).unwrap();
        let error = endpoint.redirect(&from, "http://h.io/?secret").unwrap_err();
        let expected = "the registry redirects to h.io without HTTPS, which the target of a redirect has to use";
        assert_eq!(error.detail, expected);
    }
}
