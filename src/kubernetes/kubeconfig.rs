//! Reads the kubeconfig. Its errors do not quote the content, which has tokens and keys, but for the names in it.

use std::{
    env,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use kube::config::{Kubeconfig, KubeconfigError};

use super::context::Context;
use crate::innermost::innermost;

/// The reason why there is no kubeconfig. The text names the file.
#[derive(Debug)]
pub(super) enum KubeconfigProblem {
    /// There is no file.
    Missing(String),
    /// A file cannot be read, or does not describe how to reach a cluster.
    Unusable(String),
}

/// Reads a context of the kubeconfig `file`; `None` for the files that `KUBECONFIG` names, or that of the user. `name`
/// is that of the context; `None` for the current one.
///
/// # Errors
/// If there is no file or no such context, or it does not describe how to reach a cluster.
pub(super) fn read(file: Option<&Path>, name: Option<&str>) -> Result<Context, KubeconfigProblem> {
    let given = file.map(Path::to_owned).into_iter().collect();
    let files = if file.is_some() { given } else { of_variable(env::var_os("KUBECONFIG")) };
    let (content, shown) = if files.is_empty() {
        let file = env::home_dir().unwrap_or_default().join(".kube/config");
        // A pod may not read the directory of its user.
        let content = Kubeconfig::read_from(&file).map_err(|error| match error {
            KubeconfigError::ReadConfig(..) => KubeconfigProblem::Missing(describe(&error, &file)),
            error => KubeconfigProblem::Unusable(describe(&error, &file)),
        })?;
        (content, shown(&[file]))
    } else {
        (merged(&files)?, shown(&files))
    };
    Context::find(&content, name, &shown).map_err(KubeconfigProblem::Unusable)
}

/// Returns the files in `KUBECONFIG`, whose value is `variable`.
fn of_variable(variable: Option<std::ffi::OsString>) -> Vec<PathBuf> {
    let files = variable.unwrap_or_default();
    env::split_paths(&files).filter(|file| !file.as_os_str().is_empty()).collect()
}

/// Merges files. As for kubectl, some of them may be missing.
fn merged(files: &[PathBuf]) -> Result<Kubeconfig, KubeconfigProblem> {
    let (mut merged, mut missing) = (None, String::new());
    for file in files {
        let unusable = |error| KubeconfigProblem::Unusable(describe(&error, file));
        match Kubeconfig::read_from(file) {
            Ok(next) => {
                let before: Kubeconfig = merged.take().unwrap_or_default();
                merged = Some(before.merge(next).map_err(unusable)?);
            }
            Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == ErrorKind::NotFound => {
                missing = format!("{}: {error}", shown(std::slice::from_ref(file)));
            }
            Err(error) => return Err(unusable(error)),
        }
    }
    merged.ok_or(KubeconfigProblem::Missing(missing))
}

/// Names the kubeconfig of these files.
fn shown(files: &[PathBuf]) -> String {
    let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    format!("the kubeconfig {}", files.join(":"))
}

/// Describes the error of a file.
fn describe(error: &KubeconfigError, file: &Path) -> String {
    let reason = match error {
        KubeconfigError::Parse(error) => {
            let place = error.location().map_or_else(String::new, |place| {
                format!("line {}, column {}: ", place.line(), place.column())
            });
            format!("{place}not valid YAML, or not a kubeconfig")
        }
        error => innermost(error),
    };
    format!("the kubeconfig {}: {reason}", file.display())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_files_of_the_variable_are_merged_and_may_be_missing() {
        let directory = TempDir::new().unwrap();
        let file = |name: &str| directory.path().join(name);
        fs::write(file("first"), "current-context: a\n").unwrap();
        fs::write(file("second"), "current-context: b\ncontexts: [{ name: a }]\n").unwrap();
        fs::write(file("broken"), "[").unwrap();
        let content = merged(&[file("none"), file("first"), file("second")]).unwrap();
        assert_eq!(content.current_context.as_deref(), Some("a"));
        assert_eq!(content.contexts.len(), 1);
        let missing = merged(&[file("none"), file("nor-this")]);
        assert!(
            matches!(missing, Err(KubeconfigProblem::Missing(error)) if error.contains("nor-this: No such"))
        );
        let broken = merged(&[file("first"), file("broken")]);
        assert!(
            matches!(broken, Err(KubeconfigProblem::Unusable(error)) if error.contains("broken: line 1"))
        );
    }
}
