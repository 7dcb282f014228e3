//! Sets `IMAGESWAP_REVISION` for the compiler: the git commit that the program is built from.
//!
//! The value comes from the environment variable of that name. A build of the container image sets it, because it has
//! no `.git`. Otherwise the value comes from the files of the git repository. If there is no repository, it is
//! `unknown`. Git need not be installed. Cargo runs this script again only if one of these sources changes.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

const VARIABLE: &str = "IMAGESWAP_REVISION";

/// Length of a short commit in characters, as in git.
const SHORT_LENGTH: usize = 7;

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let given = env::var(VARIABLE).ok().filter(|value| !value.trim().is_empty());
    let revision = given.or_else(head).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env={VARIABLE}={}", shorten(revision.trim()));
}

/// Shortens a commit. Any other text stays unchanged.
fn shorten(revision: &str) -> &str {
    let is_commit = revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    revision.get(..SHORT_LENGTH).filter(|_| is_commit).unwrap_or(revision)
}

/// Reads the current commit, and makes Cargo watch the files that name it.
fn head() -> Option<String> {
    // In a worktree `.git` is a file that names the directory.
    let directory = match fs::read_to_string(".git") {
        Ok(file) => PathBuf::from(file.strip_prefix("gitdir:")?.trim()),
        Err(_) => PathBuf::from(".git"),
    };
    // All worktrees use the branches of the main directory.
    let common = match fs::read_to_string(directory.join("commondir")) {
        Ok(path) => directory.join(path.trim()),
        Err(_) => directory.clone(),
    };
    let head = watched(&directory.join("HEAD"))?;
    let Some(branch) = head.trim().strip_prefix("ref: ") else { return Some(head) };
    watched(&common.join(branch)).or_else(|| {
        let packed = watched(&common.join("packed-refs"))?;
        let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(_, name)| *name == branch).map(|(commit, _)| commit.to_owned())
    })
}

/// Reads a file and makes Cargo watch it.
///
/// If the file does not exist, Cargo watches the closest existing directory, because it would run the script at every
/// build for a missing file.
fn watched(file: &Path) -> Option<String> {
    if let Some(path) = file.ancestors().find(|path| path.exists()) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    fs::read_to_string(file).ok()
}
