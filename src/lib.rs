//! A Kubernetes mutating admission webhook that rewrites container images by a map file.
//!
//! The crate is the library behind the `imageswap` program. `ARCHITECTURE.md` in the repository
//! shows how its modules hang together; the way of one request is [`server`] to [`admission`] to
//! [`rules`] to [`image`], and never back.

pub mod admission;
pub mod app;
pub mod certs;
pub mod cli;
pub mod cluster;
pub mod color;
pub mod commands;
pub mod descriptors;
pub mod excerpt;
pub mod file;
pub mod health;
pub mod image;
pub mod log;
pub mod metrics;
pub mod reload;
pub mod rules;
pub mod server;
pub mod settings;
pub mod version;
