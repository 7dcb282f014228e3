//! A naive check of the values that the settings accept.

use std::net::SocketAddr;

use support::grammar;

/// Returns true if a value without surrounding white space is valid; `None` if only a parser can decide.
pub(super) fn is_valid(variable: &str, value: &str, is_legacy: bool) -> Option<bool> {
    let is_one_of = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(value));
    let is_number = |low: u64, high: u64| {
        let digits = value.strip_prefix('+').unwrap_or(value);
        number(digits).is_some_and(|number| low <= number && number <= high)
    };
    if value.is_empty() {
        return Some(true);
    }
    Some(match variable.strip_prefix("IMAGESWAP_").unwrap_or(variable) {
        "ADMIN_LISTEN" | "LISTEN" => value.parse::<SocketAddr>().is_ok(),
        "CSR_SIGNER_NAME" => is_signer_name(value),
        "DISABLE_AUTO_MWC" | "MAPS_OPTIONAL" | "STRICT_MAPS" | "SWAP_NEVER_PULLED" => {
            is_one_of(&["true", "false", "1", "0", "yes", "no"])
        }
        "DISABLE_LABEL" => is_label(value),
        "IMAGE_PREFIX" => {
            let joint = if value.ends_with(['-', '/']) { "" } else { "/" };
            !is_legacy || grammar::is_reference(&format!("{value}{joint}image"))
        }
        "LOG_FORMAT" => is_one_of(&["auto", "json", "text"]),
        "LOG_LEVEL" => is_one_of(&[
            "critical", "debug", "error", "fatal", "info", "notset", "off", "trace", "warn",
            "warning",
        ]),
        "CLIENT_CA_FILE" | "MAPS_FILE" | "MWC_TEMPLATE_FILE" | "POD_NAME" | "TLS_DIR" => true,
        "MAX_BODY_BYTES" => is_number(4096, 64 << 20),
        "MAX_CONNECTIONS" => is_number(1, 1_000_000),
        "MODE" => is_one_of(&["maps", "legacy"]),
        "NAMESPACE_NAME" => {
            is_label_part(value, 63, "-") && !value.contains(|c: char| c.is_ascii_uppercase())
        }
        "SHUTDOWN_DELAY" | "SHUTDOWN_TIMEOUT" => {
            // A number without a unit means seconds.
            let units = [("", 3600), ("ms", 3_600_000), ("s", 3600), ("m", 60)];
            units.iter().any(|(unit, most)| {
                value.strip_suffix(unit).and_then(number).is_some_and(|number| number <= *most)
            })
        }
        "TLS_MODE" => is_one_of(&["files", "managed", "self-signed"]),
        "WEBHOOK_URL" if may_be_url(value) => return None,
        "WEBHOOK_URL" => false,
        other => panic!("{other} is a setting that this target does not know"),
    })
}

fn is_signer_name(value: &str) -> bool {
    value.split_once('/').is_some_and(|(domain, name)| {
        domain.contains('.') && is_made_of(domain, "-.") && is_made_of(name, "-.:_")
    })
}

fn is_label(value: &str) -> bool {
    let (prefix, name) = match value.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, value),
    };
    prefix.is_none_or(|prefix| is_label_part(prefix, 253, "-.")) && is_label_part(name, 63, "-_.")
}

/// Returns false if a value is certainly not a URL of a webhook.
fn may_be_url(value: &str) -> bool {
    let is_https = value.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"));
    let authority = value.get(8..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let port = authority.rsplit(']').next().and_then(|end| end.split_once(':'));
    let is_port = port.is_none_or(|(_, port)| port.parse::<u16>().is_ok());
    let has_host =
        !authority.starts_with(':') && !authority.starts_with("[]") && !authority.is_empty();
    let is_bare = !authority.contains('@') && !value.contains(['?', '#']);
    is_https && is_port && has_host && is_bare
}

/// Parses decimal digits; a number that is too large counts as the maximum.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Returns true if `text` consists of letters, digits and `extra`, and is not empty.
fn is_made_of(text: &str, extra: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
}

fn is_label_part(text: &str, limit: usize, extra: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_alphanumeric();
    is_made_of(text, extra)
        && text.len() <= limit
        && text.starts_with(is_edge)
        && text.ends_with(is_edge)
}
