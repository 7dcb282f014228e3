//! The server over real TLS on loopback: every answer, every limit, reloads under load, and the end.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod addresses;
mod answers;
mod authority;
mod client;
mod hello;
mod limits;
mod logs;
mod maps;
mod policy;
mod program;
mod reload;
mod secrecy;
#[path = "../common/secrets.rs"]
mod secrets;
mod shutdown;
mod support;
#[path = "../common/trusting.rs"]
mod trusting;
mod volume;
