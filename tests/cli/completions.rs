//! `imageswap completions`.

use std::process::Command;

use crate::Workspace;

const COMMANDS: [&str; 6] = ["serve", "init", "swap", "explain", "check", "completions"];

#[test]
fn the_script_of_each_shell_contains_all_commands() {
    let workspace = Workspace::new::<&str>(&[]);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = workspace.imageswap(&["completions", shell]).run();
        assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{shell}");
        for word in COMMANDS.iter().chain(&["deny-warnings", "shutdown-timeout"]) {
            assert!(run.stdout.contains(word), "{word} is not in the script for {shell}");
        }
    }
    let run = workspace.imageswap(&["completions", "tcsh"]).run();
    run.assert_usage_error(&["[possible values: bash, elvish, fish, powershell, zsh]"]);
}

#[test]
fn bash_completes_commands_and_flags() {
    let workspace = Workspace::new::<&str>(&[]);
    let script = workspace.imageswap(&["completions", "bash"]).run().stdout;
    for (words, expected) in [
        (&["imageswap", "ch"][..], "check"),
        (&["imageswap", "check", "--deny"], "--deny-warnings"),
        (&["imageswap", "serve", "--shutdown-t"], "--shutdown-timeout"),
        (&["imageswap", "completions", "po"], "powershell"),
    ] {
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let call = format!(
            "{script}\nCOMP_WORDS=({}) COMP_CWORD={}\n_imageswap imageswap {last} {before}\n\
             echo \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words.len() - 1,
        );
        let output = Command::new("bash").args(["--norc", "-c", &call]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected, "{output:?}");
    }
}
