//! Flags and environment variables: from text to settings.
//!
//! An input consists of lines: a variable with its value, as in an environment, or an argument. The value of a variable
//! is passed as its flag, because the environment of a process cannot be changed without `unsafe`; clap treats both
//! alike. A naive reading here decides which values are valid.

mod naive;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::LazyLock,
    time::Duration,
};

use clap::Parser;
use imageswap::settings::{
    CertificateOrigin, InitArguments, RuleArguments, ServeArguments, ServeSettings, SettingsError,
    unknown_variables,
};

use self::naive::is_valid;
use crate::inputs::{self, OF_PIECES, OF_RUNS};

/// The pieces of variables and values.
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
    "IMAGESWAP_CLIENT_CA_FILE=",
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

/// Maximum size of an input in bytes. Longer values would not find more.
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

/// The settings of an input.
#[derive(Default)]
struct Given {
    /// The values of variables that are settings of `serve`, the last of each.
    variables: BTreeMap<String, OsString>,
    /// The names of other variables.
    unknown: Vec<String>,
    arguments: Vec<OsString>,
}

/// Runs the flags and variables of an input.
///
/// # Panics
/// If an invalid value is accepted, a valid value is refused, or an error does not name the variable.
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

/// Returns the variables with valid and invalid values.
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
        "IMAGESWAP_CLIENT_CA_FILE=/client-ca/missing.pem\nIMAGESWAP_TLS_MODE=self-signed",
        "--listen=5000\n--maps\nfile\n--strict-maps",
    ]
    .iter()
    .map(|seed| seed.as_bytes().to_vec())
    .collect()
}

/// The variables of a command, with their flags.
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
        // An argument or a variable cannot contain a NUL byte.
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

    /// Returns the flags as clap reads them; `None` if it refuses them, which it only does for invalid UTF-8 and for
    /// arguments of the input itself.
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

    /// Checks that the settings are refused because of an invalid variable, or are all valid.
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
            assert!(message.contains("` is not valid; expected "), "{message}");
            variable
        });
        if !is_plain {
            return;
        }
        let is_legacy = value("IMAGESWAP_MODE").eq_ignore_ascii_case("legacy");
        let validity = |variable: &str| is_valid(variable, value(variable), is_legacy);
        match named {
            Some(variable) => {
                assert_ne!(validity(variable), Some(true), "{message:?}");
                let shown = format!("`{}`", value(variable));
                assert!(message.is_some_and(|message| message.contains(&shown)), "{shown}");
            }
            None => {
                for variable in flags.keys() {
                    let value = value(variable);
                    assert_ne!(validity(variable), Some(false), "{variable} accepts {value}");
                }
            }
        }
    }
}

/// Checks the bounds on which the rest of the program relies.
fn assert_bounds(settings: &ServeSettings) {
    let hour = Duration::from_hours(1);
    assert!(settings.shutdown_delay <= hour && settings.shutdown_timeout <= hour);
    assert!((4096..=64 << 20).contains(&settings.limits.max_body_bytes));
    assert!(settings.limits.max_buffered_bytes >= settings.limits.max_body_bytes);
    assert!((1..=1_000_000).contains(&settings.limits.max_connections));
    assert!(settings.pod_name.as_ref().is_none_or(|name| !name.is_empty()));
    assert!(!settings.admission.scope.disable_label.is_empty());
    assert_ne!(settings.client_ca_file.as_deref(), Some(Path::new("")));
    if let CertificateOrigin::Managed(cluster) = &settings.certificate
        && let Some(url) = &cluster.controller.url
    {
        assert!(!url.host().is_empty(), "{}", url.as_str());
    }
}

/// Checks which variables are reported as mistyped settings.
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
        // One edit for three letters is a typing error; with more edits it is another word.
        let most = (name.len() - "IMAGESWAP_".len()) / 3;
        assert_eq!(nearest.map(distance), least.filter(|least| *least <= most), "{name}");
    }
    let names: Vec<_> = found.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, expected);
}
