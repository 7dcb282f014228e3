//! Asks registries for the new images of a review, within the time of the request.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    admission::{Facts, ImageDecision, Plan, Review, World},
    registry::{Presence, Resolver, Target},
};

/// Timeout of a call by the API server that names none: the default of a webhook configuration.
const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The time by which a review has to be answered, whatever the registries do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

/// The registries that are asked for the new images of reviews.
#[derive(Debug)]
pub struct Targets {
    resolver: Arc<Resolver>,
    timeout: Duration,
}

impl Targets {
    /// Creates the value. `timeout` is the maximum time for which a review waits.
    #[must_use]
    pub fn new(resolver: Arc<Resolver>, timeout: Duration) -> Self {
        Self { resolver, timeout }
    }

    /// Returns the resolver.
    #[must_use]
    pub fn resolver(&self) -> &Arc<Resolver> {
        &self.resolver
    }

    /// Asks in the background for the new images of those that reviews had lately, so that later reviews find the
    /// answers. `world` decides which images these are.
    pub fn warm_up(&self, world: &World) {
        let recent = self.resolver.recent();
        let targets = recent.iter().filter_map(|(image, namespace)| {
            let own = world.namespaces.rules(namespace);
            let swapped = world.policy.decide_with(own, image).swapped?;
            if swapped.has_fixed_host() { Target::parse(&swapped.to_string()) } else { None }
        });
        self.resolver.warm_up(targets.collect());
    }

    /// Returns the deadline of a request that arrives now. `query` is that of its URL.
    pub(super) fn deadline(&self, query: Option<&str>) -> Deadline {
        // The API server gives up after its timeout, so half of it is left for the network and the queues.
        let half = call_timeout(query).unwrap_or(DEFAULT_CALL_TIMEOUT) / 2;
        Deadline(Instant::now() + self.timeout.min(half))
    }

    /// Returns the images of the plan, which has the decisions, that their registries do not have. Waits until the deadline at most, and not at all
    /// if nothing has to be asked, or `reserve` has no memory for it.
    pub(super) async fn facts<R>(
        &self,
        plan: &Plan<'_>,
        review: &Review<'_>,
        Deadline(deadline): Deadline,
        reserve: impl FnOnce() -> Option<R>,
    ) -> Facts {
        let namespace = review.request().namespace();
        // All images that the map decides: the next map may change others than this one.
        for ImageDecision { image, .. } in plan.decisions.iter().flatten() {
            self.resolver.remember(image, namespace);
        }
        let mut absent = Vec::new();
        let (mut images, mut targets) = (Vec::new(), Vec::new());
        for image in plan.questions(review) {
            // Nobody is asked for an image that is not a valid reference.
            let Some(target) = Target::parse(&image) else { continue };
            match self.resolver.known(&target) {
                Some(Presence::Absent) => absent.push(image),
                Some(Presence::Present | Presence::Unknown) => {}
                None => {
                    images.push(image);
                    targets.push(target);
                }
            }
        }
        if !targets.is_empty()
            && let Some(_reservation) = reserve()
        {
            let answers = self.resolver.ask(&targets, deadline).await;
            let answered = images.into_iter().zip(answers);
            absent.extend(
                answered.filter_map(|(image, presence)| {
                    (presence == Presence::Absent).then_some(image)
                }),
            );
        }
        Facts::with_absent(absent)
    }
}

/// Returns the timeout that the API server names in the URL, such as `timeout=10s`.
fn call_timeout(query: Option<&str>) -> Option<Duration> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, text) = pairs.find(|(name, _)| *name == "timeout")?;
    // Go writes the whole seconds of a webhook configuration like this; it has 30 at most.
    if let Some(millis) = text.strip_suffix("ms") {
        return Some(Duration::from_millis(millis.parse::<u32>().ok()?.into()));
    }
    let seconds: u32 = text.strip_suffix('s')?.parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_of_a_call_is_read_from_its_url() {
        for (query, seconds) in [
            (Some("timeout=10s"), Some(10)),
            (Some("a=b&timeout=1s"), Some(1)),
            (Some("timeout=30s&timeout=1s"), Some(30)),
            (Some("timeout=0s"), Some(0)),
            (Some("timeout=2000ms"), Some(2)),
            (Some("timeout=1m"), None),
            (Some("timeout=-1s"), None),
            (Some("timeout=99999999999999s"), None),
            (Some("timeout"), None),
            (None, None),
        ] {
            assert_eq!(call_timeout(query).map(|timeout| timeout.as_secs()), seconds, "{query:?}");
        }
    }
}
