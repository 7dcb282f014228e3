//! Unusable map files, with each command that reads a map.

use std::fs::{self, File};

use imageswap::rules::MAX_MAP_BYTES;

use crate::Workspace;

/// Prefix of the error of a command that reads one map.
const CONTEXT: &str = "the map, which --maps or IMAGESWAP_MAPS_FILE names, cannot be used: ";

/// Creates a workspace with map files that cannot be used, and returns the error that each must give.
fn bad_maps() -> (Workspace, [(&'static str, String); 5]) {
    let binary = b"default::d.io\n\nq.io::\xff\n";
    let workspace = Workspace::new(&[("binary", &binary[..]), ("wide", b"\xff\xfed\0")]);
    fs::create_dir(workspace.0.path().join("directory")).unwrap();
    let large = File::create(workspace.0.path().join("large")).unwrap();
    large.set_len(MAX_MAP_BYTES as u64 + 1).unwrap();
    let errors = [
        ("missing", "missing: No such file or directory (os error 2)".to_owned()),
        ("directory", "directory: Is a directory (os error 21)".to_owned()),
        ("binary", "binary:3: not valid UTF-8 at byte 21 of the file, counted from 0".to_owned()),
        ("wide", "wide: the file is in UTF-16; save it as UTF-8".to_owned()),
        ("large", format!("large: larger than {MAX_MAP_BYTES} bytes")),
    ];
    (workspace, errors)
}

#[test]
fn swap_reports_an_unusable_map() {
    let (workspace, errors) = bad_maps();
    for (file, error) in errors {
        let error = format!("error: {CONTEXT}{error}\n");
        let swap = workspace.imageswap(&["swap", "--maps", file, "nginx"]);
        swap.run().assert_exit(2, "", &error);
        let swap = workspace.imageswap(&["swap"]).variable("IMAGESWAP_MAPS_FILE", file);
        swap.input("nginx\n").run().assert_exit(2, "", &error);
    }
}

#[test]
fn a_map_that_serve_refuses_gives_no_result() {
    let workspace = Workspace::new(&[
        ("empty", "# nothing\n"),
        ("broken", "broken\n"),
        ("manifest", "kind: ConfigMap\n"),
    ]);
    for (file, reason) in [
        ("empty", "the map has no rules; write `default::` to leave all images alone"),
        ("broken", "the map has no rules; write `default::` to leave all images alone"),
        ("manifest", "the file is a YAML or JSON manifest, not a map"),
    ] {
        for command in ["swap", "explain"] {
            let run = workspace.imageswap(&[command, "--maps", file, "nginx"]).run();
            run.assert_usage_error(&[&format!("error: {CONTEXT}{file}: {reason}\n")]);
            assert!(!run.stdout.contains("result"), "{}", run.stdout);
            assert!(command == "explain" || run.stdout.is_empty(), "{}", run.stdout);
        }
    }
    let run = workspace.imageswap(&["swap", "--maps", "broken", "nginx"]).run();
    assert!(run.stderr.starts_with("warning: broken: the map has no rules"), "{}", run.stderr);
    assert!(run.stderr.contains("warning: broken:1: there is no `::`"), "{}", run.stderr);
}

#[test]
fn init_logs_errors_of_the_map() {
    let workspace = Workspace::new(&[
        ("broken", "default::d.io\nbroken\n"),
        ("empty", "# nothing\n"),
        ("good", "default::d.io\n"),
    ]);
    let (line, refused) = ("there is no `::` between key and target", "`serve` refuses this map");
    for (file, strict, messages) in [
        ("broken", "false", &[line][..]),
        ("broken", "true", &[line, refused]),
        ("empty", "false", &["the map has no rules", refused]),
        ("good", "true", &[]),
        ("missing", "true", &[]),
    ] {
        // Without a cluster, `init` exits soon after the check.
        let init = workspace.imageswap(&["init", "--log-format", "json", "--maps", file]);
        let init = init.variable("IMAGESWAP_STRICT_MAPS", strict);
        let run = init.variable("KUBECONFIG", "missing").run();
        assert_eq!(run.code, Some(1), "{file}");
        let warnings = run.stderr.lines().filter(|line| line.contains("\"WARN\""));
        let warnings: Vec<_> = warnings.collect();
        assert_eq!(warnings.len(), messages.len(), "{file}: {warnings:?}");
        for (warning, message) in warnings.iter().zip(messages) {
            assert!(warning.contains(message), "{file}: {warning}");
        }
    }
}

#[test]
fn a_map_on_the_command_line_wins_over_legacy_mode_of_the_environment() {
    const WARNING: &str = "the map of --maps-file is used, although IMAGESWAP_MODE is LEGACY";
    let workspace = Workspace::new(&[("map", "default::d.io\n")]);
    let legacy = |arguments: &[&str]| {
        let invocation = workspace.imageswap(arguments).variable("IMAGESWAP_MODE", "LEGACY");
        invocation.variable("IMAGE_PREFIX", "l.io").variable("KUBECONFIG", "missing")
    };
    for flag in ["--maps", "--maps-file"] {
        let run = legacy(&["swap", flag, "map", "nginx"]).run();
        run.assert_exit(0, "d.io/nginx\n", &format!("warning: {WARNING}\n"));
        let run = legacy(&["explain", flag, "map", "nginx"]).run();
        assert!(run.stdout.contains("result    d.io/nginx (default, line 1)"), "{}", run.stdout);
        assert_eq!((run.code, &*run.stderr), (Some(0), &*format!("warning: {WARNING}\n")));
        // Without a cluster, both exit with an error.
        for command in
            [&["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"][..], &["init"]]
        {
            let run = legacy(&[command, &[flag, "map"]].concat()).run();
            assert_eq!(run.code, Some(1), "{}", run.stderr);
            assert!(run.stderr.contains(WARNING), "{}", run.stderr);
            assert!(!run.stderr.contains("LEGACY mode is deprecated"), "{}", run.stderr);
        }
    }
    // Only a flag that names a map wins.
    for (arguments, maps_file) in
        [(&["swap", "nginx"][..], "map"), (&["swap", "--maps=", "nginx"], "")]
    {
        let run = legacy(arguments).variable("IMAGESWAP_MAPS_FILE", maps_file).run();
        run.assert_success("l.io/nginx\n");
    }
    // The mode on the command line counts more than a map in the environment.
    let run = workspace.imageswap(&["swap", "--mode", "legacy", "--image-prefix", "l.io", "nginx"]);
    run.variable("IMAGESWAP_MAPS_FILE", "map").run().assert_success("l.io/nginx\n");
}

#[test]
fn a_map_and_legacy_mode_on_the_command_line_exclude_each_other() {
    let workspace = Workspace::new(&[("map", "default::d.io\n")]);
    let error = "error: --maps-file and --mode LEGACY exclude each other; LEGACY mode reads no \
                 map\n";
    for command in ["swap", "explain", "serve", "init"] {
        let images = if command == "swap" || command == "explain" { &["nginx"][..] } else { &[] };
        let arguments = [&[command, "--maps", "map", "--mode", "LEGACY"][..], images].concat();
        workspace.imageswap(&arguments).run().assert_exit(2, "", error);
    }
}

#[test]
fn a_prefix_on_the_command_line_that_no_mode_uses_gives_a_warning() {
    let workspace = Workspace::new(&[("map", "default::d.io\n")]);
    let run = workspace.imageswap(&["swap", "--maps", "map", "--image-prefix", "l.io", "nginx"]);
    let warning = "warning: --image-prefix has no effect in MAPS mode\n";
    run.run().assert_exit(0, "d.io/nginx\n", warning);
    // The ConfigMap of an old installation may still have the variable.
    let run = workspace.imageswap(&["swap", "--maps", "map", "nginx"]);
    run.variable("IMAGE_PREFIX", "l.io").run().assert_success("d.io/nginx\n");
}

#[test]
fn the_error_of_a_missing_map_says_if_nobody_has_set_its_path() {
    let workspace = Workspace::new::<&str>(&[]);
    let error = "error: no map file at the default path /app/maps/imageswap-maps.conf; set \
                 IMAGESWAP_MAPS_FILE (--maps-file) to your map\n";
    for command in ["swap", "explain"] {
        workspace.imageswap(&[command, "nginx"]).run().assert_exit(2, "", error);
        let empty = workspace.imageswap(&[command, "nginx"]).variable("IMAGESWAP_MAPS_FILE", "");
        empty.run().assert_exit(2, "", error);
        // Somebody has set this one, although it is the same.
        let path = "/app/maps/imageswap-maps.conf";
        let run = workspace.imageswap(&[command, "--maps", path, "nginx"]).run();
        let named = format!("error: {CONTEXT}{path}: No such file or directory (os error 2)\n");
        run.assert_exit(2, "", &named);
    }
}

#[test]
fn explain_reports_an_unusable_map() {
    let (workspace, errors) = bad_maps();
    for (file, error) in errors {
        let run = workspace.imageswap(&["explain", "--maps", file, "nginx"]).run();
        assert_eq!(run.stderr, format!("error: {CONTEXT}{error}\n"));
        assert_eq!(run.code, Some(2), "{file}");
        assert!(!run.stdout.contains("result"), "{}", run.stdout);
    }
}

#[test]
fn check_reports_an_unusable_map() {
    let (workspace, errors) = bad_maps();
    for (file, error) in errors {
        for output in ["text", "json"] {
            let check = workspace.imageswap(&["check", "--output", output, file]);
            check.run().assert_exit(2, "", &format!("error: {error}\n"));
        }
    }
}

#[test]
fn a_map_of_the_maximum_size_is_read() {
    let mut map = b"default::d.io\n#".to_vec();
    map.resize(MAX_MAP_BYTES, b'x');
    let workspace = Workspace::new(&[("map", map)]);
    workspace.imageswap(&["swap", "--maps", "map", "nginx"]).run().assert_success("d.io/nginx\n");
    workspace
        .imageswap(&["check", "map"])
        .run()
        .assert_success("map: 1 rule, 0 errors, 0 warnings\n");
}
