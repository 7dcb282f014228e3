//! `imageswap review` against a running webhook.

use support::{certificates::Authority, program::Program, server::await_ready};
use tokio::runtime::Runtime;

use crate::{RULES, Workspace};

/// A running webhook, whose certificate is valid for 127.0.0.1, and a directory with its root.
struct Scene {
    workspace: Workspace,
    program: Program,
}

impl Scene {
    fn start() -> Self {
        let authority = Authority::new("webhook");
        let pair = authority.server_pair(&["127.0.0.1"]);
        let workspace = Workspace::new(&[
            ("cert.pem", pair.certificate),
            ("key.pem", pair.key),
            ("maps.conf", RULES.to_owned()),
            ("root.pem", authority.pem()),
            ("other.pem", Authority::new("other").pem()),
        ]);
        let path = |name: &str| workspace.0.path().join(name).display().to_string();
        let arguments = ["--tls-mode", "files", "--tls-dir", &path(""), "--maps-file"];
        let program = Program::start(&[&arguments[..], &[&path("maps.conf")]].concat());
        // The certificate may be loaded a moment after the ports are open.
        Runtime::new().unwrap().block_on(await_ready(program.admin_address));
        Self { workspace, program }
    }

    /// Returns the exit code, the output and the errors of a review at a path.
    fn review(&self, path: &str, arguments: &[&str]) -> (i32, String, String) {
        let url = format!("https://{}{path}", self.program.address);
        let arguments = [&["review", "--url", &url][..], arguments].concat();
        let finished = self.workspace.imageswap(&arguments).run();
        (finished.code.unwrap(), finished.stdout, finished.stderr)
    }
}

#[test]
fn each_image_is_printed_as_the_webhook_rewrites_it() {
    let scene = Scene::start();
    let images = ["nginx:1.27", "keep.io/a", "e.io/x:1"];
    let trusted = ["--ca-file", "root.pem"];
    let found = scene.review("/", &[&trusted[..], &images].concat());
    assert_eq!(found, (0, "d.io/nginx:1.27\nkeep.io/a\nd.io/exact:2\n".to_owned(), String::new()));
    let json =
        scene.review("/mutate", &[&trusted[..], &["--output", "json"], &images[..2]].concat());
    let lines = "\
{\"image\":\"nginx:1.27\",\"result\":\"d.io/nginx:1.27\",\"swapped\":true}
{\"image\":\"keep.io/a\",\"result\":\"keep.io/a\",\"swapped\":false}
";
    assert_eq!(json, (0, lines.to_owned(), String::new()));
}

#[test]
fn a_webhook_that_does_not_answer_as_it_should_is_a_failure() {
    let scene = Scene::start();
    for (path, ca_file, expected) in [
        (
            "/",
            "other.pem",
            "the webhook does not answer: TLS handshake failed: invalid peer certificate",
        ),
        ("/nothing", "root.pem", "the webhook answers 404 Not Found: "),
        ("/healthz", "root.pem", "the webhook answers 405 Method Not Allowed: "),
    ] {
        let (code, output, errors) = scene.review(path, &["--ca-file", ca_file, "nginx"]);
        assert_eq!((code, &*output), (1, ""), "{errors}");
        let url = format!("https://{}{path}", scene.program.address);
        assert!(errors.starts_with(&format!("error: {url}: {expected}")), "{errors}");
    }
    let workspace = &scene.workspace;
    // The port for probes answers without TLS.
    let url = format!("https://{}/", scene.program.admin_address);
    let finished =
        workspace.imageswap(&["review", "--url", &url, "--ca-file", "root.pem", "nginx"]).run();
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("TLS handshake failed"), "{}", finished.stderr);
}

#[test]
fn arguments_that_cannot_be_used_are_reported_before_anything_is_sent() {
    let workspace = Workspace::new(&[("empty.pem", "")]);
    for (url, ca_file, images, expected) in [
        ("https://127.0.0.1:1/", "missing.pem", &["nginx"][..], "error: --ca-file: missing.pem: "),
        ("https://127.0.0.1:1/", "empty.pem", &["nginx"], "there is no PEM block of a certificate"),
        ("http://127.0.0.1:1/", "empty.pem", &["nginx"], "expected an https URL"),
        ("https://127.0.0.1:70000/", "empty.pem", &["nginx"], "expected an https URL"),
        ("https://127.0.0.1:1/", "empty.pem", &[], "<IMAGE>"),
    ] {
        let arguments = [&["review", "--url", url, "--ca-file", ca_file][..], images].concat();
        let finished = workspace.imageswap(&arguments).run();
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
}
