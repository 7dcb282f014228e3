//! Answers reviews: from the body of a request to its answer.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::{Request, body::Incoming};
use tracing::{Level, debug, enabled, error, field, warn};

use super::{
    Service, Status,
    answer::{Answer, JSON},
    body::BodyError,
    targets::{Deadline, Targets},
};
use crate::{
    admission::{Difference, Edit, Plan, Review, World, plan, plan_with_decisions},
    excerpt::{MAX_VALUE_BYTES, excerpt},
    rules::SwappedImage,
};

/// Maximum size in bytes of a review that is read by the worker of its connection. A larger one would hold up the other
/// connections of the worker. Reading this much takes a few times as long as handing it over. With verified targets, a
/// review of any size is read by the worker.
const LARGE_REVIEW_BYTES: usize = 256 * 1024;

/// Maximum number of changes of one review that are logged.
const MAX_LOGGED_CHANGES: usize = 64;

/// Maximum length of a request's uid in the log, in bytes; API servers use 36.
const MAX_UID_BYTES: usize = 64;

/// Maximum length of a kind in the log, in bytes.
const MAX_KIND_BYTES: usize = 63;

/// Maximum length of a namespace in the log, in bytes: that of a DNS label (RFC 1123), as in Kubernetes.
const MAX_NAMESPACE_BYTES: usize = 63;

/// Maximum length of an error in the log, in bytes: a sentence of this program that contains a value of the peer. It
/// keeps a log line below 1 KiB, even if all characters have to be escaped.
const MAX_ERROR_BYTES: usize = MAX_VALUE_BYTES + 128;

impl Service {
    /// Logs a refused review: an operator has to find out why a pod was not created.
    pub(super) fn log_refusal(&self, refusal: &Answer) {
        if let Some(suppressed) = self.log_limits.refused(refusal.status).admit() {
            let status = refusal.status.code().as_u16();
            let error = &*excerpt(&refusal.error, MAX_ERROR_BYTES);
            warn!(status, error, suppressed, "review refused");
        }
    }
}

/// Answers a request with a review. `others` is the number of requests in flight on the same connection.
pub(super) async fn mutate(
    service: &Arc<Service>,
    request: Request<Incoming>,
    others: u64,
) -> Answer {
    let limits = &service.limits;
    let targets = service.targets.as_deref().map(|targets| {
        let deadline = targets.deadline(request.uri().query());
        (targets, deadline)
    });
    let body = service
        .bodies
        .gather(request.into_body(), limits.max_body_bytes, limits.body_timeout, others)
        .await;
    let answer = match body {
        Ok(body) => match targets {
            None if body.len() > LARGE_REVIEW_BYTES => large_review(service, body).await,
            None => guarded_review(service, &body),
            // In a box, so that reviews that ask no registry do not carry its size.
            Some((targets, deadline)) => {
                Box::pin(guarded_verified_review(service, targets, deadline, &body)).await
            }
        },
        Err(error) => body_error(&error),
    };
    if answer.status != Status::Ok {
        service.log_refusal(&answer);
    }
    answer
}

/// Answers a review in the thread for large reviews.
async fn large_review(service: &Arc<Service>, body: Bytes) -> Answer {
    // It may wait there for others, so it counts until it is read.
    let Some(body) = service.bodies.hold(body) else { return body_error(&BodyError::OutOfMemory) };
    let owner = service.clone();
    let answer = service.large_reviews.run(move || guarded_review(&owner, &body)).await;
    answer.unwrap_or_else(panicked)
}

fn guarded_review(service: &Service, body: &[u8]) -> Answer {
    // A panic must cost one answer, not all streams of the connection.
    catch_unwind(AssertUnwindSafe(|| review(service, body))).unwrap_or_else(|_| panicked())
}

async fn guarded_verified_review(
    service: &Service,
    targets: &Targets,
    deadline: Deadline,
    body: &[u8],
) -> Answer {
    let review = AssertUnwindSafe(verified_review(service, targets, deadline, body));
    review.catch_unwind().await.unwrap_or_else(|_| panicked())
}

fn panicked() -> Answer {
    error!("review handler panicked");
    Answer::error(
        Status::InternalServerError,
        "the review could not be answered",
        "this is a bug in imageswap; see its log",
    )
}

/// Answers a review without a question to a registry.
fn review(service: &Service, body: &[u8]) -> Answer {
    let started_at = Instant::now();
    let world = service.world.load();
    let Some(world) = world.as_deref() else { return no_map() };
    let review = match read(service, world, body) {
        Ok(review) => review,
        Err(refusal) => return *refusal,
    };
    let plan = plan(&review, world);
    finish(service, world, &review, &plan, started_at.elapsed())
}

/// Answers a review after the registries of the new images were asked.
async fn verified_review(
    service: &Service,
    targets: &Targets,
    deadline: Deadline,
    body: &[u8],
) -> Answer {
    let started_at = Instant::now();
    // Other reviews may wait for the registry as well, so this one keeps the world by a pointer of its own.
    let Some(world) = service.world.load_full() else { return no_map() };
    let review = match read(service, &world, body) {
        Ok(review) => review,
        Err(refusal) => return *refusal,
    };
    let mut plan = plan_with_decisions(&review, &world);
    let asked_at = Instant::now();
    let facts =
        targets.facts(&plan, &review, deadline, || service.waiting.reserve_waiting(body)).await;
    let waited = asked_at.elapsed();
    plan.fall_back(&facts);
    finish(service, &world, &review, &plan, started_at.elapsed().saturating_sub(waited))
}

fn no_map() -> Answer {
    Answer::error(
        Status::ServiceUnavailable,
        "no map is loaded yet",
        "GET /readyz says what is missing",
    )
}

fn read<'b>(service: &Service, world: &World, body: &'b [u8]) -> Result<Review<'b>, Box<Answer>> {
    Review::with_sites(body, &world.sites).map_err(|error| {
        service.metrics.invalid_review();
        Box::new(Answer::error(Status::BadRequest, &error, error.hint()))
    })
}

/// Creates the answer, and counts and logs the review. `elapsed` is the time without waits for registries.
fn finish(
    service: &Service,
    world: &World,
    review: &Review<'_>,
    plan: &Plan<'_>,
    elapsed: Duration,
) -> Answer {
    let response = plan.settle().to_json(review);
    service.metrics.review(plan, elapsed);
    world.differences.record(&plan.comparison);
    if enabled!(Level::DEBUG) {
        log(review, plan);
    }
    Answer::new(Status::Ok, JSON, response)
}

/// Logs a review and its changes.
fn log(review: &Review<'_>, plan: &Plan<'_>) {
    let request = review.request();
    let uid = &*excerpt(request.uid(), MAX_UID_BYTES);
    let namespace = &*excerpt(request.namespace(), MAX_NAMESPACE_BYTES);
    debug!(
        uid,
        kind = &*excerpt(request.kind(), MAX_KIND_BYTES),
        operation = plan.operation.as_str(),
        namespace,
        name = &*excerpt(request.name(), MAX_VALUE_BYTES),
        outcome = plan.outcome.as_str(),
        changes = plan.edits.len(),
        "reviewed"
    );
    for Edit::Image { at, from, to, rule, .. } in plan.edits.iter().take(MAX_LOGGED_CHANGES) {
        let (at, swapped) = (at.to_string(), to.to_string());
        debug!(
            uid,
            at = &*excerpt(&at, MAX_VALUE_BYTES),
            from = &*excerpt(from, MAX_VALUE_BYTES),
            to = &*excerpt(&swapped, MAX_VALUE_BYTES),
            rule = rule.map(|rule| field::display(rule.location())),
            "image swapped"
        );
    }
    let more = plan.edits.len().saturating_sub(MAX_LOGGED_CHANGES);
    if more > 0 {
        debug!(uid, more, "more images swapped");
    }
    for Edit::Image { at, from, to, .. } in plan.fallbacks.iter().take(MAX_LOGGED_CHANGES) {
        debug!(
            uid,
            at = &*excerpt(&at.to_string(), MAX_VALUE_BYTES),
            image = &*excerpt(from, MAX_VALUE_BYTES),
            absent = &*excerpt(&to.to_string(), MAX_VALUE_BYTES),
            "original image kept, target not found"
        );
    }
    log_differences(uid, namespace, plan);
}

/// Logs the images that the candidate map would swap differently.
fn log_differences(uid: &str, namespace: &str, plan: &Plan<'_>) {
    for Difference { at, from, to, candidate, rule } in
        plan.comparison.differences.iter().take(MAX_LOGGED_CHANGES)
    {
        let result = |swapped: &Option<SwappedImage<'_>>| {
            let swapped = swapped.map(|image| image.to_string());
            excerpt(swapped.as_deref().unwrap_or(from), MAX_VALUE_BYTES).into_owned()
        };
        debug!(
            uid,
            namespace,
            at = &*excerpt(&at.to_string(), MAX_VALUE_BYTES),
            from = &*excerpt(from, MAX_VALUE_BYTES),
            to = result(to),
            candidate = result(candidate),
            rule = rule.map(|rule| field::display(rule.location())),
            "candidate map differs"
        );
    }
    let more = plan.comparison.differences.len().saturating_sub(MAX_LOGGED_CHANGES);
    if more > 0 {
        debug!(uid, more, "more differences of the candidate map");
    }
}

fn body_error(error: &BodyError) -> Answer {
    let (status, hint) = match error {
        BodyError::TooLarge { .. } => {
            (Status::PayloadTooLarge, "raise the limit if requests are really that large")
        }
        BodyError::TimedOut(_) => (Status::RequestTimeout, "send the whole body at once"),
        BodyError::OutOfMemory | BodyError::TooManyWaiting => {
            (Status::ServiceUnavailable, "try again")
        }
        BodyError::Unreadable(_) => (Status::BadRequest, "send a complete body"),
    };
    Answer::error(status, error, hint)
}
