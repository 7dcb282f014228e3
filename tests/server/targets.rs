//! Questions to a registry about the new images of reviews, in a running server.

mod registry;

use std::{fs, net::SocketAddr, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use hyper::Method;
use imageswap::{
    app::App,
    registry::ClientSettings,
    server::Limits,
    settings::{RegistrySettings, RuleSource, ServeSettings, VerifySettings},
    sources::FollowedFile,
};
use serde_json::{Value, json};
use support::{
    body::Pieces,
    client::{Client, admin_get, first_image},
    program::Program,
    server::{await_ready, metric, settings},
    tls::Protocol,
    wait::eventually,
};
use tokio::time::Instant;

use self::registry::Registry;

/// The server, with the registry as the target of all images.
struct Setup {
    registry: Registry,
    program: Program,
    directory: tempfile::TempDir,
}

impl Setup {
    /// Starts the server with more arguments, and a map in which `REGISTRY` stands for the address of the registry.
    async fn start(map: &str, arguments: &[&str]) -> Self {
        Self::with_config("{}", map, arguments).await
    }

    /// Starts the server with the registry as the target of all images. A review waits for `timeout` at most.
    async fn waiting_for(timeout: &str) -> Self {
        let timeout = format!("--verify-timeout={timeout}");
        Self::start("default::REGISTRY", &["--verify-target=fallback", &timeout]).await
    }

    /// Does the same as `start` with this content of the file with credentials.
    async fn with_config(credentials: &str, map: &str, arguments: &[&str]) -> Self {
        let registry = Registry::start().await;
        let directory = tempfile::tempdir().unwrap();
        let address = registry.address.to_string();
        let file = directory.path().join("map.conf");
        fs::write(&file, map.replace("REGISTRY", &address)).unwrap();
        let config = directory.path().join("config.json");
        fs::write(&config, credentials).unwrap();
        let mut all = vec![
            "--tls-mode=self-signed",
            "--maps",
            file.to_str().unwrap(),
            "--registry-config",
            config.to_str().unwrap(),
            "--registry-plain-http",
            &address,
        ];
        all.extend(arguments);
        let program = Program::start(&all);
        await_ready(program.admin_address).await;
        Self { registry, program, directory }
    }

    /// Returns the image after a review of it.
    async fn swapped(&self, image: &str) -> String {
        self.answer("/?timeout=10s", image).await.0
    }

    /// Returns the image after a review, the response, and the time that it took.
    async fn answer(&self, url: &str, image: &str) -> (String, Value, Duration) {
        let mut client = Client::connect(self.program.address, Protocol::Http2).await.unwrap();
        let begun = Instant::now();
        let body: Pieces = review(image).into();
        let answer = client.send(Method::POST, url, Some("application/json"), body).await.unwrap();
        let elapsed = begun.elapsed();
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut body: Value = serde_json::from_str(&answer.body).unwrap();
        let response = body["response"].take();
        assert_eq!(response["allowed"], true);
        let Some(patch) = response["patch"].as_str() else {
            return (image.to_owned(), response, elapsed);
        };
        let patch: Value = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
        (patch[0]["value"].as_str().unwrap().to_owned(), response, elapsed)
    }

    /// Returns the new image of `image`.
    fn target(&self, image: &str) -> String {
        format!("{}/{image}", self.registry.address)
    }

    fn admin(&self) -> SocketAddr {
        self.program.admin_address
    }
}

fn review(image: &str) -> String {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "namespace": "shop",
            "operation": "CREATE",
            "object": { "spec": { "containers": [{ "name": "web", "image": image }] } },
        },
    })
    .to_string()
}

#[tokio::test]
async fn an_image_that_the_registry_does_not_have_keeps_its_original() {
    let setup = Setup::waiting_for("15s").await;
    assert_eq!(setup.swapped("present/a:1").await, setup.target("present/a:1"));
    assert_eq!(setup.swapped("broken/a:1").await, setup.target("broken/a:1"));
    let (image, response, _) = setup.answer("/?timeout=30s", "absent/a:1").await;
    assert_eq!(image, "absent/a:1");
    let kept =
        format!("web: absent/a:1 kept, the registry does not have {}", setup.target("absent/a:1"));
    let audit = response["auditAnnotations"].as_object().unwrap().values().next().unwrap();
    assert!(audit.as_str().unwrap().starts_with(&kept), "{audit}");
    assert!(response["warnings"][0].as_str().unwrap().contains(&kept), "{response}");
    for (labels, count) in [
        ("imageswap_target_checks_total{result=\"present\"}", 1.0),
        ("imageswap_target_checks_total{result=\"absent\"}", 1.0),
        ("imageswap_target_checks_total{result=\"server-error\"}", 1.0),
        (
            "imageswap_images_total{mode=\"enforce\",reason=\"target-absent\",swapped=\"false\"}",
            1.0,
        ),
        ("imageswap_images_total{mode=\"enforce\",reason=\"default\",swapped=\"true\"}", 2.0),
    ] {
        assert_eq!(metric(setup.admin(), labels).await, Some(count), "{labels}");
    }
}

#[tokio::test]
async fn a_known_answer_is_not_asked_for_again() {
    let setup = Setup::waiting_for("15s").await;
    for _ in 0..3 {
        assert_eq!(setup.swapped("present/a:1").await, setup.target("present/a:1"));
    }
    let answers = join_all((0..20).map(|_| setup.swapped("present/b:1"))).await;
    assert!(answers.iter().all(|image| *image == setup.target("present/b:1")));
    let paths = setup.registry.paths();
    assert_eq!(paths, ["/v2/present/a/manifests/1", "/v2/present/b/manifests/1"]);
}

#[tokio::test]
async fn a_registry_that_does_not_answer_delays_a_review_until_its_deadline_at_most() {
    let setup = Setup::waiting_for("300ms").await;
    let (image, _, elapsed) = setup.answer("/?timeout=10s", "silent/a:1").await;
    assert_eq!(image, setup.target("silent/a:1"));
    assert!(elapsed >= Duration::from_millis(300), "{elapsed:?}");
    // The check itself goes on for longer than this.
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
    assert_eq!(setup.registry.paths().len(), 1);
}

#[tokio::test]
async fn a_review_waits_for_half_of_the_timeout_of_the_api_server_at_most() {
    let setup = Setup::waiting_for("15s").await;
    let (image, _, elapsed) = setup.answer("/?timeout=1s", "silent/a:1").await;
    assert_eq!(image, setup.target("silent/a:1"));
    assert!(elapsed >= Duration::from_millis(500), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
}

#[tokio::test]
async fn no_image_makes_a_request_to_a_host_that_the_map_does_not_name() {
    let setup = Setup::start(
        "default::mirror-\nquay.io::127.0.0.1\nghcr.io::REGISTRY\n[EXACT]nginx:1::REGISTRY/exact:1\n",
        &["--verify-target=fallback", "--verify-timeout=1s"],
    )
    .await;
    let address = setup.registry.address;
    let port = address.port();
    for image in [
        // The host of the new image is made of that of the old one, or its port is.
        &*format!("{address}/absent/a:1"),
        &format!("quay.io:{port}/absent/b:1"),
        // They are no references.
        "ghcr.io/../absent/c:1",
        "ghcr.io/absent/d?e=f:1",
        "ghcr.io/absent/e%2f..:1",
        "ghcr.io//absent/f:1",
        "ghcr.io/absent/g:1#h",
        // A registry may take these for faults of its own.
        &format!("ghcr.io/absent/h@foo:{}", "a".repeat(64)),
        &format!("ghcr.io/absent/i@sha256:{}", "A".repeat(64)),
    ] {
        setup.swapped(image).await;
    }
    assert!(setup.registry.paths().is_empty(), "{:?}", setup.registry.paths());
    assert_eq!(setup.swapped("ghcr.io/absent/h:1").await, "ghcr.io/absent/h:1");
    assert_eq!(setup.swapped("nginx:1").await, format!("{address}/exact:1"));
    assert!(!setup.registry.paths().is_empty());
}

#[tokio::test]
async fn an_exempt_registry_is_not_asked() {
    let registry = Registry::start().await;
    let address = registry.address.to_string();
    let directory = tempfile::tempdir().unwrap();
    let map = directory.path().join("map.conf");
    fs::write(&map, format!("default::{address}")).unwrap();
    let program = Program::start(&[
        "--tls-mode=self-signed",
        "--maps",
        map.to_str().unwrap(),
        "--verify-target=fallback",
        "--verify-except",
        &format!("other.io,{address}"),
        "--registry-plain-http",
        &address,
    ]);
    await_ready(program.admin_address).await;
    let setup = Setup { registry, program, directory };
    assert_eq!(setup.swapped("absent/a:1").await, setup.target("absent/a:1"));
    assert!(setup.registry.paths().is_empty());
}

#[tokio::test]
async fn without_the_setting_no_part_of_it_exists() {
    let setup = Setup::start("default::REGISTRY", &[]).await;
    assert_eq!(setup.swapped("absent/a:1").await, setup.target("absent/a:1"));
    let page = admin_get(setup.admin(), "/metrics").await.body;
    assert!(!page.contains("imageswap_target_") && !page.contains("imageswap_registry_"), "{page}");
    assert!(!setup.program.logged("target verification enabled"));
    assert!(setup.registry.paths().is_empty());
}

#[tokio::test]
async fn new_credentials_apply_without_a_restart() {
    let setup = Setup::waiting_for("15s").await;
    let private = setup.target("private/absent:1");
    assert_eq!(setup.swapped("private/absent:1").await, private, "refused, so unknown");
    let auth = STANDARD.encode(format!("user:{}", registry::PASSWORD));
    let config = json!({ "auths": { setup.registry.address.to_string(): { "auth": auth } } });
    fs::write(setup.directory.path().join("config.json"), config.to_string()).unwrap();
    eventually("the new credentials", async || {
        (setup.swapped("private/absent:1").await == "private/absent:1").then_some(())
    })
    .await;
    assert!(setup.registry.refusals() > 0);
    for page in ["/", "/metrics"] {
        let page = admin_get(setup.admin(), page).await.body;
        assert!(!page.contains(registry::PASSWORD) && !page.contains(&auth));
    }
    let log = format!("{:?}", setup.program.lines());
    assert!(!log.contains(registry::PASSWORD) && !log.contains(&auth), "{log}");
}

#[tokio::test]
async fn a_new_map_asks_for_the_images_of_recent_reviews_in_advance() {
    let setup = Setup::waiting_for("15s").await;
    assert_eq!(setup.swapped("present/a:1").await, setup.target("present/a:1"));
    let map = format!("default::{}/other\n", setup.registry.address);
    fs::write(setup.directory.path().join("map.conf"), map).unwrap();
    eventually("the question for the new image", async || {
        let paths = setup.registry.paths();
        paths.contains(&"/v2/other/present/a/manifests/1".to_owned()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_usable_credentials_no_registry_is_asked() {
    let arguments = ["--verify-target=fallback", "--verify-timeout=15s"];
    let setup = Setup::with_config("{\"auths\": broken", "default::REGISTRY", &arguments).await;
    assert_eq!(setup.swapped("absent/a:1").await, setup.target("absent/a:1"));
    assert!(setup.registry.paths().is_empty());
    fs::write(setup.directory.path().join("config.json"), "{}").unwrap();
    eventually("the usable file", async || {
        (setup.swapped("absent/a:1").await == "absent/a:1").then_some(())
    })
    .await;
}

#[tokio::test]
async fn new_credentials_ask_for_the_images_of_recent_reviews_in_advance() {
    let setup = Setup::waiting_for("15s").await;
    assert_eq!(setup.swapped("present/a:1").await, setup.target("present/a:1"));
    fs::write(setup.directory.path().join("config.json"), "{\"auths\": {}}").unwrap();
    let path = "/v2/present/a/manifests/1";
    eventually("the question in advance", async || {
        (setup.registry.paths() == [path, path]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_image_that_is_deleted_is_kept_as_present_for_a_while() {
    let setup = Setup::waiting_for("15s").await;
    assert_eq!(setup.swapped("present/a:1").await, setup.target("present/a:1"));
    setup.registry.delete_all();
    assert_eq!(setup.swapped("present/a:1").await, setup.target("present/a:1"));
    assert_eq!(setup.swapped("present/b:1").await, "present/b:1");
}

#[tokio::test]
async fn a_registry_that_goes_and_comes_back_refuses_no_review() {
    let mut setup = Setup::waiting_for("5s").await;
    assert_eq!(setup.swapped("absent/a:1").await, "absent/a:1");
    setup.registry.stop().await;
    for number in 0..20 {
        let image = format!("absent/b:{number}");
        assert_eq!(setup.swapped(&image).await, setup.target(&image), "unknown");
    }
    let open = metric(setup.admin(), "imageswap_registry_breakers_open").await;
    assert_eq!(open, Some(1.0));
    setup.registry.restart().await;
    let mut number = 0;
    // The breaker opens for ten seconds.
    eventually("the first answer", async || {
        number += 1;
        let image = format!("absent/c:{number}");
        (setup.swapped(&image).await == image).then_some(())
    })
    .await;
    assert_eq!(metric(setup.admin(), "imageswap_registry_breakers_open").await, Some(0.0));
}

#[tokio::test]
async fn an_update_keeps_an_image_that_is_stored_whatever_the_registry_has() {
    let setup = Setup::waiting_for("15s").await;
    let stored = setup.target("absent/a:1");
    let mut review: Value = serde_json::from_str(&review("absent/a:1")).unwrap();
    review["request"]["operation"] = "UPDATE".into();
    review["request"]["oldObject"] = review["request"]["object"].clone();
    review["request"]["oldObject"]["spec"]["containers"][0]["image"] = stored.clone().into();
    let mut client = Client::connect(setup.program.address, Protocol::Http1).await.unwrap();
    let answer = client.post(review.to_string()).await.unwrap();
    assert_eq!(first_image(&answer), stored);
    assert!(setup.registry.paths().is_empty());
}

#[tokio::test]
async fn images_for_which_a_registry_fails_do_not_affect_others() {
    let setup = Setup::waiting_for("15s").await;
    for number in 0..20 {
        let image = format!("broken/a:{number}");
        assert_eq!(setup.swapped(&image).await, setup.target(&image));
    }
    assert_eq!(setup.swapped("absent/a:1").await, "absent/a:1");
}

#[tokio::test]
async fn large_reviews_wait_only_within_the_budget_and_none_is_refused() {
    let registry = Registry::start().await;
    let address = registry.address.to_string();
    let map = tempfile::tempdir().unwrap();
    let file = map.path().join("map.conf");
    fs::write(&file, format!("default::{address}")).unwrap();
    let nowhere = || FollowedFile::Default("/nonexistent/file".into());
    let client =
        ClientSettings { plain_http: vec![address.parse().unwrap()], allowed_hosts: Vec::new() };
    let registries =
        RegistrySettings { config: nowhere(), ca: nowhere(), except: Vec::new(), client };
    let verify = VerifySettings { timeout: Duration::from_secs(5), registry: registries };
    // Nine of these fit into the budget.
    let padding = "x".repeat(100_000);
    let limits = Limits { max_asking_bytes: 1_100_000, ..Limits::default() };
    let settings = settings(RuleSource::MapFile(file));
    let app = App::start(ServeSettings { verify: Some(verify), limits, ..settings }).await.unwrap();
    await_ready(app.admin_address()).await;
    let answers = (0..10).map(async |number| {
        let image = format!("silent/a:{number}");
        let mut review: Value = serde_json::from_str(&review(&image)).unwrap();
        review["request"]["object"]["padding"] = (*padding).into();
        let mut client = Client::connect(app.address(), Protocol::Http2).await.unwrap();
        let begun = Instant::now();
        let answer = client.post(review.to_string()).await.unwrap();
        assert_eq!(first_image(&answer), format!("{address}/{image}"));
        begun.elapsed()
    });
    let mut times = join_all(answers).await;
    times.sort_unstable();
    assert!(times[0] < Duration::from_secs(5), "the last one does not wait: {times:?}");
    assert!(times[1] >= Duration::from_secs(5), "nine wait: {times:?}");
}
