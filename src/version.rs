//! The version of the program and the git commit that it is built from.

/// Short git commit of the build, or `unknown`; `build.rs` finds it.
pub(crate) const REVISION: &str = env!("IMAGESWAP_REVISION");

/// Version of the crate.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Version and revision, as `--version` prints them: `2.0.0 (abc1234)`.
pub(crate) const VERSION_AND_REVISION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("IMAGESWAP_REVISION"), ")");
