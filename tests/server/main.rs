//! The server over real TLS on loopback: answers, limits, reloads under load, and shutdown.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod addresses;
mod answers;
mod candidate_map;
mod handshakes;
mod hello;
mod limits;
mod logs;
mod maps;
mod metrics;
mod namespace_maps;
mod policy;
mod reload;
mod secrecy;
mod shutdown;
mod sites;
mod status_page;
mod targets;
