//! The TLS policy of the server, found like a scanner does: by offering everything.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
};

use imageswap::{
    app::App,
    settings::{CertificateOrigin, RuleSource, ServeSettings},
};
use support::{
    client::{Client, first_image},
    reviews::fixture,
    server::{await_ready, settings},
    tls::{ALL_VERSIONS, Protocol, config, config_with},
    wait::DEADLINE,
};
use tokio_rustls::rustls::{
    ClientConnection, ConnectionTrafficSecrets, ContentType, ExtractedSecrets, HandshakeKind,
    ProtocolVersion, SupportedCipherSuite,
    crypto::{
        CryptoProvider,
        cipher::{InboundOpaqueMessage, OutboundChunks, OutboundPlainMessage},
        ring::{
            self,
            cipher_suite::{
                TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, TLS13_AES_128_GCM_SHA256,
                TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
            },
        },
    },
    pki_types::ServerName,
    version::{TLS12, TLS13},
};

use crate::hello::{
    DOWNGRADE, HANDSHAKE_FAILURE, Hello, ILLEGAL_PARAMETER, NO_APPLICATION_PROTOCOL,
    PROTOCOL_VERSION, Reply, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3, chosen_of, send,
};

const SSL_3: u16 = 0x0300;

/// The cipher suites with ECDHE, and AES-GCM or ChaCha20-Poly1305.
const ECDSA_SUITES: [SupportedCipherSuite; 3] = [
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
];
const RSA_SUITES: [SupportedCipherSuite; 3] = [
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];
const TLS13_SUITES: [SupportedCipherSuite; 3] =
    [TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256];

fn numbers(suites: &[SupportedCipherSuite]) -> Vec<u16> {
    suites.iter().map(|suite| suite.suite().into()).collect()
}

/// Starts a server with an ECDSA key.
async fn ecdsa() -> App {
    App::start(settings(RuleSource::BuiltIn("default::d.io"))).await.unwrap()
}

/// Starts a server with an RSA key.
async fn rsa() -> App {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rsa");
    let certificate = CertificateOrigin::Files(directory);
    let settings = settings(RuleSource::BuiltIn("default::d.io"));
    let app = App::start(ServeSettings { certificate, ..settings }).await.unwrap();
    await_ready(app.admin_address()).await;
    app
}

#[tokio::test]
async fn only_tls_1_2_and_1_3_are_negotiated() {
    let app = ecdsa().await;
    let address = app.address();
    let suites = [numbers(&ECDSA_SUITES), numbers(&TLS13_SUITES), vec![0x002f, 0xc013]].concat();
    // The version in the old field, the versions in the extension of TLS 1.3, and the answer.
    for (version, versions, expected) in [
        (TLS_1_2, &[][..], Some(TLS_1_2)),
        (TLS_1_2, &[TLS_1_2], Some(TLS_1_2)),
        (TLS_1_2, &[TLS_1_3], Some(TLS_1_3)),
        (TLS_1_2, &[TLS_1_2, TLS_1_3], Some(TLS_1_3)),
        (TLS_1_2, &[TLS_1_0, TLS_1_1, TLS_1_2], Some(TLS_1_2)),
        (SSL_3, &[], None),
        (TLS_1_0, &[], None),
        (TLS_1_1, &[], None),
        (TLS_1_2, &[SSL_3], None),
        (TLS_1_2, &[TLS_1_0], None),
        (TLS_1_2, &[TLS_1_1], None),
        (TLS_1_2, &[TLS_1_1, TLS_1_0, SSL_3], None),
        // A draft of TLS 1.3.
        (TLS_1_2, &[0x7f1c], None),
    ] {
        let hello = Hello { version, versions: versions.to_vec(), ..Hello::tls12(&suites) };
        match (hello.send(address).await, expected) {
            (Reply::Agreed(agreed), Some(expected)) => {
                assert_eq!(agreed.version, expected, "{hello:?}");
                // An attacker cannot downgrade the two to TLS 1.2 unnoticed.
                let is_marked = agreed.random.ends_with(DOWNGRADE);
                assert_eq!(is_marked, expected == TLS_1_2, "{hello:?}");
            }
            (reply, expected) => {
                assert_eq!(
                    (reply, expected),
                    (Reply::Refused(PROTOCOL_VERSION), None),
                    "{hello:?}"
                );
            }
        }
    }
    // The first message of SSL 2.0: its length, its type, the version, three suites of three bytes,
    // and sixteen random bytes.
    let ssl_2 =
        [&[0x80, 34, 1, 0, 2, 0, 9, 0, 0, 0, 16, 1, 0, 128, 7, 0, 192, 3, 0, 128][..], &[7; 16]];
    let reply = send(address, &ssl_2.concat()).await;
    assert!(!matches!(reply, Reply::Agreed(_)), "{reply:?}");
}

/// Tries all numbers of cipher suites. So the server accepts no CBC, RC4, 3DES or export suite, no suite without a
/// certificate or encryption, and no key exchange with the RSA key of the server.
#[tokio::test]
async fn only_suites_with_forward_secrecy_and_authenticated_encryption_are_chosen() {
    let (ecdsa, rsa) = (ecdsa().await, rsa().await);
    for (app, tls12) in [(&ecdsa, &ECDSA_SUITES), (&rsa, &RSA_SUITES)] {
        for (hello, expected) in
            [(Hello::tls12 as fn(&[u16]) -> Hello, tls12), (Hello::tls13, &TLS13_SUITES)]
        {
            let chosen = chosen_of(0..=u16::MAX, hello, app.address()).await;
            let mut expected = numbers(expected);
            expected.sort_unstable();
            assert_eq!(chosen, expected);
        }
    }
}

#[tokio::test]
async fn a_review_is_answered_over_each_cipher_suite() {
    let (ecdsa, rsa) = (ecdsa().await, rsa().await);
    let groups = [(&ecdsa, ECDSA_SUITES), (&rsa, RSA_SUITES), (&ecdsa, TLS13_SUITES)];
    let mut all = ring::default_provider().cipher_suites;
    for (app, suite) in groups.iter().flat_map(|(app, suites)| suites.map(|suite| (app, suite))) {
        let provider = CryptoProvider { cipher_suites: vec![suite], ..ring::default_provider() };
        let config = config_with(provider, Protocol::Http2, None, &[suite.version()]).into();
        let mut client = Client::with(app.address(), &config).await.unwrap();
        let answer = client.post(fixture("00-create-pod")).await.unwrap();
        assert_eq!(first_image(&answer), "d.io/library/busybox:1.36", "{suite:?}");
        all.retain(|other| other.suite() != suite.suite());
    }
    assert!(all.is_empty(), "not asked for: {all:?}");
}

#[tokio::test]
async fn keys_are_exchanged_over_three_curves_only() {
    let app = ecdsa().await;
    let address = app.address();
    for group in (0..=600).chain(0x6399..=0x639a).chain([4587, 4588, 4589]) {
        let hello = Hello { groups: vec![group], ..Hello::tls12(&numbers(&ECDSA_SUITES)) };
        let reply = hello.send(address).await;
        // P-256, P-384, X25519.
        if [23, 24, 29].contains(&group) {
            assert!(matches!(reply, Reply::Agreed(_)), "{group}: {reply:?}");
        } else {
            assert_eq!(reply, Reply::Refused(HANDSHAKE_FAILURE), "{group}");
        }
    }
}

#[tokio::test]
async fn tls_compression_is_off() {
    let app = ecdsa().await;
    let address = app.address();
    for (suites, version) in [(ECDSA_SUITES, TLS_1_2), (TLS13_SUITES, TLS_1_3)] {
        let suites = numbers(&suites);
        let hello = if version == TLS_1_2 { Hello::tls12(&suites) } else { Hello::tls13(&suites) };
        // 1 is DEFLATE, 64 is LZS.
        for (compressions, is_possible) in
            [(&[0][..], true), (&[1, 64, 0], version == TLS_1_2), (&[1], false), (&[64, 1], false)]
        {
            let hello = Hello { compressions: compressions.to_vec(), ..hello.clone() };
            match hello.send(address).await {
                Reply::Agreed(agreed) => {
                    assert_eq!(agreed.compression, 0, "{hello:?}");
                    assert!(compressions.contains(&0), "{hello:?}");
                }
                reply => {
                    assert_eq!(reply, Reply::Refused(ILLEGAL_PARAMETER), "{hello:?}");
                    assert!(!is_possible, "{hello:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn only_http_1_1_and_2_are_negotiated() {
    let app = ecdsa().await;
    let address = app.address();
    for (protocols, expected) in [
        (&["h2"][..], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["spdy/3.1", "h3", "http/1.1"], Some("http/1.1")),
        (&["http/1.0"], None),
        (&["h2c"], None),
        (&["h3"], None),
        (&["spdy/3.1", "acme-tls/1", "grpc-exp", "HTTP/1.1"], None),
    ] {
        let hello =
            Hello { protocols: protocols.to_vec(), ..Hello::tls12(&numbers(&ECDSA_SUITES)) };
        match hello.send(address).await {
            Reply::Agreed(agreed) => {
                assert_eq!(agreed.protocol().as_deref(), expected, "{protocols:?}");
            }
            reply => {
                let refused = (Reply::Refused(NO_APPLICATION_PROTOCOL), None);
                assert_eq!((reply, expected), refused, "{protocols:?}");
            }
        }
    }
    // A client that offers no protocol gets HTTP/1.1.
    let mut config = config(Protocol::Http1, None, ALL_VERSIONS);
    config.alpn_protocols.clear();
    let mut client = Client::with(address, &config.into()).await.unwrap();
    assert_eq!(client.get("/livez").await.status, 200);
}

#[tokio::test]
async fn early_data_is_off() {
    let app = ecdsa().await;
    let mut config = config(Protocol::Http1, None, &[&TLS13]);
    config.enable_early_data = true;
    let config = Arc::new(config);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut client = Client::with(app.address(), &config).await.unwrap();
        assert_eq!(client.get("/livez").await.status, 200);
        assert_eq!(client.handshake, expected);
        // There is a session to resume, but the server has not allowed early data.
        let name = ServerName::try_from("localhost").unwrap();
        let mut next = ClientConnection::new(config.clone(), name).unwrap();
        assert!(next.early_data().is_none());
        drop(next);
    }
}

#[tokio::test]
async fn renegotiation_is_refused() {
    let app = ecdsa().await;
    let hello = Hello::tls12(&numbers(&ECDSA_SUITES));
    let Reply::Agreed(agreed) = hello.send(app.address()).await else { panic!("no agreement") };
    // The server supports secure renegotiation, and confirms that this is the first handshake (RFC 5746).
    assert_eq!(agreed.extension(0xff01), Some(&[0][..]));
    let address = app.address();
    tokio::task::spawn_blocking(move || negotiate_again(address)).await.unwrap();
}

/// Begins another handshake within a connection of TLS 1.2.
fn negotiate_again(address: SocketAddr) {
    const ALERT: u8 = 21;
    const WARNING: u8 = 1;
    const NO_RENEGOTIATION: u8 = 100;

    let suite = TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;
    let provider = CryptoProvider { cipher_suites: vec![suite], ..ring::default_provider() };
    let mut config = config_with(provider, Protocol::Http1, None, &[&TLS12]);
    config.enable_secret_extraction = true;
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(config.into(), name).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).unwrap();
    }

    let SupportedCipherSuite::Tls12(suite) = suite else { panic!("{suite:?}") };
    let ExtractedSecrets { tx, rx } = connection.dangerous_extract_secrets().unwrap();
    let (sent, ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = tx else {
        panic!("another suite")
    };
    let mut encrypter = suite.aead_alg.encrypter(key, iv.as_ref(), &[]);
    let (received, ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = rx else {
        panic!("another suite")
    };
    let mut decrypter = suite.aead_alg.decrypter(key, iv.as_ref());

    let message = Hello::tls12(&numbers(&ECDSA_SUITES)).message();
    let mut begin = |number| {
        let message = OutboundPlainMessage {
            typ: ContentType::Handshake,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(&message),
        };
        let record = encrypter.encrypt(message, sent + number).unwrap().encode();
        stream.write_all(&record).unwrap();
        let mut head = [0; 5];
        stream.read_exact(&mut head).map(|()| {
            let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
            stream.read_exact(&mut record).unwrap();
            (head[0], record)
        })
    };
    let (kind, mut record) = begin(0).unwrap();
    assert_eq!(kind, ALERT);
    let alert =
        InboundOpaqueMessage::new(ContentType::Alert, ProtocolVersion::TLSv1_2, &mut record);
    let alert = decrypter.decrypt(alert, received).unwrap();
    assert_eq!(alert.payload, [WARNING, NO_RENEGOTIATION]);
    // A repeated request ends the connection, with or without an alert.
    if let Ok((kind, _)) = begin(1) {
        assert_eq!(kind, ALERT);
    }
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
}
