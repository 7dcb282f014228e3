//! `imageswap rewrite` as a post-renderer of the real Helm, and as a function of the real kustomize.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{HELM, output, program, read, repository, yaml};

/// Environment variable with the path of kustomize.
const KUSTOMIZE: &str = "IMAGESWAP_KUSTOMIZE";

const PLUGIN: &str = "deploy/helm-plugin";

const MAP: &str = "default::d.io\nleft.io::\n";

/// Returns the program in a directory that is the first of the path.
fn on_path(program: impl AsRef<Path>) -> Command {
    let imageswap = Path::new(env!("CARGO_BIN_EXE_imageswap")).parent().unwrap();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = [PathBuf::from(imageswap)].into_iter().chain(env::split_paths(&path));
    let mut command = Command::new(program.as_ref());
    command.env("PATH", env::join_paths(path).unwrap());
    command
}

#[test]
fn the_version_of_the_plugin_is_that_of_the_program() {
    let plugin = yaml(&read(&repository(PLUGIN).join("plugin.yaml")));
    assert_eq!(plugin["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_plugin_rewrites_the_images_of_a_chart_and_of_its_hooks() {
    let Some(helm) = program(HELM) else { return };
    let directory = TempDir::new().unwrap();
    let map = directory.path().join("maps.conf");
    fs::write(&map, MAP).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = on_path(&helm);
        // Helm reads and writes nothing of the caller.
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, directory.path());
        }
        output(command.args(arguments))
    };
    let plugin = repository(PLUGIN);
    run(&["plugin", "install", plugin.to_str().unwrap()]).unwrap();
    let chart = repository("tests/helm/shop");
    let template = ["template", "a", chart.to_str().unwrap()];
    let plain = run(&template).unwrap();
    let arguments = ["--maps", map.to_str().unwrap()];
    let arguments = arguments.iter().flat_map(|argument| ["--post-renderer-args", argument]);
    let arguments: Vec<_> =
        template.into_iter().chain(["--post-renderer", "imageswap"]).chain(arguments).collect();
    let rewritten = run(&arguments).unwrap();
    assert!(plain.contains("image: \"nginx:1.27\"") && plain.contains("image: busybox:1.37"));
    for image in ["\"d.io/nginx:1.27\" # the front end", "d.io/busybox:1.37", "left.io/metrics:1"] {
        assert!(rewritten.contains(image), "{image} in {rewritten}");
    }
    fs::write(&map, "").unwrap();
    let refused = run(&arguments).unwrap_err();
    assert!(refused.contains("post-renderer plugin \"imageswap\""), "{refused}");
}

#[test]
fn the_function_rewrites_the_images_of_a_kustomization() {
    let Some(kustomize) = program(KUSTOMIZE) else { return };
    let directory = TempDir::new().unwrap();
    // The example of the guide.
    let guide = read(&repository("docs/rewrite.md"));
    let (_, guide) = guide.split_once("## Kustomize").unwrap();
    for name in ["kustomization.yaml", "imageswap.yaml"] {
        let (_, example) = guide.split_once(&format!("# {name}\n")).unwrap();
        let (example, _) = example.split_once("```").unwrap();
        fs::write(directory.path().join(name), example).unwrap();
    }
    let pod = |images: [&str; 2]| {
        let [one, two] = images;
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: shop\nspec:\n  containers:\n  - image: {one} # the front end\n    name: a\n  - image: {two}\n    name: b\n"
        )
    };
    fs::write(directory.path().join("shop.yaml"), pod(["nginx", "quay.io/a/b"])).unwrap();
    let build = || {
        let mut command = on_path(&kustomize);
        let options = ["--enable-alpha-plugins", "--enable-exec"];
        output(command.arg("build").args(options).arg(directory.path()))
    };
    let expected = pod(["registry.example.com/nginx", "quay.io/a/b"]);
    assert_eq!(yaml(&build().unwrap()), yaml(&expected));
    fs::write(directory.path().join("shop.yaml"), pod(["nginx", "*x"])).unwrap();
    assert!(build().is_err());
}
