//! Tests of plans and of the answers that they are settled into.

use super::{
    super::{Facts, Shadow},
    *,
};
use crate::rules::{LoadedMap, Policy, Rule};

const REVIEW: &str = r#"{"request":{"uid":"1","kind":{"kind":"Pod"},"operation":"CREATE","object":
    {"spec":{"containers":[{"name":"a","image":"nginx:1"},{"name":"b","image":"redis:7"}]}}}}"#;

fn world(shadow: Shadow) -> World {
    let map = LoadedMap::from_text("default::d.io").unwrap();
    let settings = AdmissionSettings { shadow, ..AdmissionSettings::default() };
    World::new(Policy::Maps(Box::new(map.rules)), settings)
}

fn images(answer: &Answer<'_>) -> Vec<String> {
    let image = |operation: &PatchOperation<'_>| match operation {
        PatchOperation::Replace { image, .. } => image.to_string(),
        PatchOperation::Add { path, .. } => path.clone(),
    };
    answer.patch.iter().map(image).collect()
}

#[test]
fn an_image_that_the_registry_does_not_have_is_not_swapped() {
    let review = Review::from_slice(REVIEW.as_bytes()).unwrap();
    let world = world(Shadow::Nowhere);
    let mut plan = plan(&review, &world);
    assert_eq!(plan.questions(&review).collect::<Vec<_>>(), ["d.io/nginx:1", "d.io/redis:7"]);
    plan.fall_back(&Facts::default());
    assert_eq!(images(&plan.settle()), ["d.io/nginx:1", "d.io/redis:7"]);
    plan.fall_back(&Facts::with_absent(["d.io/nginx:1".to_owned(), "d.io/other".to_owned()]));
    assert_eq!(images(&plan.settle()), ["d.io/redis:7"]);
    assert_eq!(plan.outcome, Outcome::Swapped);
    let count = |reason| plan.images[reason as usize];
    assert_eq!(count(Reason::Default), ImageCount { left_alone: 0, swapped: 1 });
    assert_eq!(count(Reason::TargetAbsent), ImageCount { left_alone: 1, swapped: 0 });
}

#[test]
fn an_object_whose_new_images_are_all_absent_is_unchanged() {
    let review = Review::from_slice(REVIEW.as_bytes()).unwrap();
    for shadow in [Shadow::Nowhere, Shadow::Everywhere] {
        let world = world(shadow);
        let mut plan = plan(&review, &world);
        let absent: Vec<_> = plan.questions(&review).collect();
        plan.fall_back(&Facts::with_absent(absent));
        assert_eq!((plan.outcome, plan.fallbacks.len()), (Outcome::Unchanged, 2));
        assert!(plan.settle().patch.is_empty());
    }
}

#[test]
fn an_image_that_the_stored_object_has_already_is_not_asked_for() {
    let body = REVIEW.replace("CREATE", "UPDATE").replace(
        "}]}}}}",
        r#"}]}},"oldObject":{"spec":{"containers":[{"name":"a","image":"d.io/nginx:1"},{"name":"b","image":"redis:6"}]}}}}"#,
    );
    let review = Review::from_slice(body.as_bytes()).unwrap();
    let world = world(Shadow::Nowhere);
    let plan = plan(&review, &world);
    assert_eq!(plan.edits.len(), 2);
    assert_eq!(plan.questions(&review).collect::<Vec<_>>(), ["d.io/redis:7"]);
}

#[test]
fn a_registry_whose_host_comes_from_the_image_is_not_asked() {
    let body = r#"{"request":{"uid":"1","kind":{"kind":"Pod"},"operation":"CREATE","object":{"spec":{"containers":[
        {"name":"a","image":"evil.io/a:1"},{"name":"b","image":"quay.io:22/b:1"},{"name":"c","image":"quay.io/c:1"},
        {"name":"d","image":"nginx:1"}]}}}}"#;
    let review = Review::from_slice(body.as_bytes()).unwrap();
    let map = "default::mirror-\nquay.io::q.io\ndocker.io::h.io/m-\n";
    let map = LoadedMap::from_text(map).unwrap();
    let world = World::new(Policy::Maps(Box::new(map.rules)), AdmissionSettings::default());
    let plan = plan(&review, &world);
    assert_eq!(plan.edits.len(), 4);
    let expected = ["q.io/c:1", "h.io/m-docker.io/nginx:1"];
    assert_eq!(plan.questions(&review).collect::<Vec<_>>(), expected);
}

#[test]
fn shadow_mode_decides_and_changes_nothing() {
    let review = Review::from_slice(REVIEW.as_bytes()).unwrap();
    let world = world(Shadow::Everywhere);
    let plan = plan(&review, &world);
    assert_eq!((plan.outcome, plan.edits.len()), (Outcome::Shadow, 2));
    assert_eq!(plan.images[Reason::Default as usize], ImageCount { left_alone: 0, swapped: 2 });
    assert!(plan.settle().patch.is_empty());
}

#[test]
fn a_rule_counts_the_images_that_it_decides() {
    let review = Review::from_slice(REVIEW.as_bytes()).unwrap();
    let map = LoadedMap::from_text("default::d.io\nquay.io::q.io\n[EXACT]redis:7::").unwrap();
    let world = World::new(Policy::Maps(Box::new(map.rules)), AdmissionSettings::default());
    let _ = (plan(&review, &world), plan(&review, &world));
    let Policy::Maps(rules) = &*world.policy else { panic!("no map") };
    let hits = |rules: &RuleSet| rules.rules().iter().map(Rule::hits).collect::<Vec<_>>();
    assert_eq!(hits(rules), [2, 0, 2]);
    assert_eq!(hits(&rules.clone()), [0, 0, 0], "a copy counts anew");
}

#[test]
fn an_edit_names_the_line_of_its_rule() {
    let review = Review::from_slice(REVIEW.as_bytes()).unwrap();
    let world = world(Shadow::Nowhere);
    let Edit::Image { from, rule, .. } = plan(&review, &world).edits[1];
    assert_eq!((from, rule.map(|rule| rule.line)), ("redis:7", Some(1)));
}
