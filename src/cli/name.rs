//! Names under which other programs start this one.
//!
//! The init container of the Python version runs `/app/imageswap-init.py`, and its webhook runs `gunicorn`. The image has
//! links to the program in both places, so that the manifests of the Python version work with this image.
//!
//! kubectl runs a plugin under the name `kubectl-imageswap`.

use std::{ffi::OsString, path::Path};

/// A name of the program that stands for a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alias {
    name: &'static str,
    command: &'static [&'static str],
}

/// With the certificate from files, `serve` follows the init container: it has written the certificate, and only it has
/// the template of the webhook configuration.
const ALIASES: [Alias; 2] = [
    Alias { name: "gunicorn", command: &["serve", "--tls-mode", "files"] },
    Alias { name: "imageswap-init.py", command: &["init"] },
];

/// Name of the program as a plugin of kubectl.
const PLUGIN: &str = "kubectl-imageswap";

/// Command that runs the plugin, so that help and errors name what users type.
const PLUGIN_COMMAND: &str = "kubectl imageswap";

/// Returns the arguments of the program, and the alias by which it was started.
///
/// The arguments after an alias are dropped: `gunicorn` gets the name of a Python module, and `imageswap-init.py` reads
/// none.
pub(super) fn arguments(
    mut given: impl Iterator<Item = OsString>,
) -> (Vec<OsString>, Option<Alias>) {
    let program = given.next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default();
    match ALIASES.into_iter().find(|alias| alias.name == name) {
        None if name == PLUGIN => {
            (std::iter::once(PLUGIN_COMMAND.into()).chain(given).collect(), None)
        }
        None => (std::iter::once(program).chain(given).collect(), None),
        Some(alias) => {
            let command = alias.command.iter().map(OsString::from);
            (std::iter::once("imageswap".into()).chain(command).collect(), Some(alias))
        }
    }
}

impl Alias {
    /// Logs that the alias decides on the command.
    pub(super) fn log(self) {
        let Self { name: program, command } = self;
        tracing::info!(
            program,
            command = command.join(" "),
            "started under a name of the Python ImageSwap"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_original_stand_for_commands_and_all_others_for_the_program() {
        for (given, expected) in [
            (
                &["gunicorn", "imageswap:app", "--config=config.py"][..],
                "imageswap serve --tls-mode files",
            ),
            (&["/usr/local/bin/gunicorn", "--version"], "imageswap serve --tls-mode files"),
            (&["/app/imageswap-init.py"], "imageswap init"),
            (&["./imageswap-init.py", "--flag"], "imageswap init"),
            (&["/imageswap", "init", "--tls-dir", "d"], "/imageswap init --tls-dir d"),
            (&["gunicorn.old", "serve"], "gunicorn.old serve"),
            (&["/home/user/.krew/bin/kubectl-imageswap", "swap", "a"], "kubectl imageswap swap a"),
            (&[], ""),
        ] {
            let (arguments, alias) = arguments(given.iter().map(OsString::from));
            assert_eq!(arguments.join(" ".as_ref()), expected);
            assert_eq!(alias.is_some(), expected.starts_with("imageswap "), "{given:?}");
        }
    }
}
