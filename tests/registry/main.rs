//! The registry client: against a scripted server that does what registries, proxies and attackers do, and against a
//! real registry (`distribution`).
//!
//! `cargo test --test registry -- --nocapture` prints each case with its result and its time. Every result is searched
//! for the credentials of the tests. `.ci/registry` provides the real registry; without it, `cargo test` skips what
//! needs it and says so.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod authentication;
mod distribution;
mod environment;
mod faults;
mod fixture;
mod proxies;
mod redirects;
mod scripted;
mod token_server;
