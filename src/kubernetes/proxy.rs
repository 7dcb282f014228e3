//! The proxy for the API server, from the environment. It is chosen as kubectl does.

use std::{env, net::IpAddr};

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// Returns the proxy for an API server, with the name of its variable: `HTTPS_PROXY`, or `HTTP_PROXY` for a server with
/// `http://`, unless `NO_PROXY` excludes the server. A server on this machine has none.
pub(super) fn of_environment(server: &Uri) -> Option<(&'static str, String)> {
    choose(server, |name| env::var(name).ok())
}

/// Returns the URL of a proxy, which is an HTTP proxy if it has no scheme. `None` if it is not usable.
pub(super) fn url(proxy: &str) -> Option<Uri> {
    let url = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    let url: Uri = url.parse().ok()?;
    let is_known = matches!(url.scheme_str(), Some("http" | "https"));
    (is_known && url.host().is_some_and(|host| !host.is_empty())).then_some(url)
}

fn choose(
    server: &Uri,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<(&'static str, String)> {
    let first = |names: [&'static str; 2]| {
        let values = names.into_iter().filter_map(|name| Some((name, variable(name)?)));
        values.into_iter().find(|(_, value)| !value.is_empty())
    };
    let proxy = first(match server.scheme_str() {
        Some("http") => ["HTTP_PROXY", "http_proxy"],
        _ => ["HTTPS_PROXY", "https_proxy"],
    })?;
    let (_, excluded) = first(["NO_PROXY", "no_proxy"]).unwrap_or_default();
    (!is_loopback(server) && !is_excluded(server, &excluded)).then_some(proxy)
}

fn is_loopback(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns true if a list in the form of `NO_PROXY` has the server.
fn is_excluded(server: &Uri, list: &str) -> bool {
    let port = server.port_u16().unwrap_or(match server.scheme_str() {
        Some("http") => 80,
        _ => 443,
    });
    // The library knows neither ports nor `*.`.
    let entries = list.split(',').map(str::trim).filter_map(|entry| {
        let entry = match entry.rsplit_once(':') {
            Some((host, end)) if !host.contains(':') => {
                (end.parse() == Ok(port)).then_some(host)?
            }
            _ => entry,
        };
        Some(if entry.starts_with("*.") { &entry[1..] } else { entry })
    });
    let entries: Vec<_> = entries.filter(|entry| !entry.is_empty()).collect();
    // Which proxy it is does not matter here.
    let matcher = Matcher::builder().all("http://proxy.invalid").no(entries.join(",")).build();
    matcher.intercept(server).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_is_that_of_kubectl() {
        const SERVER: &str = "https://api.x.invalid:6443/";
        for (server, variables, expected) in [
            (SERVER, &[("HTTPS_PROXY", "p:1")][..], Some("p:1")),
            (SERVER, &[("HTTPS_PROXY", ""), ("https_proxy", "q:1")], Some("q:1")),
            (SERVER, &[("HTTP_PROXY", "p:1"), ("ALL_PROXY", "p:1")], None),
            ("http://api.x.invalid/", &[("HTTP_PROXY", "p:1")], Some("p:1")),
            ("https://127.0.0.1:6443/", &[("HTTPS_PROXY", "p:1")], None),
            ("https://[::1]:6443/", &[("HTTPS_PROXY", "p:1")], None),
            ("https://localhost:6443/", &[("HTTPS_PROXY", "p:1")], None),
            (SERVER, &[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "x.invalid")], None),
            (SERVER, &[("HTTPS_PROXY", "p:1"), ("NO_PROXY", ".x.invalid,")], None),
            (SERVER, &[("HTTPS_PROXY", "p:1"), ("NO_PROXY", " *.x.invalid , a")], None),
            (SERVER, &[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "*")], None),
            (SERVER, &[("HTTPS_PROXY", "p:1"), ("NO_PROXY", ""), ("no_proxy", "x.invalid")], None),
            (SERVER, &[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "api.x.invalid:6443")], None),
            (SERVER, &[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "api.x.invalid:443")], Some("p:1")),
            (SERVER, &[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "y.invalid,,/")], Some("p:1")),
            ("https://10.1.2.3/", &[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "10.0.0.0/8")], None),
            ("https://[fd00::1]/", &[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "fd00::/8")], None),
            (
                "https://11.1.2.3/",
                &[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "10.0.0.0/8")],
                Some("p:1"),
            ),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let chosen = choose(&server.parse().unwrap(), variable);
            let expected = expected.map(str::to_owned);
            assert_eq!(chosen.map(|(_, value)| value), expected, "{server} {variables:?}");
        }
    }

    #[test]
    fn a_proxy_is_an_http_proxy_unless_it_says_otherwise() {
        for (proxy, expected) in [
            ("proxy.corp:3128", Some("http://proxy.corp:3128/")),
            ("http://u:p@proxy.corp", Some("http://u:p@proxy.corp/")),
            ("https://proxy.corp", Some("https://proxy.corp/")),
            ("socks5://proxy.corp", None),
            ("//u:p@proxy.corp", None),
            ("http://", None),
            ("http://a b", None),
        ] {
            assert_eq!(url(proxy).map(|url| url.to_string()).as_deref(), expected, "{proxy}");
        }
    }
}
