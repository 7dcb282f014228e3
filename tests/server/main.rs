//! The server over real TLS on loopback: every answer, every limit, reloads under load, and the end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod client;
mod limits;
mod program;
mod reload;
mod shutdown;
mod support;
mod volume;
