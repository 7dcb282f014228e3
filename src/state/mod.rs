//! The state that the rooms of the program share: what is in use, how it was loaded, and if that is enough to serve.
//!
//! [`Live`] holds one value that can change at run time, such as the map. Sources and the controller publish values;
//! the server reads them. [`Readiness`] and metrics come from the same [`LoadStatus`].

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
    status::{HasStatus, Load, LoadError, LoadStatus, MapSummary, Retry, Subject, Summary},
    world::CurrentWorld,
};
