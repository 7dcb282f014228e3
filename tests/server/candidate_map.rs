//! A candidate map in a running server.

use std::fs;

use support::{
    client::{Client, first_image},
    program::Program,
    reviews::fixture,
    server::{await_ready, metric},
    tls::Protocol,
    wait::eventually,
};

#[tokio::test]
async fn differences_from_the_candidate_map_are_counted_and_logged() {
    let directory = tempfile::tempdir().unwrap();
    let [map, candidate] = ["map", "candidate"].map(|name| directory.path().join(name));
    fs::write(&map, "default::d.io").unwrap();
    fs::write(&candidate, "default::d.io\ndocker.io::other.io").unwrap();
    let program = Program::start(&[
        "--tls-mode=self-signed",
        "--maps",
        map.to_str().unwrap(),
        "--candidate-maps",
        candidate.to_str().unwrap(),
        "--log-level=DEBUG",
    ]);
    await_ready(program.admin_address).await;
    let count = async |result: &str| {
        let series = format!("imageswap_candidate_images_total{{result=\"{result}\"}}");
        metric(program.admin_address, &series).await.unwrap()
    };
    let review = async || {
        let mut client = Client::connect(program.address, Protocol::Http1).await.unwrap();
        first_image(&client.post(fixture("00-create-pod")).await.unwrap())
    };
    eventually("a difference", async || {
        assert_eq!(review().await, "d.io/library/busybox:1.36");
        (count("differs").await >= 2.0 && count("same").await >= 2.0).then_some(())
    })
    .await;
    eventually("the log of a difference", async || {
        let is_found = |line: &serde_json::Value| {
            line["message"] == "candidate map differs"
                && line["from"] == "nginx:1.27"
                && line["to"] == "d.io/nginx:1.27"
                && line["candidate"] == "other.io/nginx:1.27"
        };
        program.lines().iter().any(is_found).then_some(())
    })
    .await;
}
