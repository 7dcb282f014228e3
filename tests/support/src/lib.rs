//! Code that the tests of imageswap share with each other and with the fuzz targets.
//!
//! The modules for the rules need imageswap alone. The others start a server and talk to it; they come
//! with the feature `server`, which the fuzz targets leave out.
//!
//! Nothing here is part of the program. A helper that only one test binary needs belongs to that binary.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::missing_errors_doc, clippy::missing_panics_doc, reason = "as above")]
#![expect(clippy::must_use_candidate, clippy::new_without_default, reason = "for tests alone")]

pub mod cases;
pub mod grammar;
pub mod laws;
pub mod oracle;
pub mod reviews;

#[cfg(feature = "server")]
pub mod body;
#[cfg(feature = "server")]
pub mod certificates;
#[cfg(feature = "server")]
pub mod client;
#[cfg(feature = "server")]
pub mod program;
#[cfg(feature = "server")]
pub mod secrets;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod tls;
#[cfg(feature = "server")]
pub mod volume;
#[cfg(feature = "server")]
pub mod wait;
