//! The maps of `docs/recipes.md` and `docs/coming-from-other-tools.md`, with the images below each.

use imageswap::rules::{LoadedMap, Severity};
use support::recipes::{Recipe, recipes};

#[test]
fn every_recipe_rewrites_its_images_as_the_page_says() {
    let recipes = recipes();
    assert!(recipes.len() >= 25, "{} recipes", recipes.len());
    for Recipe { title, map, images } in recipes {
        assert!(!images.is_empty(), "{title} has no images");
        let rules = LoadedMap::from_text(&map).unwrap().rules;
        for (image, result) in images {
            let decision = rules.decide(&image);
            let swapped = decision.swapped.map(|swapped| swapped.to_string());
            assert_eq!(swapped, result, "{title}: {image}");
            let once = decision.result(&image);
            assert_eq!(rules.decide(&once).result(&once), once, "{title}: a second pass");
        }
    }
}

#[test]
fn every_recipe_is_a_map_without_errors_and_warnings() {
    for Recipe { title, map, .. } in recipes() {
        let diagnostics = LoadedMap::from_text(&map).unwrap().diagnostics;
        let found = diagnostics.count(Severity::Error) + diagnostics.count(Severity::Warning);
        assert_eq!(found, 0, "{title}: {:?}", diagnostics.kept());
    }
}
