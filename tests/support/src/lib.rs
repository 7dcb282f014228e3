//! Code that the tests of imageswap and the fuzz targets share.
//!
//! The modules for the rules only need imageswap. The others start a server and send requests to it. They need the
//! feature `server`, which the fuzz targets disable.
//!
//! Nothing here is part of the program. A helper that only one test binary needs belongs in that binary.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::missing_errors_doc, clippy::missing_panics_doc, reason = "as above")]
#![expect(clippy::must_use_candidate, clippy::new_without_default, reason = "for tests alone")]

pub mod cases;
pub mod grammar;
pub mod laws;
pub mod oracle;
pub mod recipes;
pub mod reviews;
pub mod samples;
pub mod source;

#[cfg(feature = "server")]
pub mod api;
#[cfg(feature = "server")]
pub mod body;
#[cfg(feature = "server")]
pub mod certificates;
#[cfg(feature = "server")]
pub mod client;
#[cfg(feature = "server")]
pub mod kubectl;
#[cfg(feature = "server")]
pub mod program;
#[cfg(feature = "server")]
pub mod secrets;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod stream;
#[cfg(feature = "server")]
pub mod tls;
#[cfg(feature = "server")]
pub mod volume;
#[cfg(feature = "server")]
pub mod wait;
