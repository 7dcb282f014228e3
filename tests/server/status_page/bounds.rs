//! The limits of the status page: hostile text, large maps, and many differences.

use std::fs;

use imageswap::{sources::FollowedFile, status_page::MAX_PAGE_BYTES};
use serde_json::{Value, json};
use support::{
    client::{admin_get, admin_get_json},
    volume::Volume,
    wait::eventually,
};

use super::{form, review, serve, serve_text};

/// Text that would be markup, or change the direction of text.
const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{202e}";

#[tokio::test]
async fn the_text_of_a_hostile_map_is_escaped_and_cut() {
    let long = "x".repeat(4000);
    let map = format!("default::d.io\n{HOSTILE}::{HOSTILE}\n{HOSTILE}\n{long}.io::{long}.io\n");
    let (app, _directory) = serve_text(&map).await;
    let admin = app.admin_address();
    let query: String = form(&[("image", HOSTILE), ("namespace", "\"><script>alert(2)</script>")]);
    for path in ["/", &query] {
        let page = admin_get(admin, path).await;
        assert_eq!(page.status, 200);
        for text in ["<script", "alert(1)</script>\"", "\u{202e}", &long[..500]] {
            assert!(!page.body.contains(text), "{path}: {text}");
        }
        assert!(page.body.contains("&#60;script&#62;alert(1)"), "{path}");
        let report = admin_get_json(admin, path).await.to_string();
        assert!(!report.contains('\u{202e}') && !report.contains(&long[..500]), "{path}");
    }
}

#[tokio::test]
async fn a_large_map_gives_a_bounded_page_with_the_rules_that_are_hit() {
    let mut map = (0..5_000)
        .map(|number| format!("r{number}.io::d.io/{number}\n"))
        .collect::<Vec<_>>()
        .concat();
    map.push_str("default::d.io\n");
    let (app, _directory) = serve_text(&map).await;
    review(&app, "", &["r4321.io/a", "r4321.io/b", "r1.io/a"]).await;
    let admin = app.admin_address();
    let report = admin_get_json(admin, "/").await;
    let rules = &report["rules"];
    assert_eq!(
        (&rules["total"], &rules["left_out"], &rules["without_hits"]),
        (&json!(5_001), &json!(4_501), &json!(4_999))
    );
    let keys: Vec<_> = rules["shown"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["key"].as_str().unwrap())
        .collect();
    assert_eq!((keys.len(), &keys[..4]), (500, &["r4321.io", "r1.io", "r0.io", "r2.io"][..]));
    let page = admin_get(admin, "/").await.body;
    assert!(page.contains("Not shown: 4501 more rules, none with more hits."), "{page}");
    assert!(page.len() < 200_000, "{}", page.len());
}

#[tokio::test]
async fn a_page_of_the_worst_maps_is_within_its_limit() {
    let directory = tempfile::tempdir().unwrap();
    let map = directory.path().join("maps.conf");
    let filler = "<".repeat(800);
    let rules = (0..1_000).map(|number| format!("{filler}{number}::{filler}\n"));
    let rules = rules.collect::<Vec<_>>().concat();
    fs::write(&map, format!("default::d.io\n{rules}{filler}\n")).unwrap();
    let namespaces = directory.path().join(filler[..50].replace('<', "&").repeat(4));
    fs::create_dir(&namespaces).unwrap();
    for number in 0..1_100 {
        let text = if number % 2 == 0 { "default::d.io" } else { &filler };
        fs::write(namespaces.join(format!("n{number:04}.conf")), text).unwrap();
    }
    let app = serve(&map, |settings| settings.namespace_maps = namespaces).await;
    let report = admin_get_json(app.admin_address(), "/").await;
    let found = &report["namespaces"];
    let shown = found["shown"].as_array().unwrap();
    assert_eq!((&found["maps"], &found["failing"]), (&json!(550), &json!(550)));
    assert_eq!((shown.len(), &found["left_out"]), (1_000, &json!(100)));
    assert_eq!((&shown[0]["namespace"], &shown[0]["rules"]), (&json!("n0001"), &Value::Null));
    assert!(shown[0]["last_error"].as_str().unwrap().contains("the map has no rules"));
    let page = admin_get(app.admin_address(), "/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Not shown: 100 more namespaces."));
    assert!((2_000_000..MAX_PAGE_BYTES).contains(&page.body.len()), "{}", page.body.len());
}

#[tokio::test]
async fn differences_of_the_candidate_map_are_bounded_and_begin_anew_with_it() {
    let mut volume = Volume::new();
    let (map, candidate) = (&b"default::d.io"[..], &b"default::d.io\nquay.io::q.io"[..]);
    volume.write(&[("maps.conf", map), ("candidate.conf", candidate)]);
    let path = |name: &str| volume.directory().join(name);
    let app = serve(&path("maps.conf"), |settings| {
        settings.candidate_map = FollowedFile::Named(path("candidate.conf"));
    })
    .await;
    let admin = app.admin_address();
    let candidate = async |rules: u64| {
        eventually("the candidate map", async || {
            let found = admin_get_json(admin, "/").await["candidate"].clone();
            (found["rules"] == rules).then_some(found)
        })
        .await
    };
    assert_eq!(candidate(2).await["differences"], json!([]));
    let images: Vec<_> = (0..150).map(|number| format!("quay.io/a:{number}")).collect();
    let images: Vec<_> = images.iter().map(|image| &**image).collect();
    review(&app, "", &images).await;
    review(&app, "", &images[..2]).await;
    let found = candidate(2).await;
    let differences = found["differences"].as_array().unwrap();
    assert_eq!((differences.len(), &found["others"]), (100, &json!(50)));
    let rule = format!("{}:2", path("candidate.conf").display());
    let first = json!({
        "image": "quay.io/a:0", "in_use": "d.io/a:0", "candidate": "q.io/a:0", "rule": rule, "images": 2,
    });
    assert_eq!(differences[0], first);
    let page = admin_get(admin, "/").await.body;
    assert!(page.contains("Not shown: 50 more images with other differences."), "{page}");
    volume
        .write(&[("maps.conf", map), ("candidate.conf", b"default::d.io\na.io::\nquay.io::q.io")]);
    assert_eq!(candidate(3).await["differences"], json!([]));
}
