//! The client of the API server: finds it, calls it, and watches objects.
//!
//! Every call has a timeout, and every error names the call. This module knows nothing of the meaning of the objects;
//! `controller` does.

mod call;
mod client;
mod context;
mod inventory;
mod kubeconfig;
mod proxy;
mod resource;
mod selection;
mod watch;

use kube::api::PostParams;

pub use self::{
    call::{ClusterError, call, call_within},
    client::{Cluster, Connection, connect},
    inventory::{Labels, Listed, Object, ObjectFilter, Owner, for_each_object, namespace_labels},
    resource::{Resource, discover},
    selection::{Selected, Selection},
    watch::{WATCH_TIMEOUT, Wakeup},
};

/// Name under which this program writes: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers>.
pub const FIELD_MANAGER: &str = "imageswap";

/// Returns the parameters of a request that creates or replaces an object.
#[must_use]
pub fn post_parameters() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run: false }
}
