//! The names under which the manifests of the Python ImageSwap and kubectl start the program.

use std::os::unix::process::CommandExt;

use crate::{Finished, Workspace};

/// Runs the program by another name, with settings with which neither `serve` nor `init` can start.
fn run(name: &str, arguments: &[&str]) -> Finished {
    let workspace = Workspace::new::<&str>(&[]);
    let mut invocation = workspace
        .imageswap(arguments)
        .variable("KUBECONFIG", "missing")
        // An address of documentation, which no system has.
        .variable("IMAGESWAP_LISTEN", "192.0.2.1:0");
    invocation.0.arg0(name);
    invocation.run()
}

#[test]
fn the_init_container_of_the_original_runs_init() {
    let finished = run("/app/imageswap-init.py", &[]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    for part in [
        r#""message":"started under a name of the Python ImageSwap""#,
        r#""program":"imageswap-init.py","command":"init""#,
        "no way to reach a cluster",
    ] {
        assert!(finished.stderr.contains(part), "{part} in {}", finished.stderr);
    }
}

#[test]
fn the_webhook_of_the_original_serves_a_certificate_from_files() {
    let finished = run("gunicorn", &["imageswap:app", "--config=config.py"]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    for part in [
        r#""message":"started under a name of the Python ImageSwap""#,
        r#""program":"gunicorn","command":"serve --tls-mode files""#,
        "cannot bind 192.0.2.1:0",
    ] {
        assert!(finished.stderr.contains(part), "{part} in {}", finished.stderr);
    }
}

#[test]
fn as_a_plugin_of_kubectl_it_runs_every_command_and_help_names_the_plugin() {
    let finished = run("kubectl-imageswap", &["explain", "--help"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout.contains("Usage: kubectl imageswap explain"), "{}", finished.stdout);
}
