//! The source files, without comments, strings and unit tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::paths::paths;

/// A file of the source.
pub(crate) struct File {
    /// Its path below `src`.
    pub(crate) path: String,
    code: String,
    paths: Vec<Vec<String>>,
}

/// Reads all files below `src`.
pub(crate) fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    read(&root, &root, &mut files);
    assert!(files.len() > 50, "only {} files below {}", files.len(), root.display());
    files
}

fn read(root: &Path, directory: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            read(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs"
        {
            let code = code_of(&fs::read_to_string(&path).unwrap());
            let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.push(File { path, paths: paths(&code), code });
        }
    }
}

impl File {
    /// Returns the room of the file; `None` for `lib.rs` and `main.rs`, which name all rooms.
    pub(crate) fn room(&self) -> Option<&str> {
        let first = self.path.split('/').next()?;
        let room = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(room, "lib" | "main")).then_some(room)
    }

    /// Returns the rooms that the file names by `crate::`.
    pub(crate) fn rooms_used(&self) -> BTreeSet<String> {
        let paths = self.paths.iter().filter(|path| path[0] == "crate");
        paths.filter_map(|path| path.get(1).cloned()).collect()
    }

    /// Returns true if the code has a name, which may be a path such as `std::fs`, as a whole word.
    pub(crate) fn names(&self, name: &str) -> bool {
        if name.contains("::") {
            let name: Vec<_> = name.split("::").collect();
            return self
                .paths
                .iter()
                .any(|path| path.iter().zip(&name).filter(|(a, b)| a == *b).count() == name.len());
        }
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        self.code.match_indices(name).any(|(at, _)| {
            let before = self.code[..at].chars().next_back();
            let after = self.code[at + name.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
    }

    /// Returns the module of the file among those of a directory; `None` for the parent and for other files.
    pub(crate) fn module_in(&self, directory: &str) -> Option<&str> {
        let rest = self.path.strip_prefix(directory)?;
        let first = rest.split('/').next()?;
        let module = first.strip_suffix(".rs").unwrap_or(first);
        (module != "mod").then_some(module)
    }

    /// Returns the names that a parent module takes from its modules, each with its module.
    pub(crate) fn exports(&self) -> BTreeMap<String, String> {
        let own = self.paths.iter().filter(|path| path[0] == "self" && path.len() > 2);
        own.map(|path| (path.last().unwrap().clone(), path[1].clone())).collect()
    }

    /// Returns the modules of a directory that the file uses, by their names or by what the parent takes from them.
    pub(crate) fn siblings_used(
        &self,
        directory: &str,
        exports: &BTreeMap<String, String>,
    ) -> BTreeSet<String> {
        let Some(rest) = self.path.strip_prefix(directory) else { return BTreeSet::new() };
        // A `mod.rs` stands for its directory.
        let depth = rest.trim_end_matches("/mod.rs").matches('/').count();
        let modules: BTreeSet<_> = siblings(directory);
        let mut used = BTreeSet::new();
        for path in &self.paths {
            let supers = path.iter().take_while(|segment| *segment == "super").count();
            let Some(name) = path.get(supers).filter(|_| supers == depth + 1) else { continue };
            if modules.contains(name) {
                used.insert(name.clone());
            } else if let Some(module) = exports.get(name) {
                used.insert(module.clone());
            }
        }
        used
    }
}

fn siblings(directory: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(directory);
    let names = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_str().unwrap().trim_end_matches(".rs").to_owned()).collect()
}

/// Returns source code without comments, the content of strings, and the unit tests at its end.
fn code_of(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap();
    let mut code = String::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap();
        let mut outside = true;
        for part in line.split('"') {
            if outside {
                code.push_str(part);
            }
            outside = !outside;
        }
        code.push('\n');
    }
    code
}
