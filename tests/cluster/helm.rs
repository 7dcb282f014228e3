//! The Helm chart on a control plane: what Helm renders is valid there. `tests/node` runs it.

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::{
    Cluster,
    install::{NAMESPACE, repository},
};

/// Environment variable with the path of Helm.
const HELM: &str = "IMAGESWAP_HELM";

const CHART: &str = "deploy/helm/imageswap";

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/imageswap-system/deployments/imageswap";

/// Applies what Helm renders for the value sets of `tests/helm`.
pub(crate) fn value_sets(cluster: &Cluster) {
    let Some(helm) = program() else { return };
    // A configuration that a webhook has left would have another manager.
    cluster.clear_state();
    let file = cluster.control_plane.file("rendering.yaml");
    for values in fs::read_dir(repository("tests/helm/values")).unwrap() {
        let values = values.unwrap().path();
        let text = fs::read_to_string(&values).unwrap();
        let values = values.into_os_string().into_string().unwrap();
        let base = text.lines().find_map(|line| line.strip_prefix("# with: ")).map(repository);
        let base = base.map(|base| base.into_os_string().into_string().unwrap());
        let base = base.iter().flat_map(|base| ["--values", base]);
        // There is no definition of the PodMonitor.
        let own = ["--values", &values, "--set", "podMonitor.enabled=false"];
        let options: Vec<_> = base.chain(own).collect();
        let rendered = run(cluster, &helm, "template", &options);
        assert!(rendered.status.success(), "{values}: {rendered:?}");
        fs::write(&file, rendered.stdout).unwrap();
        // The tests have changed some of the installed objects.
        let apply = ["--dry-run=server", "--force-conflicts", "--filename"];
        cluster.control_plane.apply(&[&apply[..], &[file.to_str().unwrap()]].concat());
    }
}

/// Installs over the objects that kubectl has applied.
pub(crate) fn take_over(cluster: &Cluster) {
    let Some(helm) = program() else { return };
    let before = cluster.api.get(DEPLOYMENT).unwrap();
    let refused = run(cluster, &helm, "install", &[]);
    assert!(!refused.status.success(), "{refused:?}");
    let installed = run(cluster, &helm, "install", &["--take-ownership", "--force-conflicts"]);
    assert!(installed.status.success(), "{installed:?}");
    let after = cluster.api.get(DEPLOYMENT).unwrap();
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(after["spec"]["template"], before["spec"]["template"]);
    assert_eq!(after["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
}

/// Installs a chart with the plugin that rewrites its images, and upgrades it.
pub(crate) fn post_renderer(cluster: &Cluster) {
    let Some(helm) = program() else { return };
    let map = cluster.control_plane.file("post-renderer.conf");
    let image = || {
        let deployment = cluster.api.get("/apis/apps/v1/namespaces/default/deployments/shop-web");
        let containers = &deployment.unwrap()["spec"]["template"]["spec"]["containers"];
        [0, 1].map(|number| containers[number]["image"].as_str().unwrap().to_owned())
    };
    let command = |arguments: &[&str]| {
        let output = isolated(cluster, &helm)
            .env("PATH", Path::new(env!("CARGO_BIN_EXE_imageswap")).parent().unwrap())
            .env("IMAGESWAP_MAPS_FILE", &map)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    };
    let (plugin, chart) = (repository("deploy/helm-plugin"), repository("tests/helm/shop"));
    let [plugin, chart] = [&plugin, &chart].map(|path| path.to_str().unwrap());
    command(&["plugin", "install", plugin]);
    let release = ["shop", chart, "--namespace", "default", "--post-renderer", "imageswap"];
    for (command_name, target) in [("install", "d.io"), ("upgrade", "e.io")] {
        fs::write(&map, format!("default::{target}\nleft.io::\n")).unwrap();
        command(&[&[command_name], &release[..]].concat());
        assert_eq!(image(), [&*format!("{target}/nginx:1.27"), "left.io/metrics:1"]);
    }
    command(&["uninstall", "shop", "--namespace", "default"]);
}

/// Returns the path of Helm. Prints that the step is skipped if there is none.
fn program() -> Option<OsString> {
    let helm = std::env::var_os(HELM);
    if helm.is_none() {
        eprintln!("      SKIPPED: {HELM} is not set; run .ci/cluster, which builds Helm");
    }
    helm
}

/// Returns Helm as the administrator, with directories of its own.
fn isolated(cluster: &Cluster, helm: &OsString) -> Command {
    let mut command = Command::new(helm);
    command
        .env_clear()
        .env("HOME", cluster.control_plane.file("helm"))
        .env("KUBECONFIG", cluster.control_plane.file("token.kubeconfig"));
    command
}

/// Runs a command of Helm for the release.
fn run(cluster: &Cluster, helm: &OsString, command: &str, options: &[&str]) -> Output {
    isolated(cluster, helm)
        .args([command, "imageswap"])
        .arg(repository(CHART))
        .args(["--namespace", NAMESPACE])
        .args(options)
        .output()
        .unwrap()
}
