//! `export`: what is printed, what is left out, and the exit codes.

use std::fs;

use crate::Workspace;

const MAP: &str = "\
default::
docker.io::h.io/hub
ghcr.io/acme::h.io/acme
[EXACT]quay.io/a:1::h.io/a:2
";

#[test]
fn a_map_that_the_form_can_express_is_printed() {
    let workspace = Workspace::new(&[("map", "default::\nquay.io::h.io/quay\n")]);
    for (form, part) in [
        ("idms", "    - source: \"quay.io\"\n      mirrors: [\"h.io/quay\"]\n"),
        (
            "k3s",
            "  \"quay.io\":\n    endpoint: [\"https://h.io\"]\n    rewrite:\n      \"^(.*)$\": \"quay/$1\"\n",
        ),
        ("kubernetes", "kind: MutatingAdmissionPolicyBinding\n"),
        ("registries.conf", "\n[[registry]]\nprefix = \"quay.io\"\nlocation = \"h.io/quay\"\n"),
    ] {
        let run = workspace.imageswap(&["export", "--to", form, "--maps", "map"]).run();
        assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{form}");
        assert!(run.stdout.contains(part), "{form}: {}", run.stdout);
        assert!(run.stdout.starts_with("# "), "{form}: {}", run.stdout);
        assert!(run.stdout.contains("the map map"), "{form}: {}", run.stdout);
    }
}

#[test]
fn lines_that_the_form_cannot_express_are_listed() {
    let workspace = Workspace::new(&[("map", MAP)]);
    let export = ["export", "--to", "k3s", "--maps", "map"];
    let note = "note: map:2: `docker.io`: official images of Docker Hub have `library/` in their name here, and not in \
                the map: copy them to both names, or write `{path}` in the target\n";
    let run = workspace.imageswap(&export).run();
    let errors = format!(
        "{note}\
         error: map:3: `ghcr.io/acme`: the form redirects whole hosts only\n\
         error: map:4: `[EXACT]quay.io/a:1`: the form has no rules for single images\n\
         error: 2 lines cannot be exported; `--partial` exports the rest\n"
    );
    run.assert_exit(1, "", &errors);
    let run = workspace.imageswap(&[&export[..], &["--partial"]].concat()).run();
    let warnings = format!(
        "{note}\
         warning: map:3: `ghcr.io/acme`: the form redirects whole hosts only\n\
         warning: map:4: `[EXACT]quay.io/a:1`: the form has no rules for single images\n"
    );
    assert_eq!((run.code, run.stderr), (Some(0), warnings));
    assert!(
        run.stdout.contains("\"docker.io\":") && !run.stdout.contains("ghcr.io"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_rule_whose_images_another_rule_would_decide_first_is_left_out() {
    for (form, map, error) in [
        (
            "registries.conf",
            "default::\nquay.io::h.io\n[EXACT]quay.io/a:1::h.io/a:2",
            "map:2: `quay.io`: line 3 (`[EXACT]quay.io/a:1`) decides one of its images first, and is not exported",
        ),
        (
            "registries.conf",
            "default::\nquay.io::h.io\n[REPLACE]*/old:*::h.io/old",
            "map:2: `quay.io`: line 3 (`[REPLACE]*/old:*`) can match its images, comes first, and is not exported",
        ),
        (
            "idms",
            "default::\nquay.io::h.io\nquay.io/a::",
            "map:2: `quay.io`: line 3 (`quay.io/a`) leaves some of its images alone, which the form cannot",
        ),
        (
            "k3s",
            "default::\nquay.io::h.io\nquay.io/a::e.io",
            "map:2: `quay.io`: line 3 (`quay.io/a`) decides some of its images first, and is not exported",
        ),
        (
            "k3s",
            "default::h.io/all\nnoswap_wildcards::x",
            "map:1: `default`: line 2 (`noswap_wildcards`) comes first, and the form has no substrings",
        ),
        (
            "k3s",
            "default::h.io/all",
            "map:1: `default`: images of `h.io` that are not at a target would be rewritten too; add the rule `h.io::`",
        ),
        (
            "registries.conf",
            "default::h.io/all",
            "map:1: `default`: the form has no rule for all other registries; add a rule for each",
        ),
        (
            "registries.conf",
            "default::\n*.a.io::h.io/{registry}",
            "map:2: `*.a.io`: the host of the image is part of the target; add a rule for each host",
        ),
        (
            "registries.conf",
            "default::\nquay.io::quay.io/mirror",
            "map:2: `quay.io`: some of its images are already at its target, and the form cannot tell them apart",
        ),
        (
            "registries.conf",
            "default::\n*.a.io::h.io\nb.a.io::e.io",
            "map:2: `*.a.io`: the form cannot prefer `b.a.io`, because both keys have the same length",
        ),
        (
            "kubernetes",
            "default::h.io\n[PULLSECRET]h.io::pull",
            "map:2: `[PULLSECRET]h.io`: the policy adds no pull secrets; add them to the service accounts",
        ),
    ] {
        let workspace = Workspace::new(&[("map", map)]);
        let run = workspace.imageswap(&["export", "--to", form, "--maps", "map"]).run();
        assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{form}: {map}");
        assert!(run.stderr.contains(&format!("error: {error}\n")), "{form}: {map}\n{}", run.stderr);
    }
}

#[test]
fn the_files_of_containerd_are_written_to_a_directory() {
    let workspace = Workspace::new(&[("map", "default::h.io/{path}\nh.io::\nquay.io:443::e.io\n")]);
    let export = ["export", "--to", "containerd", "--maps", "map", "--output-dir", "certs.d"];
    let run = workspace.imageswap(&export).run();
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (Some(0), "", ""));
    for (host, server) in [
        ("_default", "server = \"https://h.io\"\n"),
        ("h.io", "server = \"https://h.io\"\n"),
        ("quay.io:443", "server = \"https://e.io\"\n"),
        ("e.io", "server = \"https://e.io\"\n"),
    ] {
        let file = workspace.0.path().join("certs.d").join(host).join("hosts.toml");
        let text = fs::read_to_string(file).unwrap();
        assert!(text.ends_with(&format!("\n{server}")), "{host}: {text}");
    }
    fs::write(workspace.0.path().join("file"), "").unwrap();
    let export = ["export", "--to", "containerd", "--maps", "map", "--output-dir", "file"];
    workspace.imageswap(&export).run().assert_usage_error(&["--output-dir: file/"]);
}

#[test]
fn a_map_that_is_too_large_for_a_policy_is_refused() {
    let registries: Vec<_> = (0..500).map(|number| format!("a{number}.io::h.io")).collect();
    let globs: Vec<_> = (0..51).map(|number| format!("[REPLACE]*/{number}::h.io")).collect();
    let long = format!("[REPLACE]*{}::h.io", "a".repeat(2000));
    let substrings: Vec<_> = (0..101).map(|number| format!("x{number}")).collect();
    let wildcards = |text: String| format!("noswap_wildcards::{text}");
    for (map, error) in [
        (registries.join("\n"), "501 rules, and a policy has room for 500"),
        (globs.join("\n"), "51 [REPLACE] rules, and a policy has room for 50"),
        (
            long,
            "2009 bytes in the regular expressions of [REPLACE] rules, and a policy has room for 2000",
        ),
        (
            wildcards(substrings.join(",")),
            "101 substrings in noswap_wildcards, and a policy has room for 100",
        ),
        (wildcards("x".repeat(2001)), "2001 bytes in the substrings of noswap_wildcards"),
    ] {
        let workspace = Workspace::new(&[("map", format!("default::h.io\n{map}\n"))]);
        let export = ["export", "--to", "kubernetes", "--partial", "--maps", "map"];
        let run = workspace.imageswap(&export).run();
        assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("error: map: the map has {error}")), "{}", run.stderr);
    }
    let long = "a/".repeat(100);
    let long: Vec<_> = (0..400).map(|number| format!("a.io/{long}{number}::h.io")).collect();
    let workspace = Workspace::new(&[("map", format!("default::h.io\n{}\n", long.join("\n")))]);
    let run = workspace.imageswap(&["export", "--to", "kubernetes", "--maps", "map"]).run();
    assert_eq!((run.code, &*run.stdout), (Some(1), ""));
    assert!(run.stderr.contains("the variable `registries` of the policy has "), "{}", run.stderr);
}

#[test]
fn settings_are_in_the_policy() {
    let workspace = Workspace::new(&[("map", "default::h.io")]);
    let export = ["export", "--to", "kubernetes", "--maps", "map"];
    let more =
        ["--api-version", "v1beta1", "--failure-policy", "Ignore", "--disable-label", "a.io/off"];
    let run = workspace
        .imageswap(&[&export[..], &more].concat())
        .variable("IMAGESWAP_SWAP_NEVER_PULLED", "true")
        .run();
    assert_eq!((run.code, &*run.stderr), (Some(0), ""));
    for part in [
        "apiVersion: admissionregistration.k8s.io/v1beta1\n",
        "  failurePolicy: Ignore\n",
        "labels[?'a.io/off'].orValue('') != 'disabled'\n",
        "        \"a.io/off\": enabled\n",
    ] {
        assert!(run.stdout.contains(part), "{part} in {}", run.stdout);
    }
    assert!(!run.stdout.contains("!= 'Never'"), "{}", run.stdout);
}

#[test]
fn export_needs_a_map() {
    let workspace = Workspace::new(&[("map", "")]);
    let legacy = ["export", "--to", "k3s", "--mode", "LEGACY", "--image-prefix", "h.io"];
    workspace.imageswap(&legacy).run().assert_usage_error(&["export needs a map"]);
    for map in ["map", "missing"] {
        let run = workspace.imageswap(&["export", "--to", "k3s", "--maps", map]).run();
        run.assert_usage_error(&[map]);
    }
}

#[test]
fn the_images_of_a_plan_are_copied() {
    let plan = "{\"image\":\"nginx:1\",\"result\":\"h.io/nginx:1\",\"changes\":true}\n\
                {\"image\":\"q.io/a\",\"result\":\"q.io/a\",\"changes\":false}\n";
    let workspace =
        Workspace::new(&[("plan.json", plan), ("broken.json", "\n{}\n"), ("empty.json", "\n")]);
    let regsync = "  - source: \"docker.io/library/nginx:1\"\n    target: \"h.io/nginx:1\"\n    type: image\n";
    for (form, part) in [
        ("skopeo", "\ncopy 'docker.io/library/nginx:1' 'h.io/nginx:1'\nexit \"$failed\"\n"),
        ("regsync", regsync),
    ] {
        let from_file = workspace.imageswap(&["export", "--to", form, "plan.json"]).run();
        let from_input = workspace.imageswap(&["export", "--to", form]).input(plan).run();
        assert_eq!((from_file.code, &*from_file.stderr), (Some(0), ""), "{form}");
        assert_eq!(from_file.stdout, from_input.stdout);
        assert!(from_file.stdout.contains(part), "{form}: {}", from_file.stdout);
        assert!(!from_file.stdout.contains("q.io"), "{form}: {}", from_file.stdout);
    }
    for (file, error) in [
        ("missing.json", "missing.json: "),
        ("broken.json", "broken.json:2: not a line of"),
        ("empty.json", "empty.json: the plan has no images; did `imageswap plan"),
    ] {
        workspace.imageswap(&["export", "--to", "skopeo", file]).run().assert_usage_error(&[error]);
    }
    let run = workspace.imageswap(&["export", "--to", "k3s", "plan.json"]).run();
    run.assert_usage_error(&["a PLAN is for the forms skopeo and regsync"]);
    let plan = "{\"image\":\"$(x)\",\"result\":\"h.io/x\",\"changes\":true}\n";
    let run = workspace.imageswap(&["export", "--to", "skopeo"]).input(plan).run();
    let error = "error: <stdin>:1: `$(x)`: image or result is not a valid reference\n\
                 error: 1 line cannot be exported; `--partial` exports the rest\n";
    run.assert_exit(1, "", error);
}

#[test]
fn a_map_is_not_given_to_a_form_of_a_plan() {
    let plan = "{\"image\":\"nginx:1\",\"result\":\"h.io/nginx:1\",\"changes\":true}\n";
    let workspace = Workspace::new(&[("map", "default::h.io")]);
    for form in ["skopeo", "regsync"] {
        let arguments = ["export", "--to", form, "--maps", "map"];
        let run = workspace.imageswap(&arguments).input(plan).run();
        run.assert_usage_error(&["give --maps-file to `imageswap plan`"]);
        // A variable may be there for other commands.
        let run = workspace.imageswap(&arguments[..3]).variable("IMAGESWAP_MAPS_FILE", "map");
        assert_eq!(run.input(plan).run().code, Some(0));
    }
}

#[test]
fn a_file_of_an_export_is_replaced_as_a_whole() {
    let workspace =
        Workspace::new(&[("old", "quay.io::a.io\ndefault::"), ("new", "quay.io::b.io\ndefault::")]);
    let export = |map| {
        workspace.imageswap(&["export", "--to", "k3s", "--maps", map, "--output-dir", "out"]).run()
    };
    assert_eq!(export("old").code, Some(0));
    let file = workspace.path("out/registries.yaml");
    let before = fs::read_to_string(&file).unwrap();
    fs::hard_link(&file, workspace.path("link")).unwrap();
    assert_eq!(export("new").code, Some(0));
    // Written in place, a file would be cut off when the disk is full.
    assert_eq!(fs::read_to_string(workspace.path("link")).unwrap(), before);
    assert!(fs::read_to_string(&file).unwrap().contains("b.io"));
    assert_eq!(fs::read_dir(workspace.path("out")).unwrap().count(), 1);
}

#[test]
fn an_export_that_redirects_no_image_warns() {
    let workspace =
        Workspace::new(&[("nothing", "default::\nquay.io::"), ("one", "default::\nquay.io::h.io")]);
    for form in ["containerd", "idms", "k3s", "kubernetes", "registries.conf"] {
        let export = |map| {
            workspace
                .imageswap(&["export", "--to", form, "--maps", map, "--output-dir", "out"])
                .run()
        };
        let warning = "warning: nothing: no rule has a target, so the export redirects no image\n";
        export("nothing").assert_exit(0, "", warning);
        assert!(!export("one").stderr.contains("no rule has a target"), "{form}");
    }
}
