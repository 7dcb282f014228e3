//! The status page over HTTP: the form that the client accepts, its headers, and limits of memory and time.
//!
//! The content is that of the room `status_page`. Whoever reaches the admin port may read it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hyper::{
    Request,
    body::Incoming,
    header::{ACCEPT, HOST, HeaderValue},
    http::uri::Authority,
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use tracing::error;

use super::{
    Status,
    answer::{Answer, JSON},
    body::BodyBudget,
};
use crate::status_page::{CONTENT_SECURITY_POLICY, ImageRow, MAX_PAGE_BYTES, Report, StatusPage};

/// Timeout for the pages that other clients wait for. A page of the maximum size takes a fraction of a second.
const WAITING_TIMEOUT: Duration = Duration::from_secs(10);

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The status page of a process.
#[derive(Debug)]
pub(super) struct StatusPages {
    page: Arc<StatusPage>,
    /// Budget for pages that are not read yet, so that they cannot use that of reviews.
    pub(super) budget: BodyBudget,
    /// Permit to make a page: one at a time, so that clients cannot take the processor from reviews.
    permit: Arc<Semaphore>,
}

/// The form of a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Html,
    Json,
}

impl StatusPages {
    pub(super) fn new(page: StatusPage) -> Self {
        Self {
            page: Arc::new(page),
            budget: BodyBudget::new(MAX_PAGE_BYTES, 0),
            permit: Arc::new(Semaphore::new(1)),
        }
    }

    /// Answers a request. `images` are the images that were decided so far.
    pub(super) async fn answer(
        &self,
        request: &Request<Incoming>,
        images: Vec<ImageRow>,
    ) -> Answer {
        if !names_this_host(request) {
            return Answer::error(
                Status::Forbidden,
                "the status page is only for hosts that are an IP address or `localhost`",
                "use such an address; a proxy has to send it as `Host`",
            );
        }
        let form = Form::accepted(request);
        let query = request.uri().query().unwrap_or_default().to_owned();
        let waiting = self.permit.clone().acquire_owned();
        let Ok(Ok(permit)) = timeout(WAITING_TIMEOUT, waiting).await else {
            let error = "too many clients wait for the status page";
            return Answer::error(Status::ServiceUnavailable, error, "try again");
        };
        let page = self.page.clone();
        // A page of a large map takes some milliseconds, in which the thread would answer no review.
        let made = spawn_blocking(move || {
            let _permit = permit;
            make(&page.report(images, &query), form)
        });
        made.await.unwrap_or_else(|_| {
            error!("status page panicked");
            let hint = "this is a bug in imageswap; see its log";
            Answer::error(Status::InternalServerError, "the page could not be made", hint)
        })
    }
}

fn make(report: &Report, form: Form) -> Answer {
    let made = match form {
        Form::Html => report.to_html().map_err(|error| error.to_string()).map(|page| (HTML, page)),
        Form::Json => report.to_json().map_err(|error| error.to_string()).map(|page| (JSON, page)),
    };
    match made {
        Ok((content_type, page)) => Answer::new(Status::Ok, content_type, page),
        Err(error) => {
            let error = format!("the page could not be made: {error}");
            Answer::error(Status::InternalServerError, error, "this is a bug in imageswap")
        }
    }
    .for_browsers(&CONTENT_SECURITY_POLICY)
}

impl Form {
    /// Returns the form that a request accepts: JSON only if it is preferred to HTML (RFC 9110, section 12.5.1).
    fn accepted(request: &Request<Incoming>) -> Self {
        let values = request.headers().get_all(ACCEPT).iter();
        Self::of_accept(values.filter_map(|value| value.to_str().ok()))
    }

    fn of_accept<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let (mut html, mut json) = (0.0, 0.0);
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
            let quality = quality.unwrap_or(1.0);
            if media_type.eq_ignore_ascii_case("application/json") {
                json = quality;
            } else if media_type.eq_ignore_ascii_case("text/html") {
                html = quality;
            }
        }
        if json > html { Self::Json } else { Self::Html }
    }
}

/// Returns true if a request names the host by an address, or as `localhost`.
///
/// A page of another site could otherwise read the status page through the browser of an operator, by a name of its own
/// that it lets resolve to this address (DNS rebinding). A request without a host is not of a browser.
fn names_this_host(request: &Request<Incoming>) -> bool {
    let header = || request.headers().get(HOST).map(|host| host.to_str().unwrap_or("?"));
    match request.uri().authority().map(Authority::as_str).or_else(header) {
        Some(host) => is_address_or_localhost(host),
        None => true,
    }
}

fn is_address_or_localhost(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    address.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_clients_that_prefer_it() {
        for (accept, form) in [
            ("", Form::Html),
            ("*/*", Form::Html),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Form::Html),
            ("application/json", Form::Json),
            ("Application/JSON; charset=utf-8", Form::Json),
            ("application/json, */*", Form::Json),
            ("application/json, text/html", Form::Html),
            ("text/html;q=0.5, application/json;q=0.9", Form::Json),
            ("text/html, application/json;q=0.9", Form::Html),
        ] {
            assert_eq!(Form::of_accept([accept].into_iter()), form, "{accept}");
        }
    }

    #[test]
    fn only_addresses_and_localhost_are_this_host() {
        for (authority, expected) in [
            ("127.0.0.1:8080", true),
            ("10.0.0.5", true),
            ("[::1]:8080", true),
            ("[fd00::5]", true),
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("rebound.example.com:8080", false),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com", false),
            ("127.0.0.1@example.com", false),
            ("?", false),
            ("", false),
        ] {
            assert_eq!(is_address_or_localhost(authority), expected, "{authority}");
        }
    }
}
