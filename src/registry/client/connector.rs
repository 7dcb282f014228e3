//! Connects to registries: directly or through a proxy, with TLS, within a timeout.

use std::{
    error::Error,
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{Uri, http::uri::Scheme};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use tokio::time::timeout;
use tower_service::Service;

use super::metered::Metered;
use crate::tls::{ClientConfig, ClientConfigError, Roots, client_config};

/// Timeout for a connection, with look-up, handshake and proxy. A check has time left for its requests.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The proxies that registries are asked through.
#[derive(Clone)]
pub struct Proxies(Arc<Matcher>);

/// Connects to registries.
#[derive(Clone)]
pub(super) struct Connector(HttpsConnector<ProxyConnector>);

/// Connects to registries or to their proxies, without the TLS of the registry.
#[derive(Clone)]
struct ProxyConnector {
    tcp: TcpConnector,
    tls: Arc<ClientConfig>,
    proxies: Proxies,
}

/// Opens TCP connections.
#[derive(Clone)]
struct TcpConnector(HttpConnector);

/// A connection to a registry or through a proxy, which may have TLS of its own.
type Connection = MaybeHttpsStream<TokioIo<Metered>>;

type BoxError = Box<dyn Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

impl Proxies {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in upper or lower case.
    #[must_use]
    pub fn from_environment() -> Self {
        Self(Arc::new(Matcher::from_env()))
    }

    /// Creates proxies from the values that these variables would have; an empty one is none.
    #[must_use]
    pub fn new(https: &str, http: &str, except: &str) -> Self {
        let matcher = Matcher::builder();
        let matcher = matcher.https(https.to_owned()).http(http.to_owned()).no(except.to_owned());
        Self(Arc::new(matcher.build()))
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URLs, which may hold a password.
        formatter.debug_struct("Proxies").finish_non_exhaustive()
    }
}

impl Connector {
    /// Creates a connector that trusts `roots` and those of the system.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub(super) fn new(roots: Option<&Roots>, proxies: Proxies) -> Result<Self, ClientConfigError> {
        let tls = Arc::new(client_config(roots)?);
        let mut tcp = HttpConnector::new();
        // The scheme is that of the URL of the registry; TLS is added to the connection.
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = ProxyConnector { tcp: TcpConnector(tcp), tls: tls.clone(), proxies };
        Ok(Self(HttpsConnector::from((connector, tls))))
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Connection>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async {
            timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|_| {
                let text = format!("no connection within {} s", CONNECT_TIMEOUT.as_secs());
                Err(io::Error::new(io::ErrorKind::TimedOut, text).into())
            })
        })
    }
}

impl Service<Uri> for TcpConnector {
    type Response = TokioIo<Metered>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async { Ok(TokioIo::new(Metered::new(connecting.await?.into_inner()))) })
    }
}

impl Service<Uri> for ProxyConnector {
    type Response = Connection;
    type Error = BoxError;
    type Future = Connecting<Connection>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if let Some(proxy) = self.proxies.0.intercept(&uri) {
            return self.tunnel(&proxy, uri);
        }
        let connecting = self.tcp.call(uri);
        Box::pin(async { Ok(MaybeHttpsStream::Http(connecting.await?)) })
    }
}

impl ProxyConnector {
    /// Connects through a proxy, by CONNECT for plain HTTP too.
    fn tunnel(&self, proxy: &Intercept, uri: Uri) -> Connecting<Connection> {
        let host = proxy.uri().authority().map(ToString::to_string).unwrap_or_default();
        let scheme = proxy.uri().scheme();
        if ![Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&scheme) {
            let text = format!("the proxy {host} is not one of http:// or https://");
            return Box::pin(async { Err(text.into()) });
        }
        let to_proxy = HttpsConnector::from((self.tcp.clone(), self.tls.clone()));
        let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let connecting = with_port(uri).map(|uri| tunnel.call(uri));
        Box::pin(async move {
            let connecting = connecting?;
            connecting.await.map_err(|error| ProxyError { host, source: error.into() }.into())
        })
    }
}

/// An error of a proxy.
#[derive(Debug, thiserror::Error)]
#[error("proxy {host}")]
struct ProxyError {
    host: String,
    source: BoxError,
}

/// Returns a URL with its port, because a tunnel takes that of HTTPS for the default.
fn with_port(uri: Uri) -> Result<Uri, BoxError> {
    let is_http = uri.scheme() == Some(&Scheme::HTTP);
    match uri.host() {
        Some(host) if is_http && uri.port().is_none() => Ok(format!("http://{host}:80/").parse()?),
        _ => Ok(uri),
    }
}
