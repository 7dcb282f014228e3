//! Tests of the resolver with a client that follows a script, and a clock that is paused.

mod limits;
mod properties;
mod script;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, advance, sleep};

use self::script::Script;
use super::*;
use crate::registry::{BreakerState, CheckResult, RegistryStatus};

/// Time in which any scripted check ends that ends at all.
const LONG: Duration = Duration::from_mins(1);

fn resolver(settings: ResolverSettings, client: &Arc<Script>) -> Arc<Resolver> {
    let resolver = Resolver::new(settings, &Registry::default());
    resolver.set_client(Arc::clone(client) as Arc<dyn Check>);
    Arc::new(resolver)
}

fn target(image: &str) -> Target {
    Target::parse(image).unwrap()
}

/// Asks for one image.
async fn ask(resolver: &Resolver, image: &str, milliseconds: u64) -> Presence {
    let deadline = Instant::now() + Duration::from_millis(milliseconds);
    let presences = resolver.ask(&[target(image)], deadline).await;
    assert!(Instant::now() <= deadline, "{image} took longer");
    presences[0]
}

/// Returns the series of the page that begin with `prefix` and are not zero.
fn series(page: &Registry, prefix: &str) -> Vec<String> {
    let page = page.render();
    let lines = page.lines().filter(|line| line.starts_with(prefix) && !line.ends_with(" 0"));
    let mut lines: Vec<_> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_known_afterwards() {
    for (image, expected, waits) in [
        ("h.io/fast/a", Presence::Present, true),
        ("h.io/slow/a", Presence::Present, true),
        ("h.io/flapping/a", Presence::Unknown, true),
        ("h.io/refused/a", Presence::Unknown, true),
        ("h.io/limited/a", Presence::Unknown, true),
        ("h.io/unreachable/a", Presence::Unknown, true),
        ("h.io/panic/a", Presence::Unknown, true),
        ("h.io/panic-at-once/a", Presence::Unknown, true),
        ("mirror.io/fast/a", Presence::Unknown, false),
        ("mirror.io:5000/fast/a", Presence::Unknown, false),
        ("port.io:5000/fast/a", Presence::Unknown, false),
        ("port.io/fast/a", Presence::Present, true),
        ("fast/a", Presence::Unknown, false),
    ] {
        let client = Script::new(Presence::Present);
        let except = ["mirror.io", "port.io:5000", "index.docker.io"].map(str::to_owned).to_vec();
        let resolver = resolver(ResolverSettings { except, ..Default::default() }, &client);
        assert_eq!(resolver.known(&target(image)), (!waits).then_some(expected), "{image}");
        assert_eq!(ask(&resolver, image, 500).await, expected, "{image}");
        assert_eq!(resolver.known(&target(image)), Some(expected), "{image}");
        assert_eq!(ask(&resolver, image, 0).await, expected, "{image}");
        assert_eq!(resolver.status().checks, 0, "{image}");
    }
}

#[tokio::test(start_paused = true)]
async fn images_are_answered_in_their_order_within_the_deadline() {
    let client = Script::new(Presence::Absent);
    let resolver = resolver(ResolverSettings::default(), &client);
    let images = ["h.io/slow/a", "h.io/never/a", "h.io/fast/a", "h.io/slower/a", "h.io/slow/a"];
    let begin = Instant::now();
    let deadline = begin + Duration::from_millis(500);
    let presences = resolver.ask(&images.map(target), deadline).await;
    let (absent, unknown) = (Presence::Absent, Presence::Unknown);
    assert_eq!(presences, [absent, unknown, absent, unknown, absent]);
    assert_eq!(begin.elapsed(), Duration::from_millis(500));
    assert_eq!(client.uses().most, [1, 3, 3], "the slow ones run at the same time");
}

#[tokio::test(start_paused = true)]
async fn a_check_goes_on_without_those_who_wait() {
    let client = Script::new(Presence::Present);
    let resolver = resolver(ResolverSettings::default(), &client);
    assert_eq!(ask(&resolver, "h.io/slower/a", 100).await, Presence::Unknown);
    let dropped = {
        let resolver = Arc::clone(&resolver);
        tokio::spawn(async move { ask(&resolver, "h.io/slower/b", 5_000).await })
    };
    sleep(Duration::from_millis(1)).await;
    dropped.abort();
    assert_eq!(resolver.status().checks, 2);
    assert_eq!(resolver.known(&target("h.io/slower/a")), None);
    sleep(Duration::from_secs(2)).await;
    for image in ["h.io/slower/a", "h.io/slower/b"] {
        assert_eq!(resolver.known(&target(image)), Some(Presence::Present), "{image}");
    }
    assert_eq!(client.checks(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_ends() {
    let client = Script::new(Presence::Present);
    let resolver = resolver(ResolverSettings::default(), &client);
    assert_eq!(ask(&resolver, "h.io/never/a", 10_500).await, Presence::Unknown);
    let status = resolver.status();
    assert_eq!((status.checks, status.answers), (0, 1));
    let error = status.registries[0].last_error.clone().unwrap();
    assert_eq!(error.result, CheckResult::TimedOut);
    assert_eq!(error.detail, "no answer within 10 seconds");
}

#[tokio::test(start_paused = true)]
async fn many_reviews_share_one_check() {
    let client = Script::new(Presence::Present);
    let resolver = resolver(ResolverSettings::default(), &client);
    let reviews: Vec<_> = (0..100)
        .map(|_| {
            let resolver = Arc::clone(&resolver);
            tokio::spawn(async move { ask(&resolver, "h.io/slow/a", 500).await })
        })
        .collect();
    for review in reviews {
        assert_eq!(review.await.unwrap(), Presence::Present);
    }
    assert_eq!(client.checks(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_check_and_counts_as_a_failure() {
    let client = Script::new(Presence::Present);
    let resolver = resolver(ResolverSettings::default(), &client);
    for kind in ["panic", "panic-at-once"] {
        let image = format!("{kind}.io/{kind}/a");
        // Once the answer has expired, there is another check.
        for _ in 0..2 {
            assert_eq!(resolver.known(&target(&image)), None);
            assert_eq!(ask(&resolver, &image, 500).await, Presence::Unknown);
            assert_eq!(resolver.status().checks, 0);
            advance(Duration::from_secs(10)).await;
        }
    }
    for number in 0..3 {
        let image = format!("panic.io/panic/a:{number}");
        assert_eq!(ask(&resolver, &image, 500).await, Presence::Unknown);
    }
    assert_eq!(resolver.known(&target("panic.io/fast/a")), Some(Presence::Unknown));
    let state = |registry: &RegistryStatus| (registry.registry.clone(), registry.breaker);
    let states: Vec<_> = resolver.status().registries.iter().map(state).collect();
    let expected = [("panic-at-once.io", BreakerState::Closed), ("panic.io", BreakerState::Open)];
    assert_eq!(states, expected.map(|(registry, state)| (registry.to_owned(), state)));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_fails_is_not_asked_for_a_while() {
    let page = Registry::default();
    let resolver = Resolver::new(ResolverSettings::default(), &page);
    let client = Script::new(Presence::Present);
    resolver.set_client(Arc::clone(&client) as Arc<dyn Check>);
    assert_eq!(ask(&resolver, "h.io/fast/a", 500).await, Presence::Present);
    for number in 0..5 {
        let image = format!("h.io/unreachable/a:{number}");
        assert_eq!(resolver.known(&target(&image)), None);
        assert_eq!(ask(&resolver, &image, 500).await, Presence::Unknown);
    }
    assert_eq!(
        series(&page, "imageswap_registry_breakers_open"),
        ["imageswap_registry_breakers_open 1"]
    );
    let [known, other] = ["h.io/fast/a", "h.io/fast/b"].map(target);
    assert_eq!(resolver.known(&known), Some(Presence::Present), "known answers still count");
    assert_eq!(resolver.known(&other), Some(Presence::Unknown));
    assert_eq!(ask(&resolver, "h.io/fast/b", 500).await, Presence::Unknown);
    assert_eq!(resolver.known(&target("other.io/fast/a")), None, "other registries are asked");
    assert_eq!(client.checks(), 6);
    advance(Duration::from_secs(10)).await;
    // Only one of the checks that wait passes, and its failure doubles the time.
    let images = ["h.io/unreachable/b", "h.io/fast/b"].map(target);
    let presences = resolver.ask(&images, Instant::now() + LONG).await;
    assert_eq!(presences, [Presence::Unknown; 2]);
    assert_eq!(client.checks(), 7);
    advance(Duration::from_secs(19)).await;
    assert_eq!(resolver.known(&other), Some(Presence::Unknown));
    advance(Duration::from_secs(1)).await;
    assert_eq!(resolver.status().registries[0].breaker, BreakerState::HalfOpen);
    assert_eq!(ask(&resolver, "h.io/fast/b", 500).await, Presence::Present);
    assert_eq!(resolver.status().registries[0].breaker, BreakerState::Closed);
    assert!(series(&page, "imageswap_registry_breakers_open").is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_review_waits_for_a_registry_that_fails_but_for_the_probe() {
    let client = Script::new(Presence::Present);
    let resolver = resolver(ResolverSettings::default(), &client);
    assert_eq!(ask(&resolver, "h.io/slower/a", 10).await, Presence::Unknown);
    assert_eq!(ask(&resolver, "h.io/limited/a", 10).await, Presence::Unknown);
    // The check runs, but the registry wants no requests.
    assert_eq!(resolver.status().registries[0].checks, 1);
    assert_eq!(resolver.known(&target("h.io/slower/a")), Some(Presence::Unknown));
    advance(Duration::from_secs(1)).await;
    // Its answer shows that the registry answers.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(resolver.status().registries[0].breaker, BreakerState::Closed);
    advance(Duration::from_mins(2)).await;
    assert_eq!(ask(&resolver, "h.io/limited/a", 10).await, Presence::Unknown);
    advance(Duration::from_secs(100)).await;
    assert_eq!(ask(&resolver, "h.io/slower/b", 10).await, Presence::Unknown);
    let [probe, other] = ["h.io/slower/b", "h.io/fast/b"].map(target);
    assert_eq!(resolver.known(&probe), None);
    assert_eq!(resolver.known(&other), Some(Presence::Unknown));
    assert_eq!(ask(&resolver, "h.io/slower/b", 2_000).await, Presence::Present);
    assert_eq!(resolver.known(&other), None);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_wants_fewer_requests_gets_none() {
    let client = Script::new(Presence::Present);
    let resolver = resolver(ResolverSettings::default(), &client);
    assert_eq!(ask(&resolver, "h.io/limited/a", 500).await, Presence::Unknown);
    let fast = target("h.io/fast/a");
    assert_eq!(resolver.known(&fast), Some(Presence::Unknown));
    assert_eq!(resolver.status().registries[0].asked_again_in, Some(Duration::from_secs(100)));
    advance(Duration::from_secs(99)).await;
    assert_eq!(resolver.known(&fast), Some(Presence::Unknown));
    advance(Duration::from_secs(1)).await;
    assert_eq!(resolver.known(&fast), None);
}

#[tokio::test(start_paused = true)]
async fn another_client_forgets_what_was_known() {
    let before = Script::new(Presence::Present);
    let after = Script::new(Presence::Absent);
    let resolver = resolver(ResolverSettings::default(), &before);
    let images = ["h.io/fast/a", "h.io/limited/a", "h.io/slow/a", "h.io/slower/a"];
    let presences = ["h.io/fast/a", "h.io/slow/a"].map(target);
    resolver.ask(&presences, Instant::now() + LONG).await;
    // This one waits for a check of the client before, and for an answer of its cache.
    let waiting = {
        let resolver = Arc::clone(&resolver);
        let targets = ["h.io/slower/a", "h.io/fast/a"].map(target);
        let deadline = Instant::now() + LONG;
        tokio::spawn(async move { resolver.ask(&targets, deadline).await })
    };
    assert_eq!(ask(&resolver, "h.io/limited/a", 500).await, Presence::Unknown);
    resolver.set_client(Arc::clone(&after) as Arc<dyn Check>);
    for image in images {
        assert_eq!(resolver.known(&target(image)), None, "{image}");
    }
    assert_eq!(resolver.status(), ResolverStatus::default());
    assert_eq!(waiting.await.unwrap(), [Presence::Absent; 2]);
    assert_eq!(after.uses().checks["h.io/slower/a:latest"], 1);
    sleep(LONG).await;
    assert_eq!(resolver.status().answers, 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_known_without_a_client() {
    let page = Registry::default();
    let resolver = Resolver::new(ResolverSettings::default(), &page);
    let targets = [target("h.io/fast/a")];
    assert_eq!(resolver.known(&targets[0]), Some(Presence::Unknown));
    assert_eq!(resolver.ask(&targets, Instant::now() + LONG).await, [Presence::Unknown]);
    resolver.warm_up(targets.to_vec());
    assert_eq!(resolver.status(), ResolverStatus::default());
    assert_eq!(
        series(&page, "imageswap_target_answers_total"),
        ["imageswap_target_answers_total{source=\"no-client\"} 2"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_shutdown_waits_for_all_tasks() {
    let client = Script::new(Presence::Present);
    let resolver = resolver(ResolverSettings::default(), &client);
    resolver.warm_up((0..100).map(|number| target(&format!("h.io/never/a:{number}"))).collect());
    assert_eq!(ask(&resolver, "h.io/never/a", 500).await, Presence::Unknown);
    let waiting = {
        let resolver = Arc::clone(&resolver);
        tokio::spawn(async move { ask(&resolver, "h.io/never/b", 60_000).await })
    };
    sleep(Duration::from_millis(1)).await;
    let begin = Instant::now();
    resolver.shutdown().await;
    assert_eq!(waiting.await.unwrap(), Presence::Unknown);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    resolver.set_client(Arc::clone(&client) as Arc<dyn Check>);
    assert_eq!(resolver.known(&target("h.io/fast/a")), Some(Presence::Unknown));
    // The task of a check holds its client.
    assert_eq!(Arc::strong_count(&client), 1);
}

#[tokio::test(start_paused = true)]
async fn all_series_are_on_the_page_from_the_start() {
    let page = Registry::default();
    let resolver = Resolver::new(ResolverSettings::default(), &page);
    let rendered = page.render();
    for result in CheckResult::ALL {
        let series = format!("imageswap_target_checks_total{{result=\"{}\"}} 0", result.as_str());
        assert!(rendered.contains(&series), "{series} is not in\n{rendered}");
    }
    for source in Source::ALL {
        let series = format!("imageswap_target_answers_total{{source=\"{}\"}} 0", source.as_str());
        assert!(rendered.contains(&series), "{series} is not in\n{rendered}");
    }
    assert!(rendered.contains("imageswap_target_check_duration_seconds_count 0"));
    resolver.set_client(Script::new(Presence::Present));
    for image in ["h.io/fast/a", "h.io/slower/a", "h.io/limited/a", "h.io/fast/b", "h.io/fast/a"] {
        ask(&resolver, image, 500).await;
    }
    assert_eq!(
        series(&page, "imageswap_target_answers_total"),
        [
            "imageswap_target_answers_total{source=\"breaker\"} 1",
            "imageswap_target_answers_total{source=\"cache\"} 1",
            "imageswap_target_answers_total{source=\"registry\"} 2",
            "imageswap_target_answers_total{source=\"timeout\"} 1",
        ]
    );
    assert_eq!(
        series(&page, "imageswap_target_checks_total"),
        [
            "imageswap_target_checks_total{result=\"present\"} 1",
            "imageswap_target_checks_total{result=\"rate-limited\"} 1",
        ]
    );
    assert_eq!(
        series(&page, "imageswap_target_cache_entries"),
        ["imageswap_target_cache_entries 2"]
    );
}
