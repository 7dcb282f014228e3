//! Answers reviews: from the body of a request to its answer.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use hyper::{Request, body::Incoming};
use tracing::{Level, debug, enabled, error, field, warn};

use super::{
    Service, Status,
    answer::{Answer, JSON},
    body::BodyError,
};
use crate::{
    admission::{Difference, Edit, Facts, Plan, Review, plan},
    excerpt::{MAX_VALUE_BYTES, excerpt},
    rules::SwappedImage,
};

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
pub(super) async fn mutate(service: &Service, request: Request<Incoming>, others: u64) -> Answer {
    let limits = &service.limits;
    let body = service
        .bodies
        .gather(request.into_body(), limits.max_body_bytes, limits.body_timeout, others)
        .await;
    let answer = match body {
        Ok(body) => guarded_review(service, &body),
        Err(error) => body_error(&error),
    };
    if answer.status != Status::Ok {
        service.log_refusal(&answer);
    }
    answer
}

fn guarded_review(service: &Service, body: &[u8]) -> Answer {
    // A panic must cost one answer, not all streams of the connection.
    catch_unwind(AssertUnwindSafe(|| review(service, body))).unwrap_or_else(|_| {
        error!("review handler panicked");
        Answer::error(
            Status::InternalServerError,
            "the review could not be answered",
            "this is a bug in imageswap; see its log",
        )
    })
}

fn review(service: &Service, body: &[u8]) -> Answer {
    let started_at = Instant::now();
    let world = service.world.load();
    let Some(world) = world.as_deref() else {
        return Answer::error(
            Status::ServiceUnavailable,
            "no map is loaded yet",
            "GET /readyz says what is missing",
        );
    };
    let review = match Review::with_sites(body, &world.sites) {
        Ok(review) => review,
        Err(error) => {
            service.metrics.invalid_review();
            return Answer::error(Status::BadRequest, &error, error.hint());
        }
    };
    let plan = plan(&review, world);
    let response = plan.settle(&Facts::default()).to_json(&review);
    service.metrics.review(&plan, started_at.elapsed());
    if enabled!(Level::DEBUG) {
        log(&review, &plan);
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
