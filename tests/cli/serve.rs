//! `imageswap serve` if it cannot start.

use std::net::{SocketAddr, TcpListener};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use support::secrets::Secrets;

use crate::{Finished, Invocation, Workspace};

/// Variable, flag, invalid values, and the accepted values in words.
type Setting = (&'static str, &'static str, &'static [&'static str], &'static str);

const SETTINGS: [Setting; 19] = [
    (
        "IMAGESWAP_ADMIN_LISTEN",
        "--admin-listen",
        &["localhost:80", ":8080", "127.0.0.1:65536"],
        "an IP address and a port, such as [::]:8080",
    ),
    (
        "IMAGESWAP_CSR_SIGNER_NAME",
        "--csr-signer-name",
        &["kubelet-serving", "example/x", "example.com/", "example.com/a b"],
        "a domain, a slash and a name, such as kubernetes.io/kubelet-serving",
    ),
    ("IMAGESWAP_DISABLE_AUTO_MWC", "--disable-auto-mwc", &["maybe"], "true or false"),
    (
        "IMAGESWAP_DISABLE_LABEL",
        "--disable-label",
        &["a b", "/x", "a/", "a/b/c", "a=b"],
        "the name of a label, such as k8s.twr.io/imageswap",
    ),
    (
        "IMAGESWAP_LISTEN",
        "--listen",
        &["5000", "localhost:5000", "::1:5000"],
        "an IP address and a port, such as [::]:5000",
    ),
    ("IMAGESWAP_LOG_FORMAT", "--log-format", &["xml"], "auto, json or text"),
    ("IMAGESWAP_LOG_LEVEL", "--log-level", &["LOUD", "1"], "DEBUG, INFO, WARNING, ERROR or OFF"),
    (
        "IMAGESWAP_MAX_BODY_BYTES",
        "--max-body-bytes",
        &["4095", "67108865", "8Mi", "1e6"],
        "a number of bytes from 4096 to 67108864",
    ),
    (
        "IMAGESWAP_MAX_CONNECTIONS",
        "--max-connections",
        &["0", "1000001", "many"],
        "a number from 1 to 1000000",
    ),
    ("IMAGESWAP_MODE", "--mode", &["FANCY"], "MAPS or LEGACY"),
    (
        "IMAGESWAP_NAMESPACE_NAME",
        "--namespace-name",
        &["A", "a_b", "a-", "a.b"],
        "the name of a namespace, such as imageswap-system",
    ),
    (
        "IMAGESWAP_SHUTDOWN_DELAY",
        "--shutdown-delay",
        &["3h", "1.5s", "61m", "s"],
        "a whole number with the unit ms, s or m, such as 3s, of at most an hour",
    ),
    (
        "IMAGESWAP_SHUTDOWN_TIMEOUT",
        "--shutdown-timeout",
        &["20 seconds", "3600001ms"],
        "a whole number with the unit ms, s or m, such as 20s, of at most an hour",
    ),
    ("IMAGESWAP_MAPS_OPTIONAL", "--maps-optional", &["maybe", "2"], "true or false"),
    ("IMAGESWAP_STATUS_PAGE", "--status-page", &["maybe", "2"], "true or false"),
    ("IMAGESWAP_STRICT_MAPS", "--strict-maps", &["maybe"], "true or false"),
    ("IMAGESWAP_SWAP_NEVER_PULLED", "--swap-never-pulled", &["Never"], "true or false"),
    ("IMAGESWAP_TLS_MODE", "--tls-mode", &["none"], "managed, files or self-signed"),
    (
        "IMAGESWAP_WEBHOOK_URL",
        "--webhook-url",
        &["10.0.0.5", "http://10.0.0.5/", "https://me@h.io/", "https://h.io/?a", "https://h.io/#a"],
        "an https URL without user, query or fragment, such as https://10.0.0.5:5000/",
    ),
];

/// Binds a port, which stays in use until the listener is dropped.
fn taken_port() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Returns `serve` with both addresses set to a port in use. If it tries to bind, it fails with code 1.
///
/// `arguments`, and variables that are set later, may change the addresses.
fn serve(workspace: &Workspace, taken: SocketAddr, arguments: &[&str]) -> Invocation {
    workspace
        .imageswap(&[&["serve"], arguments].concat())
        .variable("IMAGESWAP_LISTEN", &taken.to_string())
        .variable("IMAGESWAP_ADMIN_LISTEN", &taken.to_string())
        .variable("IMAGESWAP_TLS_MODE", "self-signed")
}

#[test]
fn an_invalid_setting_ends_serve_before_it_binds() {
    let workspace = Workspace::new::<&str>(&[]);
    let (_listener, taken) = taken_port();
    for (variable, flag, values, accepts) in SETTINGS {
        for value in values {
            let error =
                format!("error: {variable} ({flag}): `{value}` is not valid; expected {accepts}\n");
            serve(&workspace, taken, &[flag, value]).run().assert_exit(2, "", &error);
            let by_variable = serve(&workspace, taken, &[]).variable(variable, value);
            by_variable.run().assert_exit(2, "", &error);
            let dev = serve(&workspace, taken, &["--dev"]).variable(variable, value);
            dev.run().assert_exit(2, "", &error);
        }
    }
}

#[test]
fn an_unusable_client_ca_file_ends_serve_before_it_binds() {
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let one_line = key.replace('\n', " ");
    let workspace = Workspace::new(&[
        ("empty.pem", ""),
        ("garbage.pem", "garbage"),
        ("key.pem", &key),
        ("one-line.pem", &one_line),
        ("p521.pem", include_str!("../fixtures/chains/p521-ca.pem")),
        ("no-der.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ]);
    let (_listener, taken) = taken_port();
    for (file, reason) in [
        ("missing.pem", "No such file or directory (os error 2)"),
        (".", "not a regular file"),
        ("empty.pem", "there is no PEM block of a certificate in it"),
        ("garbage.pem", "there is no PEM block of a certificate in it"),
        ("key.pem", "there is no PEM block of a certificate in it"),
        ("one-line.pem", "a block has no END line; each marker needs its own line"),
        ("p521.pem", "certificate 1: its key is ECDSA on P-521; use ECDSA on P-256 or P-384"),
        ("no-der.pem", "certificate 1: "),
    ] {
        let (variable, flag) = ("IMAGESWAP_CLIENT_CA_FILE", "--client-ca-file");
        let begin = format!("{variable} ({flag}): {file}: {reason}");
        let end =
            "expected a PEM file with the certificates of the CAs whose clients may send reviews\n";
        for run in [
            serve(&workspace, taken, &[flag, file]).run(),
            serve(&workspace, taken, &["--dev"]).variable(variable, file).run(),
        ] {
            run.assert_usage_error(&[&begin, end]);
            assert_eq!(run.stdout, "");
            assert!(
                run.stderr.len() < 400,
                "the error contains a part of the file: {}",
                run.stderr
            );
        }
    }
}

#[test]
fn a_valid_flag_wins_over_an_invalid_variable() {
    let workspace = Workspace::new::<&str>(&[]);
    let (_listener, taken) = taken_port();
    for (variable, flag, valid) in [
        ("IMAGESWAP_MODE", "--mode", "LEGACY"),
        ("IMAGESWAP_LOG_LEVEL", "--log-level", "INFO"),
        ("IMAGESWAP_STRICT_MAPS", "--strict-maps", "true"),
    ] {
        let run = serve(&workspace, taken, &[flag, valid]).variable(variable, "?").run();
        assert_cannot_bind(&run, "IMAGESWAP_LISTEN (--listen)", taken);
    }
}

#[test]
fn an_address_in_use_is_reported_with_its_setting() {
    let workspace = Workspace::new::<&str>(&[]);
    let (_listener, taken) = taken_port();
    let taken_text = taken.to_string();
    for (listen, admin_listen, setting) in [
        (&*taken_text, "127.0.0.1:0", "IMAGESWAP_LISTEN (--listen)"),
        ("127.0.0.1:0", &*taken_text, "IMAGESWAP_ADMIN_LISTEN (--admin-listen)"),
    ] {
        let addresses = ["--listen", listen, "--admin-listen", admin_listen];
        let mode = ["serve", "--tls-mode", "self-signed"];
        let run = workspace.imageswap(&[mode.as_slice(), &addresses].concat()).run();
        assert_cannot_bind(&run, setting, taken);
        let run = workspace.imageswap(&[["serve", "--dev"].as_slice(), &addresses].concat()).run();
        assert_cannot_bind(&run, setting, taken);
    }
}

#[test]
fn an_unknown_variable_is_reported_with_the_nearest_setting() {
    let workspace = Workspace::new::<&str>(&[]);
    let (_listener, taken) = taken_port();
    let run = serve(&workspace, taken, &[])
        .variable("IMAGESWAP_MAP_FILE", "map")
        .variable("IMAGESWAP_ZZZZZZZZ", "1")
        .variable("IMAGESWAP_PORT_443_TCP_ADDR", "10.0.0.1")
        .variable("IMAGESWAP_SERVICE_HOST", "10.0.0.1")
        .run();
    let warnings: Vec<_> = log_lines(&run)
        .into_iter()
        .filter(|line| line["level"] == "WARN")
        .map(|line| ["variable", "message", "hint"].map(|field| line[field].clone()))
        .collect();
    let expected = [
        ["IMAGESWAP_MAP_FILE", "unknown setting", "did you mean IMAGESWAP_MAPS_FILE?"],
        ["IMAGESWAP_ZZZZZZZZ", "unknown setting", "`imageswap serve --help` lists them"],
    ];
    assert_eq!(warnings, expected);
}

/// Returns the lines of the log. They are JSON, because standard error is not a terminal.
fn log_lines(run: &Finished) -> Vec<Value> {
    run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the error that stopped the program. It need not be in the last line, nor be the only
/// error: the map is loaded at the same time, and reported as well.
#[track_caller]
fn error_that_stopped(run: &Finished) -> String {
    assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{}: {}", run.description, run.stderr);
    let log = log_lines(run);
    let stops = |line: &&Value| line["message"] == "imageswap stopped by an error";
    let lines: Vec<_> = log.iter().filter(stops).collect();
    assert_eq!(lines.len(), 1, "{}: {}", run.description, run.stderr);
    assert_eq!(lines[0]["level"], "ERROR");
    lines[0]["error"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_cannot_bind(run: &Finished, setting: &str, taken: SocketAddr) {
    let error = error_that_stopped(run);
    assert!(error.starts_with(&format!("{setting}: cannot bind {taken}: ")), "{error}");
}

#[test]
fn without_a_cluster_the_error_names_the_modes_that_need_none() {
    let workspace = Workspace::new::<&str>(&[]);
    for arguments in [
        &["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"][..],
        &["init", "--tls-dir=tls"],
    ] {
        let run = workspace.imageswap(arguments).variable("KUBECONFIG", "none.yaml").run();
        let error = error_that_stopped(&run);
        for part in [
            "no way to reach a cluster: the kubeconfig none.yaml: ",
            "; the service account of a pod: ",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(error.contains("IMAGESWAP_TLS_MODE"), arguments[0] == "serve", "{error}");
    }
}

/// Returns a kubeconfig whose user `u` has these fields.
fn kubeconfig_of(user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{ name: c, cluster: {{ server: https://127.0.0.1:1 }} }}]\n\
         contexts: [{{ name: c, context: {{ cluster: c, user: u }} }}]\n\
         users:\n- name: u\n  user:\n    {user}\n"
    )
}

#[test]
fn a_client_key_that_cannot_be_used_is_named_with_its_user() {
    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!("../fixtures/", $name, ".pem"))
        };
    }
    let (certificate, key) = (fixture!("rsa/cert"), fixture!("rsa/key"));
    let (p521, encrypted) = (fixture!("keys/ecdsa-p521"), fixture!("keys/encrypted-pkcs8"));
    let other = fixture!("chains/leaf-key");
    let data = |certificate: &str, key: &str| {
        let [certificate, key] = [certificate, key].map(|text| STANDARD.encode(text));
        format!("client-certificate-data: {certificate}\n    client-key-data: {key}")
    };
    let files = |key: &str| format!("client-certificate: cert.pem\n    client-key: {key}");
    let usable = "use ECDSA on P-256 or P-384, Ed25519, or RSA with 2048, 3072 or 4096 bits";
    let data_key = "the client key of the user `u`";
    let no_certificate =
        "the client certificate of the user `u`: no PEM block of a certificate".to_owned();
    for (user, expected) in [
        (data(certificate, p521), format!("{data_key}: the key is ECDSA on P-521; {usable}")),
        (data(certificate, encrypted), format!("{data_key}: the key is encrypted; ")),
        (data(certificate, certificate), format!("{data_key}: no PEM block of a private key: ")),
        (
            data(certificate, other),
            format!("{data_key}: not the key of the client certificate of the user `u`"),
        ),
        (data(key, key), no_certificate),
        (
            files("p521.pem"),
            format!("p521.pem of the user `u`: the key is ECDSA on P-521; {usable}"),
        ),
        (files("none.pem"), "none.pem of the user `u`: No such file or directory".to_owned()),
    ] {
        let kubeconfig = kubeconfig_of(&user);
        let content = [("config", &*kubeconfig), ("cert.pem", certificate), ("p521.pem", p521)];
        let workspace = Workspace::new(&content);
        for arguments in [
            &["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"][..],
            &["init", "--tls-dir=tls"],
        ] {
            let run = workspace.imageswap(arguments).variable("KUBECONFIG", "config").run();
            let error = error_that_stopped(&run);
            assert!(error.starts_with("the kubeconfig config: the client "), "{error}");
            assert!(error.contains(&expected), "{error}");
            assert!(!error.contains("IMAGESWAP_TLS_MODE"), "{error}");
        }
    }
}

#[test]
fn an_unusable_kubeconfig_is_not_quoted() {
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLW9mLXRoZS1jbHVzdGVy";
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let mut secrets = Secrets::new();
    secrets.add_key("the key", &key);
    secrets.add_token("the token", token);
    let encoded = |text: &str| STANDARD.encode(text);
    let one_line = key.replace('\n', " ");
    let cut = one_line.replace("-----END PRIVATE KEY-----", "");
    let pair = |text: &str| {
        format!("client-certificate-data: {0}\n    client-key-data: {0}", encoded(text))
    };
    for user in [
        format!("token: {token}\n    tokenFile: [1"),
        format!("token: [{token}]"),
        format!("[{token}]"),
        token.to_owned(),
        format!("token: {{ {token}: {key:?} }}"),
        pair(&one_line),
        pair(&cut),
        pair(&key),
        pair(token),
        format!("client-certificate-data: {token}\n    client-key-data: {token}"),
    ] {
        let is_pair = user.starts_with("client-certificate-data");
        let error =
            if is_pair { "the kubeconfig config: the client " } else { "the kubeconfig config: " };
        let kubeconfig = kubeconfig_of(&user);
        let workspace = Workspace::new(&[("map", "default::d.io"), ("config", &kubeconfig)]);
        for format in ["json", "text"] {
            let run = workspace
                .imageswap(&["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"])
                .variable("IMAGESWAP_MAPS_FILE", "map")
                .variable("IMAGESWAP_LOG_FORMAT", format)
                .variable("IMAGESWAP_LOG_LEVEL", "DEBUG")
                .variable("KUBECONFIG", "config")
                .run();
            assert_eq!(run.code, Some(1), "{user}: {}", run.stderr);
            assert!(run.stderr.contains(error), "{user}: {}", run.stderr);
            assert!(!run.stderr.contains("no way to"), "{user}: {}", run.stderr);
            let found = secrets.found_in(run.stderr.as_bytes());
            assert!(found.is_empty(), "{found:?} in {}", run.stderr);
        }
    }
}
