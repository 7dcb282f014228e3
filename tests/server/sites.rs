//! Sites of custom resources in a running server.

use std::fs;

use serde_json::json;
use support::{
    client::{Client, first_image},
    program::Program,
    server::{await_ready, metric},
    tls::Protocol,
    wait::eventually,
};

#[tokio::test]
async fn a_file_adds_sites_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let [map, sites] = ["map", "sites"].map(|name| directory.path().join(name));
    fs::write(&map, "default::d.io").unwrap();
    let program = Program::start(&[
        "--tls-mode=self-signed",
        "--maps",
        map.to_str().unwrap(),
        "--sites",
        sites.to_str().unwrap(),
    ]);
    await_ready(program.admin_address).await;
    let answer = async |group: &str, kind: &str, spec: &str| {
        let request = json!({
            "uid": "1",
            "kind": { "group": group, "version": "v1", "kind": kind },
            "namespace": "shop",
            "operation": "CREATE",
            "object": { "spec": { spec: "nginx:1" } },
        });
        let review = json!({ "apiVersion": "admission.k8s.io/v1", "request": request });
        let mut client = Client::connect(program.address, Protocol::Http1).await.unwrap();
        let answer = client.post(review.to_string()).await.unwrap();
        answer.body.contains("\"patch\"").then(|| first_image(&answer))
    };
    assert_eq!(
        answer("postgresql.cnpg.io", "Cluster", "imageName").await.as_deref(),
        Some("d.io/nginx:1"),
        "a built-in site, although the file does not exist"
    );
    assert_eq!(answer("example.com", "Widget", "image").await, None);
    fs::write(&sites, "example.com/Widget /spec/image\nmistake\n").unwrap();
    eventually("the new site", async || {
        (answer("example.com", "Widget", "image").await.as_deref() == Some("d.io/nginx:1"))
            .then_some(())
    })
    .await;
    assert_eq!(
        metric(program.admin_address, "imageswap_sites{state=\"invalid\"}").await,
        Some(1.0)
    );
    fs::write(&sites, "example.com/Other /spec/image\n").unwrap();
    eventually("the site is gone", async || {
        answer("example.com", "Widget", "image").await.is_none().then_some(())
    })
    .await;
}
