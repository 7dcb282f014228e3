//! The comparison of the map in use with a candidate map.

use std::sync::Arc;

use imageswap::{
    admission::{Edit, Review, World, plan},
    rules::{LegacyPrefix, LoadedMap, NamespaceMaps, Policy},
};

use serde_json::Value;

use crate::{MAP, edited, fixture, shapes::POD, world};

/// Decides like [`MAP`], but for images of `quay.io` and of `ghcr.io/acme`.
const CANDIDATE: &str = "\
default::d.io
docker.io::hub.corp/mirror-
quay.io::other.corp
ghcr.io/acme::
";

fn with_candidate(candidate: &str) -> World {
    let candidate = LoadedMap::from_text(candidate).unwrap().rules;
    World { candidate: Arc::new(Some(candidate)), ..world(MAP) }
}

#[test]
fn each_image_is_decided_by_both_maps_and_the_map_in_use_answers() {
    let body = fixture(POD).to_string();
    let review = Review::from_slice(body.as_bytes()).unwrap();
    let world = with_candidate(CANDIDATE);
    let compared = plan(&review, &world);
    assert_eq!(compared.comparison.same, 2);
    let differences = compared.comparison.differences.iter().map(|it| {
        let shown = |image: Option<_>| {
            image.map_or_else(
                || it.from.to_owned(),
                |new: imageswap::rules::SwappedImage<'_>| new.to_string(),
            )
        };
        [it.from.to_owned(), shown(it.to), shown(it.candidate)]
    });
    let differences: Vec<_> = differences.collect();
    let expected = [
        [
            "quay.io/prometheus/node-exporter:v1.8.2",
            "quay.corp/prometheus/node-exporter:v1.8.2",
            "other.corp/prometheus/node-exporter:v1.8.2",
        ],
        ["ghcr.io/acme/model:v3", "h.io/acme/model:v3", "ghcr.io/acme/model:v3"],
    ];
    assert_eq!(differences, expected);
    let lines = compared.comparison.differences.iter().map(|it| it.rule.map(|rule| rule.line));
    assert_eq!(lines.collect::<Vec<_>>(), [Some(3), Some(4)]);
    let alone = self::world(MAP);
    let alone = plan(&review, &alone);
    assert_eq!((alone.comparison.same, alone.comparison.differences.len()), (0, 0));
    assert_eq!(compared.settle().to_json(&review), alone.settle().to_json(&review));
}

#[test]
fn an_image_that_is_already_swapped_is_not_compared() {
    let body = fixture(POD).to_string();
    let review = Review::from_slice(body.as_bytes()).unwrap();
    let world = with_candidate("default::elsewhere.io");
    let first = plan(&review, &world);
    assert_eq!(first.comparison.differences.len(), 4);
    let swapped: Vec<_> = first
        .edits
        .iter()
        .map(|Edit::Image { at, to, .. }| (format!("/request/object{at}"), to.to_string().into()))
        .collect();
    let edits: Vec<_> = swapped.iter().map(|(at, to): &(_, Value)| (&**at, to.clone())).collect();
    let again = edited(POD, &edits).to_string();
    let again = Review::from_slice(again.as_bytes()).unwrap();
    let comparison = plan(&again, &world).comparison;
    assert_eq!((comparison.same, comparison.differences.len()), (0, 0));
}

#[test]
fn legacy_mode_is_compared_too() {
    let body = fixture(POD).to_string();
    let review = Review::from_slice(body.as_bytes()).unwrap();
    let prefix = LegacyPrefix::new("hub.corp/mirror");
    let world = World { policy: Arc::new(Policy::Legacy(prefix)), ..with_candidate(CANDIDATE) };
    let comparison = plan(&review, &world).comparison;
    assert_eq!((comparison.same, comparison.differences.len()), (0, 4));
    let same = with_candidate("default::\n[REPLACE]*::hub.corp/mirror\n");
    let world = World { policy: world.policy, ..same };
    assert_eq!(plan(&review, &world).comparison.same, 4);
}

#[test]
fn images_that_no_map_decides_are_not_compared() {
    let never = [("/request/object/spec/containers/1/imagePullPolicy", "Never".into())];
    let body = edited(POD, &never).to_string();
    let review = Review::from_slice(body.as_bytes()).unwrap();
    let world = with_candidate(CANDIDATE);
    let comparison = plan(&review, &world).comparison;
    assert_eq!((comparison.same, comparison.differences.len()), (2, 1));
}

#[test]
fn the_map_of_the_namespace_is_asked_first_by_both() {
    let body = fixture(POD).to_string();
    let review = Review::from_slice(body.as_bytes()).unwrap();
    let own = LoadedMap::from_text("quay.io::team.io\nghcr.io::team.io").unwrap();
    let namespace = review.request().namespace();
    let namespaces: NamespaceMaps = std::iter::once((namespace.into(), Arc::new(own))).collect();
    let world = World { namespaces: Arc::new(namespaces), ..with_candidate(CANDIDATE) };
    let comparison = plan(&review, &world).comparison;
    assert_eq!((comparison.same, comparison.differences.len()), (4, 0));
}
