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
mod explanation;
pub mod export;
pub mod field;
mod fnv;
pub mod https_url;
pub mod image;
mod innermost;
pub mod kubernetes;
mod log;
mod log_once;
pub mod manifests;
pub mod metrics;
mod namespace;
pub mod origin;
pub mod registry;
pub mod rules;
pub mod server;
pub mod settings;
pub mod sources;
pub mod state;
pub mod status_page;
pub mod tls;
mod version;
