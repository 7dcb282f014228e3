//! The meaning of an answer.

use std::time::Duration;

use hyper::{
    HeaderMap, StatusCode,
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use crate::{
    excerpt::{MAX_VALUE_BYTES, excerpt},
    registry::check::{CheckResult, Checked, MAX_RETRY_AFTER},
};

/// Codes of the errors that say that a registry does not have an image: those of the OCI distribution specification, and
/// that of Harbor for a project that does not exist.
const ABSENT_CODES: [&str; 3] = ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"];

/// Creates the result of a check that failed.
pub(super) fn failed(result: CheckResult, detail: &str) -> Checked {
    let detail = excerpt(detail, MAX_VALUE_BYTES).into_owned();
    Checked { detail, ..Checked::new(result) }
}

/// Returns the result that follows from an answer about a manifest. Of "not found", [`not_found`] reads the body.
///
/// No header is needed: some registries answer HEAD without a digest or a type.
pub(super) fn checked(status: StatusCode, headers: &HeaderMap) -> Checked {
    if let Some(refusal) = refusal("the registry", status, headers) {
        return refusal;
    }
    if is_page(headers) {
        let detail = "the answer is a page in HTML, such as a portal sends, and not a manifest";
        return failed(CheckResult::Invalid, detail);
    }
    Checked::new(CheckResult::Present)
}

/// Returns true if the answer is a page for people. No list of manifests instead: there are new kinds of them.
fn is_page(headers: &HeaderMap) -> bool {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    ["text/html", "application/xhtml+xml"].iter().any(|page| essence.eq_ignore_ascii_case(page))
}

/// Returns the result that follows from the status of `peer`. `None` if it answers with 200.
pub(super) fn refusal(peer: &str, status: StatusCode, headers: &HeaderMap) -> Option<Checked> {
    let result = match status {
        StatusCode::OK => return None,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => CheckResult::Refused,
        StatusCode::TOO_MANY_REQUESTS => CheckResult::RateLimited,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            CheckResult::Unavailable
        }
        status if status.is_server_error() => CheckResult::ServerError,
        _ => CheckResult::Invalid,
    };
    let waits = matches!(result, CheckResult::RateLimited | CheckResult::Unavailable);
    let now = OffsetDateTime::now_utc();
    let retry_after = headers.get(RETRY_AFTER).filter(|_| waits);
    let retry_after = retry_after.and_then(|value| parse_retry_after(value, now));
    Some(Checked { retry_after, ..failed(result, &format!("{peer} answers {status}")) })
}

/// Returns the result of a 404 with this body.
pub(super) fn not_found(body: &[u8]) -> Checked {
    // Not into a type, which would accept arrays in place of objects.
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let says_absent = |error: &Value| {
        let code = error.as_object().and_then(|error| error.get("code")).and_then(Value::as_str);
        code.is_some_and(|code| ABSENT_CODES.contains(&code))
    };
    let errors = body.as_object().and_then(|body| body.get("errors")).and_then(Value::as_array);
    if errors.is_some_and(|errors| !errors.is_empty() && errors.iter().all(says_absent)) {
        Checked::new(CheckResult::Absent)
    } else {
        let detail =
            "the registry answers 404 without an error that says that the image is unknown";
        failed(CheckResult::Invalid, detail)
    }
}

/// Parses `Retry-After`: seconds, or an HTTP date.
fn parse_retry_after(value: &HeaderValue, now: OffsetDateTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time, too.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
        Duration::try_from(date - now).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_of_a_registry_says_that_an_image_is_absent() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"m","detail":{"Tag":"1"}}]}"#,
                true,
            ),
            (r#"{"errors":[{"code":"NAME_UNKNOWN"},{"code":"NOT_FOUND"}]}"#, true),
            (r#"{"errors":[{"code":"MANIFEST_UNKNOWN"},{"code":"DENIED"}]}"#, false),
            (r#"{"errors":[{"code":"manifest_unknown"}]}"#, false),
            (r#"{"errors":[]}"#, false),
            (r#"{"errors":[["NAME_UNKNOWN"]]}"#, false),
            (r#"[[["NAME_UNKNOWN"]]]"#, false),
            (r#"{"errors":[{"message":"MANIFEST_UNKNOWN"}]}"#, false),
            (r#"{"code":"MANIFEST_UNKNOWN"}"#, false),
            ("<html>404 MANIFEST_UNKNOWN</html>", false),
            ("", false),
        ] {
            let expected = if expected { CheckResult::Absent } else { CheckResult::Invalid };
            assert_eq!(not_found(body.as_bytes()).result, expected, "{body}");
        }
    }

    #[test]
    fn a_status_has_one_meaning() {
        for (status, expected) in [
            (200, CheckResult::Present),
            (204, CheckResult::Invalid),
            (304, CheckResult::Invalid),
            (400, CheckResult::Invalid),
            (401, CheckResult::Refused),
            (403, CheckResult::Refused),
            (405, CheckResult::Invalid),
            (429, CheckResult::RateLimited),
            (500, CheckResult::ServerError),
            (502, CheckResult::Unavailable),
            (503, CheckResult::Unavailable),
            (504, CheckResult::Unavailable),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
            let found = checked(StatusCode::from_u16(status).unwrap(), &headers);
            assert_eq!(found.result, expected, "{status}");
            let waits = matches!(status, 429 | 502..=504);
            assert_eq!(found.retry_after, waits.then_some(Duration::from_secs(7)), "{status}");
            assert_eq!(found.detail.contains(&status.to_string()), status != 200, "{found:?}");
        }
    }

    #[test]
    fn a_page_is_no_manifest() {
        for (content_type, expected) in [
            (None, CheckResult::Present),
            (Some("application/vnd.oci.image.index.v1+json"), CheckResult::Present),
            (
                Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
                CheckResult::Present,
            ),
            (Some("application/octet-stream"), CheckResult::Present),
            (Some("text/html"), CheckResult::Invalid),
            (Some("Text/HTML ;charset=utf-8"), CheckResult::Invalid),
            (Some("application/xhtml+xml"), CheckResult::Invalid),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(content_type) = content_type {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
            assert_eq!(checked(StatusCode::OK, &headers).result, expected, "{content_type:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_five_minutes() {
        let now = OffsetDateTime::from_unix_timestamp(1_445_412_480).unwrap();
        for (text, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("86400", Some(300)),
            ("99999999999999999999999", Some(300)),
            ("Wed, 21 Oct 2015 07:28:30 GMT", Some(30)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(300)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let found = parse_retry_after(&HeaderValue::from_static(text), now);
            assert_eq!(found, expected.map(Duration::from_secs), "{text}");
        }
    }
}
