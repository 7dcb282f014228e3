//! The URL of a webhook, as the settings and the command line name it.

use std::str::FromStr;

use hyper::Uri;

/// The default port of HTTPS.
const DEFAULT_PORT: u16 = 443;

/// The URL of a webhook.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpsUrl {
    text: Box<str>,
    authority: Box<str>,
    host: Box<str>,
    port: u16,
    path_and_query: Box<str>,
}

/// A URL that no webhook can have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "expected an https URL without user and fragment, such as https://imageswap.imageswap-system.svc/"
)]
pub struct UrlError;

impl HttpsUrl {
    /// The URL as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its host: a name or an address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port, or the default port of HTTPS.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as they were written, for the header `Host`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query, at least `/`.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// True if the URL has a query.
    #[must_use]
    pub fn has_query(&self) -> bool {
        self.path_and_query.contains('?')
    }
}

impl FromStr for HttpsUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let uri: Uri = text.parse().map_err(|_| UrlError)?;
        let authority = uri.authority().ok_or(UrlError)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        // `Uri` keeps a port that is no number of 16 bits, and tells none.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => Some(DEFAULT_PORT),
            _ => authority.port_u16().filter(|port| *port != 0),
        };
        let is_valid = uri.scheme_str() == Some("https")
            && !host.is_empty()
            && !text.contains('#')
            && !authority.as_str().contains('@');
        match port {
            Some(port) if is_valid => Ok(Self {
                text: text.into(),
                authority: authority.as_str().into(),
                host: host.into(),
                port,
                path_and_query: uri.path_and_query().map_or("/", |path| path.as_str()).into(),
            }),
            _ => Err(UrlError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_urls_with_a_host_and_a_valid_port_are_read() {
        for (text, expected) in [
            (
                "https://imageswap.imageswap-system.svc",
                Some(("imageswap.imageswap-system.svc", 443, "/")),
            ),
            (
                "https://10.0.0.5:5000/mutate?timeout=5s",
                Some(("10.0.0.5", 5000, "/mutate?timeout=5s")),
            ),
            ("https://[fd00::1]:5000/", Some(("fd00::1", 5000, "/"))),
            ("http://10.0.0.5:5000/", None),
            ("10.0.0.5:5000", None),
            ("/mutate", None),
            ("https://user:word@host/", None),
            ("https://host/#fragment", None),
            ("https:///", None),
            ("https://host:/", None),
            ("https://host:0/", None),
            ("https://host:65536/", None),
            ("https://host:99999/", None),
            ("https://[fd00::1]:70000/", None),
            ("https://host:port/", None),
        ] {
            let url = text.parse::<HttpsUrl>().ok();
            let found = url.as_ref().map(|url| (url.host(), url.port(), url.path_and_query()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
