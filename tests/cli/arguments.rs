//! Help, version, and invalid arguments.

use crate::Workspace;

const RULE_VARIABLES: [&str; 4] =
    ["IMAGESWAP_MAPS_FILE", "IMAGESWAP_MODE", "IMAGESWAP_NAMESPACE_MAPS_DIR", "IMAGE_PREFIX"];

const PLAN_VARIABLES: [&str; 11] = [
    "IMAGESWAP_DISABLE_LABEL",
    "IMAGESWAP_MAPS_FILE",
    "IMAGESWAP_MODE",
    "IMAGESWAP_NAMESPACE_MAPS_DIR",
    "IMAGESWAP_REGISTRY_ALLOWED_HOSTS",
    "IMAGESWAP_REGISTRY_CA_FILE",
    "IMAGESWAP_REGISTRY_CONFIG",
    "IMAGESWAP_REGISTRY_PLAIN_HTTP",
    "IMAGESWAP_SWAP_NEVER_PULLED",
    "IMAGESWAP_VERIFY_EXCEPT",
    "IMAGE_PREFIX",
];

const REWRITE_VARIABLES: [&str; 6] = [
    "IMAGESWAP_DISABLE_LABEL",
    "IMAGESWAP_MAPS_FILE",
    "IMAGESWAP_MODE",
    "IMAGESWAP_NAMESPACE_MAPS_DIR",
    "IMAGESWAP_SWAP_NEVER_PULLED",
    "IMAGE_PREFIX",
];

const EXPORT_VARIABLES: [&str; 5] = [
    "IMAGESWAP_DISABLE_LABEL",
    "IMAGESWAP_MAPS_FILE",
    "IMAGESWAP_MODE",
    "IMAGESWAP_SWAP_NEVER_PULLED",
    "IMAGE_PREFIX",
];

const INIT_VARIABLES: [&str; 12] = [
    "IMAGESWAP_CSR_SIGNER_NAME",
    "IMAGESWAP_DISABLE_AUTO_MWC",
    "IMAGESWAP_LOG_FORMAT",
    "IMAGESWAP_LOG_LEVEL",
    "IMAGESWAP_MAPS_FILE",
    "IMAGESWAP_MODE",
    "IMAGESWAP_MWC_TEMPLATE_FILE",
    "IMAGESWAP_NAMESPACE_NAME",
    "IMAGESWAP_STRICT_MAPS",
    "IMAGESWAP_TLS_DIR",
    "IMAGESWAP_WEBHOOK_URL",
    "IMAGE_PREFIX",
];

const SERVE_VARIABLES: [&str; 40] = [
    "IMAGESWAP_ADMIN_LISTEN",
    "IMAGESWAP_ANNOTATE",
    "IMAGESWAP_AUDIT_ANNOTATIONS",
    "IMAGESWAP_CANDIDATE_MAPS_FILE",
    "IMAGESWAP_CLIENT_CA_FILE",
    "IMAGESWAP_CSR_SIGNER_NAME",
    "IMAGESWAP_DISABLE_AUTO_MWC",
    "IMAGESWAP_DISABLE_LABEL",
    "IMAGESWAP_LISTEN",
    "IMAGESWAP_LOG_FORMAT",
    "IMAGESWAP_LOG_LEVEL",
    "IMAGESWAP_MAPS_FILE",
    "IMAGESWAP_MAPS_OPTIONAL",
    "IMAGESWAP_MAX_BODY_BYTES",
    "IMAGESWAP_MAX_CONNECTIONS",
    "IMAGESWAP_MODE",
    "IMAGESWAP_MWC_TEMPLATE_FILE",
    "IMAGESWAP_NAMESPACE_MAPS_DIR",
    "IMAGESWAP_NAMESPACE_NAME",
    "IMAGESWAP_POD_NAME",
    "IMAGESWAP_REGISTRY_ALLOWED_HOSTS",
    "IMAGESWAP_REGISTRY_CA_FILE",
    "IMAGESWAP_REGISTRY_CONFIG",
    "IMAGESWAP_REGISTRY_PLAIN_HTTP",
    "IMAGESWAP_SHADOW",
    "IMAGESWAP_SHADOW_NAMESPACES",
    "IMAGESWAP_SHUTDOWN_DELAY",
    "IMAGESWAP_SHUTDOWN_TIMEOUT",
    "IMAGESWAP_SITES_FILE",
    "IMAGESWAP_STATUS_PAGE",
    "IMAGESWAP_STRICT_MAPS",
    "IMAGESWAP_SWAP_NEVER_PULLED",
    "IMAGESWAP_TLS_DIR",
    "IMAGESWAP_TLS_MODE",
    "IMAGESWAP_VERIFY_EXCEPT",
    "IMAGESWAP_VERIFY_TARGET",
    "IMAGESWAP_VERIFY_TIMEOUT",
    "IMAGESWAP_WARNINGS",
    "IMAGESWAP_WEBHOOK_URL",
    "IMAGE_PREFIX",
];

#[test]
fn help_names_every_variable() {
    let workspace = Workspace::new::<&str>(&[]);
    for (command, variables) in [
        (&[][..], &[][..]),
        (&["serve"], &SERVE_VARIABLES),
        (&["init"], &INIT_VARIABLES),
        (&["swap"], &RULE_VARIABLES),
        (&["explain"], &RULE_VARIABLES),
        (&["check"], &[]),
        (&["plan"], &PLAN_VARIABLES),
        (&["rewrite"], &REWRITE_VARIABLES),
        (&["export"], &EXPORT_VARIABLES),
        (&["completions"], &[]),
    ] {
        for flag in ["--help", "-h"] {
            let run = workspace.imageswap(&[command, &[flag]].concat()).run();
            assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{}", run.description);
            assert!(run.stdout.contains("Usage: imageswap"), "{}", run.stdout);
            // A line may break after the colon.
            let named = run.stdout.split("[env:").skip(1).map(str::trim_start);
            let mut named: Vec<_> = named.map(|text| text.split('=').next().unwrap()).collect();
            named.sort_unstable();
            assert_eq!(named, variables, "{}", run.description);
        }
    }
}

#[test]
fn the_long_help_has_two_examples_and_the_exit_codes() {
    let workspace = Workspace::new::<&str>(&[]);
    for (command, codes) in [
        (&[][..], &["0", "1", "2", "3", "4"][..]),
        (&["serve"], &["0", "1", "2"]),
        (&["init"], &["0", "1", "2"]),
        (&["swap"], &["0", "2"]),
        (&["explain"], &["0", "2"]),
        (&["check"], &["0", "1", "2"]),
        (&["plan"], &["0", "1", "2", "3", "4"]),
        (&["rewrite"], &["0", "1", "2", "3"]),
        (&["export"], &["0", "1", "2"]),
        (&["completions"], &["0", "2"]),
    ] {
        let run = workspace.imageswap(&[command, &["--help"]].concat()).run();
        let (_, end) = run.stdout.split_once("\nExamples:\n").unwrap();
        let (examples, exit_codes) = end.split_once("\nExit codes:\n").unwrap();
        let call = format!("\n    {}", [&["imageswap"], command].concat().join(" "));
        assert_eq!(examples.matches(&call).count(), 2, "{}", run.description);
        let numbers = exit_codes.lines().filter_map(|line| line.strip_prefix("  ")?.get(..1));
        let numbers: Vec<_> = numbers.filter(|number| *number != " ").collect();
        assert_eq!(numbers, codes, "{}", run.description);
        let short = workspace.imageswap(&[command, &["-h"]].concat()).run();
        assert!(!short.stdout.contains("Examples:"), "{}", short.description);
    }
}

#[test]
fn the_version_names_the_crate_version_and_the_git_revision() {
    let workspace = Workspace::new::<&str>(&[]);
    let version = format!("{} ({})", env!("CARGO_PKG_VERSION"), env!("IMAGESWAP_REVISION"));
    for flag in ["--version", "-V"] {
        workspace.imageswap(&[flag]).run().assert_success(&format!("imageswap {version}\n"));
        for command in ["serve", "init", "swap", "explain", "check", "export", "completions"] {
            let run = workspace.imageswap(&[command, flag]).run();
            run.assert_success(&format!("imageswap-{command} {version}\n"));
        }
    }
}

#[test]
fn invalid_arguments_exit_with_2() {
    let workspace = Workspace::new(&[("map", "default::d.io\n")]);
    // arguments, part of the error
    for (arguments, error) in [
        (&["frobnicate"][..], "unrecognized subcommand 'frobnicate'"),
        (&["check"], "<FILE>..."),
        (&["check", "--output", "xml", "map"], "[possible values: text, json]"),
        (&["explain"], "<IMAGE>"),
        (&["explain", "--output", "xml", "a"], "[possible values: text, json]"),
        (&["check", "-", "map", "-"], "`-` is given more than once"),
        (&["swap", "--frobnicate"], "unexpected argument '--frobnicate'"),
        (&["swap", "--maps"], "a value is required for '--maps-file <FILE>'"),
        (&["swap", "--maps", "map", "--maps-file", "map"], "cannot be used multiple times"),
        (&["swap", "--output", "xml"], "[possible values: text, json]"),
        (&["export", "--maps", "map"], "--to <FORM>"),
        (&["export", "--to", "xml"], "registries.conf"),
        (&["export", "--to", "containerd", "--maps", "map"], "--output-dir <DIRECTORY>"),
        (&["serve", "map"], "unexpected argument 'map'"),
        (&["serve", "--listen"], "a value is required for '--listen <ADDRESS>'"),
        (&["--maps", "map"], "unexpected argument '--maps'"),
    ] {
        let run = workspace.imageswap(arguments).run();
        run.assert_usage_error(&[error]);
        assert_eq!(run.stdout, "", "{}", run.description);
    }
    // Without arguments, the help is printed instead of an error.
    let run = workspace.imageswap::<&str>(&[]).run();
    assert_eq!((run.code, &*run.stdout), (Some(2), ""));
    assert!(run.stderr.contains("Usage: imageswap <COMMAND>"), "{}", run.stderr);
}
