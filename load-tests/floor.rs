//! The floor: the minimum cost of a webhook over hyper and tokio-rustls. It reads the body of each request and always
//! sends the same answer.
//!
//! The load tests compare the webhook with it, so it has the allocator, TLS settings and protocols of the webhook, and
//! the usual runtime of Tokio. It deliberately has nothing else: it ignores method, path and content type, parses no
//! JSON, counts nothing, and has no limit and no timeout. Not for production.

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use memchr::{memchr, memmem};
use mimalloc::MiMalloc;
use rcgen::generate_simple_self_signed;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The name of HTTP/2 over TLS (RFC 9113, section 3.1).
const HTTP_2: &[u8] = b"h2";

/// Maximum number of connections in the listen queue, as in the webhook.
const LISTEN_QUEUE: u32 = 1024;

/// Maximum number of open streams of an HTTP/2 connection, as in the webhook.
const MAX_CONCURRENT_STREAMS: u32 = 100;

/// The text before the uid of a review. The uid of the request comes first in a review from the API server.
const UID_FIELD: &[u8] = br#""uid":""#;

/// A constant uid, with the length of the uid of a review.
const CONSTANT_UID: &[u8] = b"00000000-0000-0000-0000-000000000000";

/// Answers every request over TLS with the same AdmissionReview
#[derive(Parser)]
#[command(name = "floor")]
struct Arguments {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5001")]
    listen: SocketAddr,

    /// Directory with `tls.crt` and `tls.key` [default: a self-signed certificate]
    #[arg(long, value_name = "DIRECTORY")]
    tls_dir: Option<PathBuf>,

    /// JSON Patch of every answer
    #[arg(
        long,
        value_name = "JSON",
        default_value = r#"[{"op":"replace","path":"/spec/containers/0/image","value":"registry.example.com/official/nginx:1.28"}]"#
    )]
    patch: String,

    /// Answer with the uid of the review, which an API server requires
    #[arg(long)]
    echo_uid: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&arguments))
}

async fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let acceptor = acceptor(arguments.tls_dir.as_deref())?;
    let answers = Arc::new(Answers::new(&arguments.patch, arguments.echo_uid));
    let listen = arguments.listen;
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(listen).with_context(|| format!("--listen: cannot bind {listen}"))?;
    let listener = socket.listen(LISTEN_QUEUE)?;
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (acceptor, answers) = (acceptor.clone(), answers.clone());
        tokio::spawn(async move {
            // The client reports failed requests, so the error of a connection is not needed.
            let _ = connection(stream, acceptor, answers).await;
        });
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    answers: Arc<Answers>,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
    let stream = TokioIo::new(stream);
    let service = service_fn(move |request| {
        let answers = answers.clone();
        async move { answers.answer(request).await }
    });
    if is_http2 {
        http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
            .serve_connection(stream, service)
            .await?;
    } else {
        http1::Builder::new().serve_connection(stream, service).await?;
    }
    Ok(())
}

/// Returns a TLS acceptor as in the webhook: ring, TLS 1.3 and 1.2, HTTP/2 before HTTP/1.1.
fn acceptor(directory: Option<&Path>) -> anyhow::Result<TlsAcceptor> {
    let (chain, key) = match directory {
        Some(directory) => files_pair(directory)?,
        None => self_signed_pair()?,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn files_pair(directory: &Path) -> anyhow::Result<Pair> {
    let (certificate, key) = (directory.join("tls.crt"), directory.join("tls.key"));
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect)
        .with_context(|| format!("reading {}", certificate.display()))?;
    let key =
        PrivateKeyDer::from_pem_file(&key).with_context(|| format!("reading {}", key.display()))?;
    Ok((chain, key))
}

fn self_signed_pair() -> anyhow::Result<Pair> {
    let pair = generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let key =
        PrivateKeyDer::try_from(pair.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    Ok((vec![pair.cert.der().clone()], key))
}

/// The answer to every request.
struct Answers {
    /// The text before the uid.
    head: Vec<u8>,
    /// The text after the uid.
    tail: Vec<u8>,
    /// The answer with the constant uid.
    constant: Bytes,
    echo_uid: bool,
}

impl Answers {
    fn new(patch: &str, echo_uid: bool) -> Self {
        let head =
            br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":""#;
        let patch = STANDARD.encode(patch);
        let tail = format!(r#"","allowed":true,"patchType":"JSONPatch","patch":"{patch}"}}}}"#);
        let constant = [head, CONSTANT_UID, tail.as_bytes()].concat().into();
        Self { head: head.to_vec(), tail: tail.into_bytes(), constant, echo_uid }
    }

    async fn answer(&self, request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
        let body = request.into_body().collect().await?.to_bytes();
        let uid = if self.echo_uid { uid(&body) } else { None };
        let answer = match uid {
            Some(uid) => [&self.head, uid, &self.tail].concat().into(),
            None => self.constant.clone(),
        };
        let mut response = Response::new(Full::new(answer));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        Ok(response)
    }
}

/// Returns the first value of a field `uid`, without decoding.
fn uid(review: &[u8]) -> Option<&[u8]> {
    let start = memmem::find(review, UID_FIELD)? + UID_FIELD.len();
    let length = memchr(b'"', &review[start..])?;
    Some(&review[start..start + length])
}
