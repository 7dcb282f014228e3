//! Parts of the help that clap does not write: defaults, examples and exit codes.

use std::fmt::Write;

use clap::{
    Arg, Command,
    builder::{StyledStr, Styles},
};

use crate::{
    commands::Exit,
    settings::{DefaultValue, SETTINGS},
};

/// Examples and exit codes of a command, for its help and for the reference.
#[derive(Clone, Copy, Debug)]
pub struct CommandHelp {
    /// Name of the subcommand; `None` for the program itself.
    pub command: Option<&'static str>,
    /// Examples.
    pub examples: [Example; 2],
    /// Exit codes with their meanings, in ascending order.
    pub exit_codes: &'static [(Exit, &'static str)],
}

/// Command line with its purpose.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// Purpose, as a clause without a full stop.
    pub purpose: &'static str,
    /// Command line, on one line or with continuation lines.
    pub line: &'static str,
}

/// Help of the program and of each subcommand, in the order in which they are listed.
///
/// The lines fit into 80 columns with their indentation, because clap would break longer ones anywhere.
pub const HELP: [CommandHelp; 12] = [
    CommandHelp {
        command: None,
        examples: [
            Example {
                purpose: "Run the webhook on this machine, without a cluster",
                line: "imageswap serve --dev",
            },
            Example {
                purpose: "Check a map before you install it",
                line: "imageswap check --deny-warnings imageswap-maps.conf",
            },
        ],
        exit_codes: &[
            (Exit::Success, "Success"),
            (
                Exit::Failure,
                "`check` found errors, `export` cannot express a line of the map, `review`\ngot no valid answer, `rewrite` left an image, or `serve`, `init` or\n`uninstall` failed",
            ),
            (Exit::Unusable, "An argument, a setting or a file is invalid"),
            (Exit::Changes, "`plan` or `rewrite --check` found images that change"),
            (
                Exit::TargetAbsent,
                "`plan --verify` found an image that the new registry does not have",
            ),
        ],
    },
    CommandHelp {
        command: Some("serve"),
        examples: [
            Example {
                purpose: "Run the webhook on this machine, without a cluster",
                line: "imageswap serve --dev",
            },
            Example {
                purpose: "Use a certificate from files, and a map in another place",
                line: "imageswap serve --tls-mode files --tls-dir /etc/tls --maps-file maps.conf",
            },
        ],
        exit_codes: &[
            (Exit::Success, "Stopped by SIGTERM or SIGINT"),
            (
                Exit::Failure,
                "Failed, for example because a port is in use, or stopped by a\nsecond signal",
            ),
            (Exit::Unusable, "An argument, a setting or the file with the client CAs is invalid"),
        ],
    },
    CommandHelp {
        command: Some("init"),
        examples: [
            Example {
                purpose: "Prepare the cluster, and write the certificate to /tls",
                line: "imageswap init",
            },
            Example {
                purpose: "Prepare a cluster from outside, for a webhook at a URL",
                line: "imageswap init --webhook-url https://10.0.0.5:5000/ --tls-dir tls",
            },
        ],
        exit_codes: &[
            (Exit::Success, "The webhook configuration is in place, and the files are written"),
            (Exit::Failure, "Failed, or not done within two minutes"),
            (Exit::Unusable, "An argument or a setting is invalid"),
        ],
    },
    CommandHelp {
        command: Some("uninstall"),
        examples: [
            Example {
                purpose: "Clean up before the manifests are deleted, as the Helm chart does",
                line: "imageswap uninstall",
            },
            Example {
                purpose: "Clean up from outside, for a webhook in another namespace",
                line: "KUBECONFIG=admin.kubeconfig imageswap uninstall --namespace-name swap",
            },
        ],
        exit_codes: &[
            (Exit::Success, "What the webhook has created does not exist any more"),
            (Exit::Failure, "Failed, or not done within two minutes"),
            (Exit::Unusable, "An argument or a setting is invalid"),
        ],
    },
    CommandHelp {
        command: Some("swap"),
        examples: [
            Example {
                purpose: "Rewrite two images",
                line: "imageswap swap --maps maps.conf nginx:1.27 quay.io/prometheus/prometheus",
            },
            Example {
                purpose: "Rewrite the images in a file, and print the reasons",
                line: "imageswap swap --maps maps.conf --output json <images.txt | jq .reason",
            },
        ],
        exit_codes: &[
            (Exit::Success, "All images are printed, rewritten or not"),
            (Exit::Unusable, "An argument, a setting, the map or the input is invalid"),
        ],
    },
    CommandHelp {
        command: Some("explain"),
        examples: [
            Example {
                purpose: "Show which rule applies to an image",
                line: "imageswap explain --maps maps.conf nginx:1.27",
            },
            Example {
                purpose: "Print the steps for two images as JSON",
                line: "imageswap explain --maps maps.conf --output json nginx redis | jq .steps",
            },
        ],
        exit_codes: &[
            (Exit::Success, "The images are explained, rewritten or not"),
            (Exit::Unusable, "An argument, a setting or the map is invalid"),
        ],
    },
    CommandHelp {
        command: Some("check"),
        examples: [
            Example {
                purpose: "Check a map, and fail on warnings too",
                line: "imageswap check --deny-warnings imageswap-maps.conf",
            },
            Example {
                purpose: "Check a map in standard input, and print the codes of its mistakes",
                line: "imageswap check --output json - <maps.conf | jq --raw-output .code",
            },
        ],
        exit_codes: &[
            (Exit::Success, "No errors; with `--deny-warnings`, no warnings either"),
            (
                Exit::Failure,
                "At least one error; with `--deny-warnings`, also for a warning, or if\nnot all rules could be compared",
            ),
            (
                Exit::Unusable,
                "An argument is invalid, a file cannot be read, or its ConfigMap has no\nsuch key",
            ),
        ],
    },
    CommandHelp {
        command: Some("plan"),
        examples: [
            Example {
                purpose: "Preview a map on the cluster of your kubeconfig",
                line: "imageswap plan --maps imageswap-maps.conf",
            },
            Example {
                purpose: "Print the images for which a new map differs from the one in use",
                line: "imageswap plan --maps new.conf --against maps.conf --workloads",
            },
        ],
        exit_codes: &[
            (Exit::Success, "No image changes; with `--against`, none differs"),
            (
                Exit::Failure,
                "The API server refused a call or did not answer, or the namespace does\nnot exist",
            ),
            (
                Exit::Unusable,
                "An argument, a setting, a map or a manifest is invalid, or there is no\nusable kubeconfig",
            ),
            (
                Exit::Changes,
                "At least one image of a selected object changes; with `--against`, differs",
            ),
            (
                Exit::TargetAbsent,
                "With `--verify`: a registry says that it does not have a new image",
            ),
        ],
    },
    CommandHelp {
        command: Some("rewrite"),
        examples: [
            Example {
                purpose: "Rewrite what `helm template` has printed into a file",
                line: "imageswap rewrite --maps maps.conf rendered.yaml",
            },
            Example {
                purpose: "Fail in CI if an image in a directory would still change",
                line: "imageswap rewrite --maps maps.conf --check deploy/",
            },
        ],
        exit_codes: &[
            (Exit::Success, "All images are rewritten; with `--check`, no image would change"),
            (Exit::Failure, "At least one image could not be changed in place; a warning names it"),
            (
                Exit::Unusable,
                "An argument, a setting, a map or a file is invalid. The other files are\nrewritten all the same",
            ),
            (
                Exit::Changes,
                "With `--check`: an image would change, or a pull secret would be added",
            ),
        ],
    },
    CommandHelp {
        command: Some("export"),
        examples: [
            Example {
                purpose: "Rewrite images in a cluster without a webhook (Kubernetes 1.36)",
                line: "imageswap export --to kubernetes --maps maps.conf | kubectl apply -f -",
            },
            Example {
                purpose: "Print what CRI-O and Podman can express of a map",
                line: "imageswap export --to registries.conf --partial --maps maps.conf",
            },
        ],
        exit_codes: &[
            (Exit::Success, "The map is exported, or with `--partial` a part of it"),
            (
                Exit::Failure,
                "The form cannot express a line of the map or of the plan, and `--partial`\nis not given, or the map is too large for it",
            ),
            (Exit::Unusable, "An argument, a setting, the map or the plan is invalid"),
        ],
    },
    CommandHelp {
        command: Some("review"),
        examples: [
            Example {
                purpose: "Ask the webhook on this machine (`serve --tls-mode files --tls-dir tls`)",
                line: "imageswap review --url https://localhost:5000/ --ca-file tls/cert.pem nginx",
            },
            Example {
                purpose: "Ask the webhook of a cluster from a pod (ca.pem: the caBundle of its configuration)",
                line: "imageswap review --url https://imageswap.swap.svc/ --ca-file ca.pem nginx",
            },
        ],
        exit_codes: &[
            (Exit::Success, "All images are printed, rewritten or not"),
            (
                Exit::Failure,
                "The webhook does not answer, or not with a review that allows the pod",
            ),
            (Exit::Unusable, "An argument or the file with the CA certificates is invalid"),
        ],
    },
    CommandHelp {
        command: Some("completions"),
        examples: [
            Example {
                purpose: "Install completions for bash",
                line: "imageswap completions bash >/etc/bash_completion.d/imageswap",
            },
            Example {
                purpose: "Install completions for fish",
                line: "imageswap completions fish >~/.config/fish/completions/imageswap.fish",
            },
        ],
        exit_codes: &[
            (Exit::Success, "The script is printed"),
            (Exit::Unusable, "An argument is invalid"),
        ],
    },
];

/// Adds defaults, examples and exit codes to the help of the program and its subcommands.
pub(super) fn complete(command: Command) -> Command {
    let styles = command.get_styles().clone();
    let command = command.after_long_help(end_of_help(None, &styles));
    command.mut_subcommands(|command| {
        let end = end_of_help(Some(command.get_name()), &styles);
        command.mut_args(with_default).after_long_help(end)
    })
}

/// Adds the default of a setting to the first paragraph of its help.
fn with_default(argument: Arg) -> Arg {
    let variable = argument.get_env().and_then(|variable| variable.to_str());
    let Some(setting) = SETTINGS.iter().find(|setting| Some(setting.variable()) == variable) else {
        return argument;
    };
    let (DefaultValue::Text(default) | DefaultValue::Described(default)) = setting.default();
    let extended = |help: &StyledStr| {
        let help = help.to_string();
        StyledStr::from(match help.split_once("\n\n") {
            Some((first, rest)) => format!("{first} [default: {default}]\n\n{rest}"),
            None => format!("{help} [default: {default}]"),
        })
    };
    let short = argument.get_help().map(extended).unwrap_or_default();
    match argument.get_long_help().map(extended) {
        Some(long) => argument.help(short).long_help(long),
        None => argument.help(short),
    }
}

/// Returns the end of the help of a command: examples and exit codes.
fn end_of_help(name: Option<&str>, styles: &Styles) -> String {
    let Some(help) = HELP.iter().find(|help| help.command == name) else { return String::new() };
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let mut text = format!("{header}Examples:{header:#}\n");
    for Example { purpose, line } in help.examples {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {purpose}:\n    {literal}{line}{literal:#}\n");
    }
    let _ = write!(text, "{header}Exit codes:{header:#}");
    for (exit, meaning) in help.exit_codes {
        let meaning = meaning.replace('\n', "\n     ");
        let _ = write!(text, "\n  {literal}{}{literal:#}  {meaning}", exit.code());
    }
    text
}
