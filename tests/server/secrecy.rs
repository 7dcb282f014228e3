//! Searches all output of the program for secrets: its log in both formats, its pages and its answers, also while the
//! key files are broken.

use std::{
    fs::{self, File},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use futures_util::future::join_all;
use hyper::Method;
use imageswap::{
    origin::Origin,
    state::{Live, Subject},
    tls::{self, CertificateResolver, PendingKey, ServingCertificate},
};
use support::{
    body::Pieces,
    certificates::{Authority, Pair},
    client::{Client, admin_get},
    reviews::fixture,
    secrets::Secrets,
    server::{await_ready, metric},
    tls::{ALL_VERSIONS, Protocol, config},
    volume::Volume,
    wait::eventually,
};
use time::OffsetDateTime;

const PAGES: [&str; 6] = ["/", "/healthz", "/livez", "/readyz", "/startupz", "/metrics"];

/// A token like that of a service account, which a client sends by mistake.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLW9mLXRoZS1jbHVzdGVy";

/// Returns the files with certificate and key of a pair.
type Break = fn(&Pair) -> [String; 2];

/// Ways to break the pair of files.
const BREAKS: [(&str, Break); 7] = [
    ("the key has lost its line breaks", |pair| {
        [pair.certificate.clone(), pair.key.replace('\n', " ")]
    }),
    ("the key has lost its line breaks and its end", |pair| {
        let line = pair.key.replace('\n', " ");
        [pair.certificate.clone(), line.replace("-----END PRIVATE KEY-----", "")]
    }),
    ("the key is cut", |pair| [pair.certificate.clone(), pair.key[..100].to_owned()]),
    ("the key is not valid base64", |pair| [pair.certificate.clone(), pair.key.replace('M', "M?")]),
    ("the key is another one", |pair| [pair.certificate.clone(), Pair::make().key + &pair.key]),
    ("the key is where the certificate should be", |pair| {
        [pair.key.clone(), pair.certificate.clone()]
    }),
    ("both have lost their line breaks", |pair| {
        [pair.key.replace('\n', " "), pair.key.replace('\n', "")]
    }),
];

#[tokio::test]
async fn no_secret_is_in_a_log_or_an_answer() {
    for (format, level) in [("json", "DEBUG"), ("text", "DEBUG"), ("text", "TRACE")] {
        let runs = BREAKS.map(|(how, broken)| async move {
            let (output, secrets) = run(format, level, broken).await;
            for text in ["imageswap stopped", "load failed", "reviewed", "process_cpu"] {
                assert!(output.contains(text), "{how}: no `{text}` in {output}");
            }
            let found = secrets.found_in(output.as_bytes());
            assert!(found.is_empty(), "{how}, {format}: {found:?} in {output}");
        });
        join_all(runs).await;
    }
}

/// Runs the program with a broken pair of files, then with a good one, and with the broken one again. Returns all of
/// its output, and the secrets that the output must not contain.
async fn run(format: &str, level: &str, broken: Break) -> (String, Secrets) {
    let (pair, authority) = (Pair::make(), Authority::new("clients"));
    let mut secrets = Secrets::new();
    secrets.add_key("the key of the server", &pair.key);
    secrets.add_key("the key of the authority", &authority.key());
    secrets.add_token("the token", TOKEN);
    let [certificate, key] = broken(&pair);
    let broken = [("cert.pem", certificate.as_bytes()), ("key.pem", key.as_bytes())];
    let (mut tls, mut clients) = (Volume::new(), Volume::new());
    tls.write(&broken);
    // A key in the wrong file.
    clients.write(&[("ca.pem", [authority.key(), authority.pem()].concat().as_bytes())]);
    let program = Run::start(format, level, &tls, &clients).await;

    let mut output = String::new();
    eventually("a reason", async || {
        let page = admin_get(program.admin_address, "/readyz").await.body;
        page.contains(".pem: ").then(|| output.push_str(&page))
    })
    .await;
    let failures = |kind: &'static str| async move {
        metric(
            program.admin_address,
            &format!("imageswap_{kind}_reloads_total{{result=\"failed\"}}"),
        )
        .await
        .unwrap()
    };
    tls.write(&pair.files());
    await_ready(program.admin_address).await;
    output.push_str(&talk(program.address, &authority).await);
    let before = failures("tls").await;
    tls.write(&broken);
    clients.write(&[("ca.pem", authority.key().replace('\n', " ").as_bytes())]);
    eventually("failures", async || {
        (failures("tls").await > before && failures("client_ca").await > 0.0).then_some(())
    })
    .await;
    for page in PAGES {
        output.push_str(&admin_get(program.admin_address, page).await.body);
    }
    output.push_str(&program.end().await);
    (output, secrets)
}

/// Sends valid and invalid requests of all kinds.
async fn talk(address: SocketAddr, authority: &Authority) -> String {
    let mut output = String::new();
    let config = config(Protocol::Http2, Some(&authority.client()), ALL_VERSIONS).into();
    let mut known = Client::with(address, &config).await.unwrap();
    let mut stranger = Client::connect(address, Protocol::Http1).await.unwrap();
    let json = Some("application/json");
    // A token that no path needs.
    let in_body = format!("{{\"request\":{{\"uid\":1,\"token\":\"{TOKEN}\"}}}}");
    for client in [&mut known, &mut stranger] {
        for page in PAGES {
            output.push_str(&client.get(page).await.body);
        }
        for (method, path, content_type, body) in [
            (Method::POST, "/", json, fixture("00-create-pod")),
            (Method::POST, "/mutate", json, fixture("00-create-pod")),
            (Method::POST, "/", json, in_body.clone()),
            (Method::POST, "/", json, format!("{{{TOKEN}")),
            (Method::POST, "/", None, TOKEN.to_owned()),
            (Method::PUT, "/", json, TOKEN.to_owned()),
            (Method::POST, "/nothing", json, TOKEN.to_owned()),
        ] {
            let answer = client.send(method, path, content_type, Pieces::from(body)).await.unwrap();
            output.push_str(&answer.body);
        }
    }
    output
}

/// The program, with its output in files.
struct Run {
    child: Child,
    directory: tempfile::TempDir,
    address: SocketAddr,
    admin_address: SocketAddr,
}

impl Run {
    async fn start(format: &str, level: &str, tls: &Volume, clients: &Volume) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(directory.path().join(name)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_imageswap"))
            .args(["serve", "--dev", "--tls-mode=files"])
            .args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"])
            .arg(format!("--tls-dir={}", tls.directory().display()))
            .arg(format!("--client-ca-file={}", clients.directory().join("ca.pem").display()))
            .args([format!("--log-format={format}"), format!("--log-level={level}")])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(file("output"))
            .stderr(file("log"))
            .spawn()
            .unwrap();
        let log = directory.path().join("log");
        let started = eventually("the start", async || {
            let log = fs::read_to_string(&log).unwrap();
            log.lines().find(|line| line.contains("imageswap started")).map(str::to_owned)
        })
        .await;
        let address = |name: &str| {
            // ` listen=ADDRESS`, or `"listen":"ADDRESS"`.
            let names = [format!(" {name}="), format!("\"{name}\":\"")];
            let rest = names.iter().find_map(|name| Some(started.split_once(name)?.1)).unwrap();
            rest.split([' ', '"']).next().unwrap().parse().unwrap()
        };
        let (address, admin_address) = (address("listen"), address("admin_listen"));
        Self { child, directory, address, admin_address }
    }

    /// Stops the program gracefully and returns its output.
    async fn end(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = eventually("the end", async || self.child.try_wait().unwrap()).await;
        assert!(status.success(), "{status}");
        let [output, log] = ["output", "log"].map(|name| self.directory.path().join(name));
        fs::read_to_string(output).unwrap() + &fs::read_to_string(log).unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn debug_output_has_no_keys() {
    let now = OffsetDateTime::now_utc();
    let authority = tls::Authority::generate(now).unwrap();
    let issued = authority.issue(&["localhost".to_owned()], now).unwrap();
    let waiting = PendingKey::generate().unwrap();
    let (certificate, key) = (issued.certificate.as_bytes(), issued.key.as_bytes());
    let serving =
        ServingCertificate::from_pem(certificate, key, Origin::Generated, Origin::Generated)
            .unwrap();
    let live = Arc::new(Live::new(Subject::Certificate, Arc::default()));
    live.publish(serving.clone(), serving.load(Origin::Generated));
    let resolver = CertificateResolver::new(live.clone());
    let mut secrets = Secrets::new();
    for key in [&authority.key_pem(), &issued.key, &waiting.to_pem()] {
        secrets.add_key("a key", key);
    }
    for printed in [
        format!("{authority:?}"),
        format!("{issued:?}"),
        format!("{waiting:?}"),
        format!("{serving:?}"),
        format!("{live:?}"),
        format!("{resolver:?}"),
    ] {
        let found = secrets.found_in(printed.as_bytes());
        assert!(found.is_empty(), "{found:?} in {printed}");
    }
}
