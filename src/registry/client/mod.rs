//! Asks registries over HTTP whether they have an image.
//!
//! Answers of registries are not trusted: they cannot send credentials, or the client itself, to hosts that the settings
//! do not allow (`destinations`), and everything that is read has a limit (`transport`).
//!
//! The client speaks HTTP/1.1 only. A connection of HTTP/2 that a firewall has dropped would take all requests with it.

mod answer;
mod authorization;
mod connector;
mod destinations;
mod metered;
mod redirects;
mod settings;
mod token_cache;
mod transport;

use std::{fmt, time::Duration};

use hyper::{HeaderMap, Method, Response, StatusCode, body::Incoming};
use tokio::time::timeout;

pub use self::{connector::Proxies, settings::ClientSettings};

use self::{
    authorization::{Authenticator, Authorization},
    destinations::Destinations,
    redirects::follow,
    token_cache::TokenCache,
    transport::Transport,
};
use super::{
    challenge::Challenge,
    check::{Check, CheckFuture, CheckResult, Checked},
    credentials::{Credential, Credentials},
    target::Target,
};
use crate::tls::Roots;

/// Timeout for a check, with its token, its redirects and its second request.
///
/// A review waits for a shorter time; the check goes on, and the next review finds its result. Five seconds suffice for
/// a registry on another continent. A longer timeout would keep the checks of a registry that does not answer for
/// longer, in memory and in its limit of checks at a time.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks registries for images, with credentials.
pub struct Client {
    transport: Transport,
    destinations: Destinations,
    credentials: Credentials,
    tokens: TokenCache,
}

/// An error for which there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl Client {
    /// Creates a client that trusts `roots` and those of the system, and uses the proxies of the environment.
    ///
    /// Reads the root certificates of the system.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(
        settings: &ClientSettings,
        credentials: Credentials,
        roots: Option<&Roots>,
    ) -> Result<Self, ClientError> {
        Self::with_proxies(settings, credentials, roots, Proxies::from_environment())
    }

    /// Creates a client like [`Client::new`], with other proxies.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_proxies(
        settings: &ClientSettings,
        credentials: Credentials,
        roots: Option<&Roots>,
        proxies: Proxies,
    ) -> Result<Self, ClientError> {
        let transport =
            Transport::new(roots, proxies).map_err(|error| ClientError::Tls(error.to_string()))?;
        let destinations = Destinations::new(settings.clone());
        Ok(Self { transport, destinations, credentials, tokens: TokenCache::default() })
    }

    async fn ask(&self, target: &Target) -> Result<Checked, Checked> {
        let head = self.request(Method::HEAD, target).await?;
        if head.status() != StatusCode::NOT_FOUND {
            return Ok(answer::checked(head.status(), head.headers()));
        }
        // Proxies and load balancers have pages of that status, too. Only a registry says what is not found.
        let answer = self.request(Method::GET, target).await?;
        if answer.status() != StatusCode::NOT_FOUND {
            return Ok(answer::checked(answer.status(), answer.headers()));
        }
        let body = transport::read(answer.into_body()).await?;
        Ok(answer::not_found(&body))
    }

    /// Sends a request for a manifest, and once more if the registry wants a new authorization.
    async fn request(
        &self,
        method: Method,
        target: &Target,
    ) -> Result<Response<Incoming>, Checked> {
        let known = self.known_authorization(target)?;
        let mut answer = self.send(&method, target, known.as_ref()).await?;
        if answer.status() == StatusCode::NOT_FOUND
            && known.is_none()
            && let Some(credential) = self.credential(target)
        {
            // Some registries hide what an anonymous client may not see.
            let authorization = Authorization::unasked(credential)?;
            answer = self.send(&method, target, Some(&authorization)).await?;
            if answer.status() != StatusCode::UNAUTHORIZED {
                self.tokens.insert(target, authorization);
            }
        }
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.tokens.remove(target);
        let authorization = self.authorize(target, answer.headers()).await?;
        let answer = self.send(&method, target, Some(&authorization)).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            return Err(self.refused(target));
        }
        self.tokens.insert(target, authorization);
        Ok(answer)
    }

    async fn send(
        &self,
        method: &Method,
        target: &Target,
        authorization: Option<&Authorization>,
    ) -> Result<Response<Incoming>, Checked> {
        let endpoint = self.destinations.endpoint(target.registry())?;
        follow(&self.transport, &endpoint, method, target, authorization).await
    }

    fn credential(&self, target: &Target) -> Option<&Credential> {
        self.credentials.find(target.registry(), target.repository())
    }

    fn known_authorization(&self, target: &Target) -> Result<Option<Authorization>, Checked> {
        match self.credential(target) {
            Some(credential) => match Authorization::without_challenge(credential)? {
                Some(authorization) => Ok(Some(authorization)),
                None => Ok(self.tokens.find(target)),
            },
            None => Ok(self.tokens.find(target)),
        }
    }

    async fn authorize(
        &self,
        target: &Target,
        headers: &HeaderMap,
    ) -> Result<Authorization, Checked> {
        let endpoint = self.destinations.endpoint(target.registry())?;
        let credential = self.credential(target);
        let authenticator =
            Authenticator { transport: &self.transport, endpoint: &endpoint, target, credential };
        authenticator.authorize(Challenge::of(headers)).await
    }

    fn refused(&self, target: &Target) -> Checked {
        let detail = match self.credential(target) {
            Some(_) => "the registry refuses the credentials",
            None => "the registry refuses an anonymous request",
        };
        answer::failed(CheckResult::Refused, detail)
    }
}

impl Check for Client {
    fn check<'a>(&'a self, target: &'a Target) -> CheckFuture<'a> {
        Box::pin(async move {
            match timeout(CHECK_TIMEOUT, self.ask(target)).await {
                Ok(Ok(checked) | Err(checked)) => checked,
                Err(_) => {
                    let detail = format!("no answer within {} s", CHECK_TIMEOUT.as_secs());
                    answer::failed(CheckResult::TimedOut, &detail)
                }
            }
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("destinations", &self.destinations)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
