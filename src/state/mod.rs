//! The state that the modules of the program share: the values in use, their load status, and readiness.
//!
//! [`Live`] holds a value that can change at run time, such as the map. Sources and the controller publish values; the
//! server reads them. [`Readiness`] and metrics follow from the same [`LoadStatus`].
//!
//! This module reads no file and calls no API server.

mod live;
mod metrics;
mod observer;
mod readiness;
mod status;
mod world;

pub use self::{
    live::Live,
    metrics::ReloadResult,
    observer::LoadObserver,
    readiness::Readiness,
    status::{
        HasStatus, Load, LoadError, LoadStatus, MapSummary, NamespaceSummary, Retry, SitesSummary,
        Subject, Summary,
    },
    world::CurrentWorld,
};
