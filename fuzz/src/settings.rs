//! Flags and environment: text to settings.
//!
//! An input is lines: a variable with its value, as in an environment, or an argument as it stands.
//! The value of a variable goes to its flag, because the environment of a process cannot be changed
//! without `unsafe`; clap puts both in the same place. Which values are valid is read naively here.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    net::SocketAddr,
    os::unix::ffi::OsStrExt,
    sync::LazyLock,
    time::Duration,
};

use clap::Parser;
use imageswap::settings::{
    CertificateOrigin, InitArguments, RuleArguments, ServeArguments, ServeSettings, SettingsError,
    unknown_variables,
};

use crate::{
    grammar,
    inputs::{self, OF_PIECES, OF_RUNS},
};

/// What variables and values are made of.
pub const PIECES: &[&str] = &[
    "",
    "\n",
    "=",
    "IMAGESWAP_MAPS_FILE=",
    "IMAGESWAP_MODE=",
    "IMAGE_PREFIX=",
    "IMAGESWAP_NAMESPACE_NAME=",
    "IMAGESWAP_CSR_SIGNER_NAME=",
    "IMAGESWAP_DISABLE_AUTO_MWC=",
    "IMAGESWAP_MWC_TEMPLATE_FILE=",
    "IMAGESWAP_WEBHOOK_URL=",
    "IMAGESWAP_LOG_LEVEL=",
    "IMAGESWAP_LOG_FORMAT=",
    "IMAGESWAP_TLS_DIR=",
    "IMAGESWAP_LISTEN=",
    "IMAGESWAP_ADMIN_LISTEN=",
    "IMAGESWAP_TLS_MODE=",
    "IMAGESWAP_DISABLE_LABEL=",
    "IMAGESWAP_STRICT_MAPS=",
    "IMAGESWAP_MAPS_OPTIONAL=",
    "IMAGESWAP_SWAP_NEVER_PULLED=",
    "IMAGESWAP_MAX_BODY_BYTES=",
    "IMAGESWAP_MAX_CONNECTIONS=",
    "IMAGESWAP_SHUTDOWN_DELAY=",
    "IMAGESWAP_SHUTDOWN_TIMEOUT=",
    "IMAGESWAP_POD_NAME=",
    "IMAGESWAP_",
    "IMAGESWAP_PORT",
    "--dev",
    "--maps",
    "MAPS",
    "LEGACY",
    "managed",
    "files",
    "self-signed",
    "true",
    "no",
    "DEBUG",
    "json",
    "[::]:5000",
    "127.0.0.1",
    "0",
    "1",
    "60",
    "3600",
    "4096",
    "67108864",
    "18446744073709551616",
    "ms",
    "s",
    "m",
    "https://",
    "http://",
    "a.io",
    "@",
    "?",
    "#",
    "/",
    ":",
    ".",
    "-",
    "_",
    " ",
    "+",
    "é",
    "A",
    "a",
    "[",
    "]",
];

/// Longer values are no better.
const MAX_BYTES: usize = 4096;

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    arguments: ServeArguments,
}

#[derive(Parser)]
struct Init {
    #[command(flatten)]
    arguments: InitArguments,
}

#[derive(Parser)]
struct Swap {
    #[command(flatten)]
    arguments: RuleArguments,
}

/// What an input asks for.
#[derive(Default)]
struct Given {
    /// The values of variables that are settings of `serve`, the last of each.
    variables: BTreeMap<String, OsString>,
    /// The names of other variables.
    unknown: Vec<String>,
    arguments: Vec<OsString>,
}

/// Tries the flags and variables of an input.
///
/// # Panics
/// When a value is taken that is not valid, or refused though it is, or when an error does not name
/// the variable.
pub fn run(data: &[u8]) {
    let given = Given::of(data);
    assert_unknown(&given.unknown);
    let dev = OsString::from("--dev");
    let is_plain = given.arguments.iter().all(|argument| *argument == dev)
        && given.arguments.len() <= 1
        && given.variables.values().all(|value| value.to_str().is_some());
    if let Some(serve) = given.parsed::<Serve>(is_plain, &SERVE, &given.arguments) {
        let settings = serve.arguments.parse();
        if let Ok(settings) = &settings {
            assert_bounds(settings);
        }
        given.assert_result(is_plain, &SERVE, settings.err().as_ref());
    }
    if let Some(init) = given.parsed::<Init>(is_plain, &INIT, &[]) {
        let error = init.arguments.parse().err();
        given.assert_result(is_plain, &INIT, error.as_ref());
    }
    if let Some(swap) = given.parsed::<Swap>(is_plain, &SWAP, &[]) {
        let error = swap.arguments.parse().err();
        given.assert_result(is_plain, &SWAP, error.as_ref());
    }
}

/// Each variable with values that are valid and such that are not.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    [
        "IMAGESWAP_MODE=LEGACY\nIMAGE_PREFIX=d.io/mirror-\nIMAGESWAP_LOG_LEVEL=warning",
        "IMAGESWAP_LISTEN=127.0.0.1:0\nIMAGESWAP_ADMIN_LISTEN=[::1]:8080\n--dev",
        "IMAGESWAP_TLS_MODE=files\nIMAGESWAP_TLS_DIR=/tls\nIMAGESWAP_STRICT_MAPS=1",
        "IMAGESWAP_NAMESPACE_NAME=imageswap-system\nIMAGESWAP_CSR_SIGNER_NAME=kubernetes.io/kubelet-serving",
        "IMAGESWAP_WEBHOOK_URL=https://10.0.0.5:5000/\nIMAGESWAP_DISABLE_AUTO_MWC=true",
        "IMAGESWAP_MAX_BODY_BYTES=8388608\nIMAGESWAP_MAX_CONNECTIONS=1000000\nIMAGESWAP_LOG_FORMAT=json",
        "IMAGESWAP_SHUTDOWN_DELAY=3s\nIMAGESWAP_SHUTDOWN_TIMEOUT=3600000ms\nIMAGESWAP_POD_NAME=x",
        "IMAGESWAP_DISABLE_LABEL=k8s.twr.io/imageswap\nIMAGESWAP_MAP_FILE=a\nIMAGESWAP_PORT_443=1",
        "--listen=5000\n--maps\nfile\n--strict-maps",
    ]
    .iter()
    .map(|seed| seed.as_bytes().to_vec())
    .collect()
}

/// The variables of a part of the command line, with their flags.
type Flags = LazyLock<BTreeMap<String, String>>;

static SERVE: Flags = LazyLock::new(variables::<Serve>);
static INIT: Flags = LazyLock::new(variables::<Init>);
static SWAP: Flags = LazyLock::new(variables::<Swap>);

fn variables<T: Parser>() -> BTreeMap<String, String> {
    let command = T::command();
    let arguments = command.get_arguments();
    let of = |argument: &clap::Arg| {
        Some((argument.get_env()?.to_str()?.to_owned(), argument.get_long()?.to_owned()))
    };
    arguments.filter_map(of).collect()
}

impl Given {
    fn of(data: &[u8]) -> Self {
        let of_pieces = match data.first() {
            Some(&(OF_PIECES | OF_RUNS)) => Some(inputs::texts(data, PIECES, MAX_BYTES).concat()),
            _ => None,
        };
        let text = of_pieces.as_ref().map_or(data, |text| text.as_bytes());
        let mut given = Self::default();
        // No argument and no variable holds a NUL byte.
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.contains(&0)) {
            let at = line.iter().position(|byte| *byte == b'=').unwrap_or(line.len());
            let name = String::from_utf8_lossy(&line[..at]).into_owned();
            let value = OsStr::from_bytes(line.get(at + 1..).unwrap_or_default()).to_owned();
            if SERVE.contains_key(&name) {
                given.variables.insert(name, value);
            } else if line.starts_with(b"-") {
                given.arguments.push(OsStr::from_bytes(line).to_owned());
            } else {
                given.unknown.push(name);
            }
        }
        given
    }

    /// The flags as clap reads them; none when it refuses them, which it does only for what is no
    /// text and for arguments of the input's own.
    fn parsed<T: Parser>(
        &self,
        is_plain: bool,
        flags: &Flags,
        arguments: &[OsString],
    ) -> Option<T> {
        let values = self.variables.iter().filter_map(|(variable, value)| {
            let mut argument = OsString::from(format!("--{}=", flags.get(variable)?));
            argument.push(value);
            Some(argument)
        });
        let program = OsString::from("imageswap");
        match T::try_parse_from(
            [program].into_iter().chain(arguments.iter().cloned()).chain(values),
        ) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                assert!(!is_plain, "{error}");
                None
            }
        }
    }

    /// Checks that the settings are refused for a variable that is not valid, or valid as a whole.
    fn assert_result(&self, is_plain: bool, flags: &Flags, error: Option<&SettingsError>) {
        let message = error.map(SettingsError::to_string);
        let value = |variable: &str| {
            self.variables.get(variable).and_then(|value| value.to_str()).unwrap_or_default().trim()
        };
        let named = message.as_ref().map(|message| {
            let named = flags
                .iter()
                .find(|(variable, flag)| message.starts_with(&format!("{variable} (--{flag}): `")));
            let Some((variable, _)) = named else { panic!("{message} names no variable") };
            assert!(message.contains("` is not valid; it is "), "{message}");
            variable
        });
        if !is_plain {
            return;
        }
        let is_legacy = value("IMAGESWAP_MODE").eq_ignore_ascii_case("legacy");
        let verdict = |variable: &str| is_valid(variable, value(variable), is_legacy);
        match named {
            Some(variable) => {
                assert_ne!(verdict(variable), Some(true), "{message:?}");
                let shown = format!("`{}`", value(variable));
                assert!(message.is_some_and(|message| message.contains(&shown)), "{shown}");
            }
            None => {
                for variable in flags.keys() {
                    let value = value(variable);
                    assert_ne!(verdict(variable), Some(false), "{variable} is taken: {value}");
                }
            }
        }
    }
}

/// Whether a value without white space around it is valid; none when it takes a parser to tell.
fn is_valid(variable: &str, value: &str, is_legacy: bool) -> Option<bool> {
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
        "CSR_SIGNER_NAME" => match value.split('/').collect::<Vec<_>>()[..] {
            [domain, name] => {
                domain.contains('.') && is_made_of(domain, "-.") && is_made_of(name, "-.:_")
            }
            _ => false,
        },
        "DISABLE_AUTO_MWC" | "MAPS_OPTIONAL" | "STRICT_MAPS" | "SWAP_NEVER_PULLED" => {
            is_one_of(&["true", "false", "1", "0", "yes", "no"])
        }
        "DISABLE_LABEL" => match value.split('/').collect::<Vec<_>>()[..] {
            [name] => is_label_part(name, 63, "-_."),
            [prefix, name] => is_label_part(prefix, 253, "-.") && is_label_part(name, 63, "-_."),
            _ => false,
        },
        "IMAGE_PREFIX" => {
            let joint = if value.ends_with(['-', '/']) { "" } else { "/" };
            !is_legacy || grammar::is_reference(&format!("{value}{joint}image"))
        }
        "LOG_FORMAT" => is_one_of(&["auto", "json", "text"]),
        "LOG_LEVEL" => {
            is_one_of(&["critical", "debug", "error", "info", "off", "trace", "warn", "warning"])
        }
        "MAPS_FILE" | "MWC_TEMPLATE_FILE" | "POD_NAME" | "TLS_DIR" => true,
        "MAX_BODY_BYTES" => is_number(4096, 64 << 20),
        "MAX_CONNECTIONS" => is_number(1, 1_000_000),
        "MODE" => is_one_of(&["maps", "legacy"]),
        "NAMESPACE_NAME" => {
            is_label_part(value, 63, "-") && !value.contains(|c: char| c.is_ascii_uppercase())
        }
        "SHUTDOWN_DELAY" | "SHUTDOWN_TIMEOUT" => {
            // A number without a unit is one of seconds.
            let units = [("", 3600), ("ms", 3_600_000), ("s", 3600), ("m", 60)];
            units.iter().any(|(unit, most)| {
                value.strip_suffix(unit).and_then(number).is_some_and(|number| number <= *most)
            })
        }
        "TLS_MODE" => is_one_of(&["files", "managed", "self-signed"]),
        "WEBHOOK_URL" => {
            let is_https = value.get(..8).is_some_and(|s| s.eq_ignore_ascii_case("https://"));
            let place = value.get(8..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
            let port = place.rsplit(']').next().and_then(|end| end.split_once(':'));
            let is_port = port.is_none_or(|(_, port)| port.parse::<u16>().is_ok());
            let has_host = !place.starts_with(':') && !place.starts_with("[]") && !place.is_empty();
            let is_bare = !place.contains('@') && !value.contains(['?', '#']);
            if is_https && is_port && has_host && is_bare {
                return None;
            }
            false
        }
        other => panic!("{other} is a setting that this target does not know"),
    })
}

/// The number that digits alone write; larger ones count as the largest.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Whether `text` is letters, digits and `extra`.
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

/// Checks what the rest of the program takes for granted.
fn assert_bounds(settings: &ServeSettings) {
    let hour = Duration::from_hours(1);
    assert!(settings.shutdown_delay <= hour && settings.shutdown_timeout <= hour);
    assert!((4096..=64 << 20).contains(&settings.limits.max_body_bytes));
    assert!(settings.limits.max_buffered_bytes >= settings.limits.max_body_bytes);
    assert!((1..=1_000_000).contains(&settings.limits.max_connections));
    assert!(!settings.pod_name.is_empty() && !settings.scope.disable_label.is_empty());
    if let CertificateOrigin::Managed(cluster) = &settings.certificate
        && let Some(url) = &cluster.url
    {
        assert!(!url.host.is_empty(), "{}", url.url);
    }
}

/// Checks which variables count as mistyped settings.
fn assert_unknown(names: &[String]) {
    const KNOWN: [&str; 2] = ["IMAGESWAP_MAPS_FILE", "IMAGESWAP_MODE"];
    let is_injected = |name: &str| {
        name == "IMAGESWAP_PORT"
            || ["IMAGESWAP_PORT_", "IMAGESWAP_SERVICE_"].iter().any(|start| name.starts_with(start))
    };
    let mut expected: Vec<_> = names
        .iter()
        .filter(|name| name.starts_with("IMAGESWAP_") && !is_injected(name))
        .cloned()
        .collect();
    expected.sort();
    let found = unknown_variables(names.iter().cloned(), &KNOWN);
    for (name, nearest) in &found {
        let distance = |known: &str| strsim::damerau_levenshtein(name, known);
        let least = KNOWN.iter().map(|known| distance(known)).min();
        // An edit for three letters is a typing error; more are another word.
        let most = (name.len() - "IMAGESWAP_".len()) / 3;
        assert_eq!(nearest.map(distance), least.filter(|least| *least <= most), "{name}");
    }
    let names: Vec<_> = found.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, expected);
}
