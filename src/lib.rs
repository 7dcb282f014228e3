//! A Kubernetes mutating admission webhook that rewrites container image references following a rules file, the map.
//!
//! This crate is the library of the `imageswap` program. `ARCHITECTURE.md` in the repository describes its modules. A
//! request passes from [`server`] to [`admission`] to [`rules`] to [`image`]; dependencies have the same direction.

pub mod admission;
pub mod app;
mod bounded_read;
pub mod cli;
pub mod client;
pub mod closed_enum;
mod color;
pub mod commands;
pub mod controller;
pub mod excerpt;
mod fnv;
pub mod https_url;
pub mod image;
pub mod kubernetes;
mod log;
mod log_once;
pub mod metrics;
mod namespace;
pub mod origin;
pub mod rules;
pub mod server;
pub mod settings;
pub mod sources;
pub mod state;
pub mod tls;
mod version;
