//! Checks whether an image exists in its registry before a pod is pointed at it.
//!
//! A registry is asked only for images whose host comes from the map, with the credentials that are configured for that
//! host. Every answer but a clear "not found" counts as unknown.
//!
//! This module does not decide which images are asked for, nor what follows from the answers: `admission` does.

mod breaker;
mod cache;
mod challenge;
mod check;
mod client;
mod credentials;
mod host;
mod metrics;
mod recent;
mod registries;
mod resolver;
mod status;
mod target;

pub use self::{
    breaker::BreakerState,
    check::{Check, CheckFuture, CheckResult, Checked, Presence},
    client::{CHECK_TIMEOUT, Client, ClientError, ClientSettings, Proxies},
    credentials::{Credentials, CredentialsError},
    host::{RegistryHost, RegistryHostError},
    metrics::TargetMetrics,
    resolver::{Resolver, ResolverSettings},
    status::{LastError, RegistryStatus, ResolverStatus},
    target::Target,
};
