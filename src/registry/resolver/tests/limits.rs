//! Tests of the limits.

use super::*;

#[tokio::test(start_paused = true)]
async fn checks_beyond_a_limit_are_unknown_at_once() {
    let settings = ResolverSettings {
        flights: 6,
        flights_per_registry: 4,
        checks: 3,
        checks_per_registry: 2,
        ..Default::default()
    };
    let client = Script::new(Presence::Present);
    let resolver = resolver(settings, &client);
    let images: Vec<_> =
        (0..20).map(|number| target(&format!("h{}.io/slow/a:{number}", number / 10))).collect();
    let presences = resolver.ask(&images, Instant::now() + LONG).await;
    let present = |range: std::ops::Range<usize>| {
        presences[range].iter().filter(|presence| **presence == Presence::Present).count()
    };
    // The first registry may have four flights; six fit in all.
    assert_eq!([present(0..4), present(4..10), present(10..12), present(12..20)], [4, 0, 2, 0]);
    assert_eq!(client.uses().most, [1, 2, 3]);
    assert_eq!(client.checks(), 6);
    // What was not asked for is not known, so the next review asks.
    assert_eq!(resolver.known(&images[19]), None);
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_keeps_to_the_limits_and_leaves_room() {
    let client = Script::new(Presence::Present);
    let resolver = resolver(ResolverSettings::default(), &client);
    let targets: Vec<_> =
        (0..5_000).map(|number| target(&format!("h.io/slow/a:{number}"))).collect();
    resolver.warm_up(targets.clone());
    sleep(Duration::from_millis(10)).await;
    // A review finds a permit beside the warm-up.
    assert_eq!(ask(&resolver, "h.io/slow/b", 250).await, Presence::Present);
    // A second one takes the place of the first, whose checks go on.
    resolver.warm_up(targets.clone());
    sleep(Duration::from_secs(5_000)).await;
    assert_eq!(client.checks(), 5_001);
    let [same, registry, all] = client.uses().most;
    assert!(same == 1 && registry <= 8 && all <= 8, "{same} {registry} {all}");
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_asks_only_for_what_is_not_known() {
    let client = Script::new(Presence::Present);
    let settings = ResolverSettings {
        answers: 16,
        except: vec!["mirror.io".to_owned()],
        ..Default::default()
    };
    let resolver = resolver(settings, &client);
    assert_eq!(ask(&resolver, "h.io/fast/a:1", 500).await, Presence::Present);
    let images = (0..20).map(|number| format!("h.io/fast/a:{number}"));
    let images = ["mirror.io/fast/a".to_owned()].into_iter().chain(images);
    resolver.warm_up(images.map(|image| target(&image)).collect());
    sleep(LONG).await;
    let checks = client.uses().checks;
    // Sixteen targets are taken; one is exempt, and one is known.
    assert_eq!(checks.len(), 15);
    assert!(checks.values().all(|count| *count == 1), "{checks:?}");
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_does_not_ask_a_registry_that_fails() {
    let client = Script::new(Presence::Present);
    let resolver = resolver(ResolverSettings::default(), &client);
    let images = (0..1_000).map(|number| format!("h.io/unreachable/a:{number}"));
    resolver.warm_up(images.map(|image| target(&image)).collect());
    sleep(Duration::from_secs(5)).await;
    // Five failures open the breaker; three more checks were running at that time.
    assert_eq!(client.checks(), 8);
}

#[tokio::test(start_paused = true)]
async fn answers_and_registries_are_bounded() {
    let client = Script::new(Presence::Present);
    let settings = ResolverSettings { registries: 10, ..Default::default() };
    let resolver = resolver(settings, &client);
    for block in 0..500 {
        let images = (0..100).map(|number| format!("h{number}.io/fast/a:{block}"));
        let targets: Vec<_> = images.map(|image| target(&image)).collect();
        for targets in targets.chunks(10) {
            let presences = resolver.ask(targets, Instant::now() + LONG).await;
            assert_eq!(presences, vec![Presence::Present; targets.len()]);
        }
        assert!(resolver.status().answers <= 10_000);
        assert!(resolver.status().registries.len() <= 10);
    }
    assert_eq!(client.checks(), 50_000);
    let names: Vec<_> =
        resolver.status().registries.into_iter().map(|registry| registry.registry).collect();
    let expected: Vec<_> = (90..100).map(|number| format!("h{number}.io")).collect();
    assert_eq!(names, expected, "the last ones stay");
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_being_asked_stays() {
    let client = Script::new(Presence::Present);
    let settings = ResolverSettings { registries: 2, ..Default::default() };
    let resolver = resolver(settings, &client);
    let targets = ["a.io/slow/a", "b.io/slow/a", "c.io/slow/a"].map(target);
    let presences = resolver.ask(&targets, Instant::now() + LONG).await;
    assert_eq!(presences, [Presence::Present, Presence::Present, Presence::Unknown]);
    assert_eq!(ask(&resolver, "c.io/slow/a", 500).await, Presence::Present);
    assert_eq!(resolver.status().registries.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reviews_on_many_threads_get_answers_while_clients_change() {
    let clients = [Presence::Absent, Presence::Present].map(Script::new);
    let resolver = resolver(ResolverSettings { answers: 64, ..Default::default() }, &clients[0]);
    let reviews: Vec<_> = (0..8)
        .map(|review| {
            let resolver = Arc::clone(&resolver);
            tokio::spawn(async move {
                for round in 0..200 {
                    let images =
                        (0..8).map(|n| format!("h{n}.io/fast/a:{}", (round * review + n) % 200));
                    let targets: Vec<_> = images.map(|image| target(&image)).collect();
                    let presences = resolver.ask(&targets, Instant::now() + LONG).await;
                    assert!(!presences.contains(&Presence::Unknown), "{presences:?}");
                }
            })
        })
        .collect();
    for round in 0..100 {
        resolver.set_client(Arc::clone(&clients[round % 2]) as Arc<dyn Check>);
        tokio::task::yield_now().await;
    }
    for review in reviews {
        review.await.unwrap();
    }
    resolver.shutdown().await;
    assert_eq!(clients.map(|client| Arc::strong_count(&client)), [1, 1]);
}

#[test]
fn a_question_can_wait_in_any_task() {
    fn check<T: Send + Sync>(_: &T) {}
    let resolver = Resolver::new(ResolverSettings::default(), &Registry::default());
    let deadline = Instant::now();
    check(&resolver);
    let is_send = |_: &dyn Send| ();
    is_send(&resolver.ask(&[], deadline));
}
