//! `settings.md`: the settings, from the table of the parser and the help of the flags.

use clap::{Arg, Command};
use imageswap::{
    cli::command,
    settings::{DefaultValue, SETTINGS, Setting},
};

use crate::markdown::{self, literal};

const INTRODUCTION: &str = "\
Each setting is an environment variable and a flag. The flag wins. An empty value counts as not set. If a value is
not valid, the program exits with [code 2](exit-codes.md) before it binds a port. Settings are read at start.

Booleans are `true`, `false`, `1`, `0`, `yes` and `no`, in any case; a flag without a value means `true`. The names of
modes, levels and formats may be in any case.

[Configuration](../configuration.md) explains the objects in the cluster that the settings refer to.

";

pub(crate) fn page() -> String {
    let command = command();
    let rows = SETTINGS.iter().map(|setting| {
        let commands = commands_with(&command, setting);
        let names: Vec<_> = commands.iter().map(|(name, _)| literal(name)).collect();
        [
            literal(setting.variable()),
            flags(commands[0].1),
            defaults(setting),
            setting.accepts().to_owned(),
            meaning(setting, &commands),
            names.join(", "),
        ]
    });
    let columns = ["variable", "flag", "default", "values", "meaning", "commands"];
    markdown::page("Settings") + INTRODUCTION + &markdown::table(columns, rows)
}

/// Returns the commands that take a setting, with their arguments for it.
fn commands_with<'a>(program: &'a Command, setting: &Setting) -> Vec<(&'a str, &'a Arg)> {
    let is_its_own =
        |argument: &&Arg| argument.get_env().is_some_and(|name| name == setting.variable());
    let argument_of = |command: &'a Command| {
        Some((command.get_name(), command.get_arguments().find(is_its_own)?))
    };
    let commands: Vec<_> = program.get_subcommands().filter_map(argument_of).collect();
    assert!(!commands.is_empty(), "no command takes {}", setting.variable());
    commands
}

fn flags(argument: &Arg) -> String {
    let names = argument.get_long_and_visible_aliases().unwrap();
    let names: Vec<_> = names.iter().map(|name| format!("`--{name}`")).collect();
    names.join(", ")
}

fn defaults(setting: &Setting) -> String {
    let text = |default| match default {
        DefaultValue::Described(text) => text.to_owned(),
        DefaultValue::Text(text) => literal(text),
    };
    let default = text(setting.default());
    match setting.development_default() {
        Some(development) => format!("{default}; with `--dev`: {}", text(development)),
        None => default,
    }
}

/// Returns the meaning of a setting; where it differs between commands, once for each.
fn meaning(setting: &Setting, commands: &[(&str, &Arg)]) -> String {
    let meanings: Vec<_> =
        commands.iter().map(|(_, argument)| sentences(setting, argument)).collect();
    if meanings.windows(2).all(|pair| pair[0] == pair[1]) {
        return meanings[0].clone();
    }
    let each = commands.iter().zip(meanings).map(|((name, _), text)| format!("`{name}`: {text}"));
    each.collect::<Vec<_>>().join(" ")
}

/// Returns the help of an argument as sentences, without the default, which has a column of its own.
fn sentences(setting: &Setting, argument: &Arg) -> String {
    let (DefaultValue::Described(default) | DefaultValue::Text(default)) = setting.default();
    let help = argument.get_long_help().or(argument.get_help()).unwrap().to_string();
    let help = help.replace(&format!(" [default: {default}]"), "");
    match help.split_once("\n\n") {
        Some((first, rest)) => format!("{first}. {}", rest.replace("\n\n", " ")),
        None => format!("{help}."),
    }
}
