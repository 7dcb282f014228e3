//! The environment of the program: its proxies, and the root certificates of the system.
//!
//! A process cannot change its own environment safely, so this program runs one of its tests in a second process.

use std::{
    env,
    io::Write as _,
    path::Path,
    process::{Command, Output},
};

use imageswap::registry::{CheckResult, Client, ClientSettings, Credentials};
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

use crate::{
    fixture::{Pki, expect},
    proxies::proxy,
    scripted::{Server, answer},
};

/// Environment variable with the image that the second process checks.
const IMAGE: &str = "IMAGESWAP_TEST_IMAGE";

#[tokio::test]
async fn proxies_and_roots_come_from_the_environment() {
    let pki = Pki::new();
    let server = Server::start(&pki, |_| answer(200, &[], "")).await;
    let (proxy, seen) = proxy(server.address, "200 OK").await;
    let mut roots = NamedTempFile::new().unwrap();
    roots.write_all(pki.authority.pem().as_bytes()).unwrap();
    let url = format!("http://{}", proxy.address);
    let localhost = format!("{}/a:1", server.registry());
    for (case, image, variables, proxied) in [
        ("through HTTPS_PROXY", "registry.test/a:1", vec![("HTTPS_PROXY", url.clone())], 1),
        ("through https_proxy", "registry.test/a:1", vec![("https_proxy", url.clone())], 1),
        ("through ALL_PROXY", "registry.test/a:1", vec![("ALL_PROXY", url.clone())], 1),
        (
            "past HTTPS_PROXY by NO_PROXY",
            &localhost,
            vec![("HTTPS_PROXY", url.clone()), ("NO_PROXY", "localhost".to_owned())],
            0,
        ),
        ("without a proxy", &localhost, vec![], 0),
    ] {
        let output = second_process(image.to_owned(), roots.path(), variables).await;
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{case}: {text}");
        assert!(text.contains("1 passed"), "{case}: {text}");
        assert_eq!(seen.lock().unwrap().drain(..).count(), proxied, "{case}");
    }
    assert_eq!(server.seen().len(), 5);
}

/// Runs the test below in a process with these variables, and no others.
async fn second_process(
    image: String,
    roots: &Path,
    variables: Vec<(&'static str, String)>,
) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "environment::the_image_of_the_environment_is_present"]);
    command.env_clear().env(IMAGE, image).env("SSL_CERT_FILE", roots).envs(variables);
    spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Does nothing without the variable, which only the test above sets.
#[tokio::test]
async fn the_image_of_the_environment_is_present() {
    let Ok(image) = env::var(IMAGE) else { return };
    let client = Client::new(&ClientSettings::default(), Credentials::default(), None).unwrap();
    expect("by the environment", &client, &image, (CheckResult::Present, "")).await;
}
