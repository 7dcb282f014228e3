//! `rewrite`: files, directories and standard input, output formats, and exit codes.

use std::fs;

use crate::Workspace;

const MAP: &str = "default::d.io\nleft.io::\n[PULLSECRET]d.io::pull\n";

fn pod(image: &str) -> String {
    format!(
        "# a pod\napiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n  - image: {image} # i\n"
    )
}

#[test]
fn manifests_of_standard_input_are_printed_with_new_images() {
    let workspace = Workspace::new(&[("map", MAP)]);
    for arguments in [&["rewrite", "--maps", "map"][..], &["rewrite", "--maps", "map", "-"]] {
        let run = workspace.imageswap(arguments).input(pod("nginx")).run();
        assert_eq!((run.code, &*run.stderr), (Some(0), ""));
        assert_eq!(run.stdout, pod("d.io/nginx"));
    }
    let run = workspace.imageswap(&["rewrite", "--maps", "map"]).input("").run();
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (Some(0), "", ""));
}

#[test]
fn several_files_and_directories_are_printed_as_documents() {
    let workspace = Workspace::new(&[("map", MAP), ("z.yaml", &*pod("z"))]);
    let directory = workspace.path("tree");
    fs::create_dir_all(directory.join("sub")).unwrap();
    fs::create_dir_all(directory.join(".git")).unwrap();
    fs::write(directory.join("b.yml"), "---\na: 1").unwrap();
    fs::write(directory.join("sub/c.json"), "{}\n").unwrap();
    fs::write(directory.join("sub/d.txt"), "no manifest: [").unwrap();
    fs::write(directory.join(".git/e.yaml"), "no manifest: [").unwrap();
    let run = workspace.imageswap(&["rewrite", "--maps", "map", "z.yaml", "tree"]).run();
    assert_eq!((run.code, &*run.stderr), (Some(0), ""));
    assert_eq!(run.stdout, format!("{}---\na: 1\n---\n{{}}\n", pod("d.io/z")));
}

#[test]
fn a_file_may_begin_with_a_mark_or_a_directive_and_a_directory_may_be_empty() {
    let (marked, directive) =
        (format!("\u{feff}{}", pod("x")), format!("%YAML 1.2\n---\n{}", pod("z")));
    let files = [("map", MAP), ("a.yaml", &*marked), ("b.YAML", &*marked), ("c.yml", &*directive)];
    let workspace = Workspace::new(&files);
    fs::create_dir(workspace.path("empty")).unwrap();
    let arguments = ["rewrite", "--maps", "map", "a.yaml", "b.YAML", "c.yml", "empty"];
    let run = workspace.imageswap(&arguments).run();
    assert_eq!(run.code, Some(0));
    assert_eq!(run.stderr, "warning: empty: no .yaml, .yml or .json file\n");
    let [x, z] = ["d.io/x", "d.io/z"].map(pod);
    assert_eq!(run.stdout, format!("\u{feff}{x}---\n{x}...\n%YAML 1.2\n---\n{z}"));
    let again = workspace.imageswap(&["rewrite", "--maps", "map"]).input(&run.stdout).run();
    assert_eq!((again.code, again.stdout), (Some(0), run.stdout));
}

#[test]
fn check_lists_the_images_that_would_change_and_diff_shows_the_lines() {
    let files = [("map", MAP), ("a.yaml", &*pod("nginx")), ("b.yaml", &*pod("left.io/x"))];
    let workspace = Workspace::new(&files);
    let run =
        workspace.imageswap(&["rewrite", "--maps", "map", "--check", "a.yaml", "b.yaml"]).run();
    assert_eq!((run.code, &*run.stdout), (Some(3), "a.yaml:7: nginx -> d.io/nginx\n"));
    let run = workspace.imageswap(&["rewrite", "--maps", "map", "--check", "b.yaml"]).run();
    assert_eq!((run.code, &*run.stdout), (Some(0), ""));
    let run =
        workspace.imageswap(&["rewrite", "--maps", "map", "--diff", "a.yaml", "b.yaml"]).run();
    assert_eq!(run.code, Some(0));
    assert_eq!(
        run.stdout,
        "--- a/a.yaml\n+++ b/a.yaml\n@@ -4,4 +4,4 @@\n metadata: {name: p}\n spec:\n   containers:\n-  - image: nginx # i\n+  - image: d.io/nginx # i\n"
    );
    let run =
        workspace.imageswap(&["rewrite", "--maps", "map", "--diff", "--check", "a.yaml"]).run();
    assert_eq!(run.code, Some(3));
    assert!(run.stdout.starts_with("--- a/a.yaml\n"), "{}", run.stdout);
}

#[cfg(unix)]
#[test]
fn files_are_changed_in_place_with_their_permissions_and_links() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let files = [("map", MAP), ("a.yaml", &*pod("nginx")), ("same.yaml", &*pod("left.io/x"))];
    let workspace = Workspace::new(&files);
    let path = |name: &str| workspace.path(name);
    fs::set_permissions(path("a.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("a.yaml", path("link.yaml")).unwrap();
    let before = fs::metadata(path("same.yaml")).unwrap().modified().unwrap();
    let arguments = ["rewrite", "--maps", "map", "--in-place", "link.yaml", "same.yaml"];
    let run = workspace.imageswap(&arguments).run();
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (Some(0), "", ""));
    assert_eq!(fs::read_to_string(path("a.yaml")).unwrap(), pod("d.io/nginx"));
    assert!(fs::symlink_metadata(path("link.yaml")).unwrap().is_symlink());
    assert_eq!(fs::metadata(path("a.yaml")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::metadata(path("same.yaml")).unwrap().modified().unwrap(), before);
    let run = workspace.imageswap(&["rewrite", "--maps", "map", "--in-place"]).run();
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("--in-place needs a FILE"), "{}", run.stderr);
}

#[test]
fn a_file_that_cannot_be_used_is_named_and_the_others_are_rewritten() {
    let files =
        [("map", MAP), ("a.yaml", &*pod("nginx")), ("bad.yaml", "{{- if x }}\na: 1\n{{- end }}\n")];
    let workspace = Workspace::new(&files);
    fs::write(workspace.path("latin.yaml"), b"a: \xff\n").unwrap();
    let arguments = ["rewrite", "--maps", "map", "bad.yaml", "latin.yaml", "no.yaml", "a.yaml"];
    let run = workspace.imageswap(&arguments).run();
    assert_eq!(run.code, Some(2));
    assert_eq!(run.stdout, pod("d.io/nginx"));
    // The error wins over the change.
    let check =
        workspace.imageswap(&["rewrite", "--maps", "map", "--check", "bad.yaml", "a.yaml"]).run();
    assert_eq!((check.code, &*check.stdout), (Some(2), "a.yaml:7: nginx -> d.io/nginx\n"));
    let errors: Vec<_> = run.stderr.lines().collect();
    assert!(errors[0].starts_with("error: bad.yaml:1:"), "{errors:?}");
    assert!(errors[0].ends_with("; render templates first, as by `helm template`"));
    assert!(errors[1].starts_with("error: latin.yaml:1: not valid UTF-8"), "{errors:?}");
    assert!(errors[2].starts_with("error: no.yaml: No such file"), "{errors:?}");
}

#[test]
fn an_image_that_cannot_be_rewritten_is_told_and_fails() {
    let shared = pod("&i nginx\n    env: [{name: I, value: *i}]");
    let workspace = Workspace::new(&[("map", MAP), ("a.yaml", &*shared)]);
    let run = workspace.imageswap(&["rewrite", "--maps", "map", "a.yaml"]).run();
    assert_eq!(run.code, Some(1));
    assert_eq!(run.stdout, shared);
    assert!(run.stderr.starts_with("warning: a.yaml:7: `nginx` stays, because"), "{}", run.stderr);
}

#[test]
fn pull_secrets_are_added_on_demand() {
    let workspace = Workspace::new(&[("map", MAP)]);
    let run = workspace
        .imageswap(&["rewrite", "--maps", "map", "--pull-secrets"])
        .input(pod("nginx"))
        .run();
    assert_eq!((run.code, &*run.stderr), (Some(0), ""));
    let secrets = "spec:\n  imagePullSecrets:\n  - name: pull\n";
    assert_eq!(run.stdout, pod("d.io/nginx").replace("spec:\n", secrets));
    let run = workspace
        .imageswap(&["rewrite", "--maps", "map", "--pull-secrets", "--check"])
        .input(pod("d.io/nginx"))
        .run();
    assert_eq!((run.code, &*run.stdout), (Some(3), "<stdin>:2: imagePullSecrets: pull\n"));
}

#[test]
fn a_namespace_selects_its_map_and_a_site_adds_an_image() {
    let site = "apiVersion: a.io/v1\nkind: Widget\nspec: {picture: nginx}\n";
    let files = [("map", MAP), ("sites", "a.io/Widget /spec/picture\n"), ("a.yaml", site)];
    let workspace = Workspace::new(&files);
    fs::create_dir(workspace.path("maps")).unwrap();
    fs::write(workspace.path("maps/shop.conf"), "default::shop.io\n").unwrap();
    let arguments =
        ["rewrite", "--maps", "map", "--namespace-maps", "maps", "--sites-file", "sites"];
    for (namespace, image) in [("shop", "shop.io/nginx"), ("other", "d.io/nginx")] {
        let arguments = [&arguments[..], &["-n", namespace, "a.yaml"]].concat();
        let run = workspace.imageswap(&arguments).run();
        assert_eq!((run.code, &*run.stderr), (Some(0), ""));
        assert_eq!(run.stdout, site.replace("nginx", image));
    }
    let run = workspace.imageswap(&["rewrite", "--maps", "map", "-n", "A B", "a.yaml"]).run();
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: --namespace: `A B` is not valid"), "{}", run.stderr);
}

#[test]
fn the_input_of_a_function_brings_its_map() {
    let workspace = Workspace::new(&[("map", MAP)]);
    let list = |image: &str, map: &str| {
        format!(
            "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n- apiVersion: v1\n  kind: Pod\n  spec: {{containers: [{{image: {image}}}]}}\nfunctionConfig:\n  apiVersion: v1\n  kind: ConfigMap\n  data:\n    {map}\n"
        )
    };
    let map = "maps: |\n      default::f.io";
    let run = workspace.imageswap(&["rewrite"]).input(list("nginx", map)).run();
    assert_eq!((run.code, &*run.stderr), (Some(0), ""));
    assert_eq!(run.stdout, list("f.io/nginx", map));
    let run = workspace.imageswap(&["rewrite", "--maps", "map"]).input(list("nginx", "x: y")).run();
    assert_eq!((run.code, run.stdout), (Some(0), list("d.io/nginx", "x: y")));
    for (map, error) in [
        ("x: y", "error: the functionConfig contains no map; add it as `data.maps`"),
        ("maps: ''", "warning: functionConfig[maps]: "),
        ("maps: 'a;b'", "warning: functionConfig[maps]:1: "),
    ] {
        let run = workspace.imageswap(&["rewrite"]).input(list("nginx", map)).run();
        assert_eq!((run.code, &*run.stdout), (Some(2), ""));
        assert!(run.stderr.contains(error), "{}", run.stderr);
    }
}
