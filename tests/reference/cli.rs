//! `cli.md`: commands, arguments, options, examples, exit codes and JSON output.

use std::{
    io::{Seek, Write},
    process::{Command as Process, Stdio},
};

use clap::{Arg, Command};
use imageswap::{
    cli::{HELP, command},
    commands::{Field, OUTCOME_FIELDS, check, explain, plan, review, swap},
};

use crate::{
    exit_codes,
    markdown::{self, literal},
};

const INTRODUCTION: &str = "\
`imageswap COMMAND --help` prints the same. `imageswap --version` prints the version and the git revision of the build.
The options with a variable are explained in [settings](settings.md).

Help, the output of `check` and the text log have colors on a terminal. `NO_COLOR` and `TERM=dumb` turn them off;
`CLICOLOR_FORCE` turns them on if the output is not a terminal.

";

const JSON: &str = "\
With `--output json` each line of the output is one JSON object. New fields may be added; the names and meanings of
these fields do not change within a major version.

";

pub(crate) fn page() -> String {
    let mut program = command().disable_help_subcommand(true);
    program.build();
    let rows = program.get_subcommands().map(|command| {
        let name = command.get_name();
        [format!("[`{name}`](#imageswap-{name})"), about(command)]
    });
    let overview = markdown::table(["command", "purpose"], rows);
    let sections = program.get_subcommands().map(section);
    let blocks: Vec<_> = std::iter::once(overview).chain(sections).collect();
    markdown::page("Command line") + INTRODUCTION + &blocks.join("\n")
}

fn about(command: &Command) -> String {
    command.get_about().unwrap().to_string()
}

fn section(command: &Command) -> String {
    let name = command.get_name();
    let help = HELP.iter().find(|help| help.command == Some(name)).unwrap();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let mut blocks =
        vec![format!("## imageswap {name}\n\n{}.\n", about(command)), markdown::code("", usage)];
    let arguments: Vec<_> = command.get_positionals().map(argument_row).collect();
    if !arguments.is_empty() {
        blocks.push(markdown::table(["argument", "meaning"], arguments));
    }
    let options = command.get_arguments().filter(|argument| is_own_option(argument));
    let options: Vec<_> = options.map(option_row).collect();
    if !options.is_empty() {
        blocks.push(markdown::table(["option", "variable", "meaning"], options));
    }
    let examples = help.examples.map(|example| format!("# {}\n{}", example.purpose, example.line));
    blocks.push(format!("Examples:\n\n{}", markdown::code("sh", &examples.join("\n\n"))));
    blocks.push(markdown::table(["exit code", "meaning"], exit_codes::of(help)));
    blocks.extend(json_output(name));
    blocks.join("\n")
}

/// Returns true for options that are not those of every command.
fn is_own_option(argument: &Arg) -> bool {
    !argument.is_positional() && !["help", "version"].contains(&argument.get_id().as_str())
}

fn argument_row(argument: &Arg) -> [String; 2] {
    [literal(&argument.to_string()), meaning(argument)]
}

fn option_row(argument: &Arg) -> [String; 3] {
    let variable = argument.get_env().map(|name| literal(name.to_str().unwrap()));
    [literal(&argument.to_string()), variable.unwrap_or_default(), meaning(argument)]
}

/// Returns the short help of an argument, with its values and its default.
fn meaning(argument: &Arg) -> String {
    let help = argument.get_help().unwrap();
    if !argument.get_action().takes_values() {
        return help.to_string();
    }
    let values = argument.get_possible_values();
    let values: Vec<_> = values.iter().map(|value| literal(value.get_name())).collect();
    let values = if values.is_empty() { String::new() } else { format!(": {}", values.join(", ")) };
    match argument.get_default_values() {
        [default] => format!("{help}{values} [default: {}]", default.to_str().unwrap()),
        _ => format!("{help}{values}"),
    }
}

/// Returns the description of the JSON output of a command, if it has one.
fn json_output(name: &str) -> Option<String> {
    const MAP: &str = "config/imageswap-maps.conf";
    let (fields, input, arguments): (Vec<&Field>, _, &[&str]) = match name {
        "swap" => {
            let fields = swap::FIELDS.iter().chain(&OUTCOME_FIELDS).collect();
            (fields, "", &["--maps", MAP, "nginx:1.27"])
        }
        "explain" => {
            let fields = explain::FIELDS.iter().chain(&OUTCOME_FIELDS).collect();
            (fields, "", &["--maps", MAP, "nginx:1.27"])
        }
        "check" => {
            let fields = check::FIELDS.iter().collect();
            (fields, "default::registry.example.com\nbroken\n", &["-"])
        }
        // An example would need a running webhook.
        "review" => {
            return Some(JSON.to_owned() + &table_of(&review::FIELDS.iter().collect::<Vec<_>>()));
        }
        // An example would need a cluster.
        "plan" => {
            return Some(JSON.to_owned() + &table_of(&plan::FIELDS.iter().collect::<Vec<_>>()));
        }
        _ => return None,
    };
    let fields = table_of(&fields);
    let arguments = [&[name, "--output", "json"], arguments].concat();
    let output = output_of(&arguments, input);
    let source = match input {
        "" => String::new(),
        input => format!("printf '{}' | ", input.replace('\n', "\\n")),
    };
    let example = format!("$ {source}imageswap {}\n{output}", arguments.join(" "));
    Some(format!("{JSON}{fields}\n{}", markdown::code("console", &example)))
}

/// Returns a table of fields.
fn table_of(fields: &[&Field]) -> String {
    let rows = fields.iter().map(|field| [literal(field.name), field.meaning.to_owned()]);
    markdown::table(["field", "meaning"], rows)
}

/// Runs the program from the root of the repository, and returns its output.
fn output_of(arguments: &[&str], input: &str) -> String {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    file.rewind().unwrap();
    let output = Process::new(env!("CARGO_BIN_EXE_imageswap"))
        .args(arguments)
        .env_clear()
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(file)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}
