//! The source files, with the names and paths that they use.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use support::source::{Source, Token, sources};

use crate::paths::paths;

/// A file of the source, without comments, the content of strings, and unit tests.
pub(crate) struct File {
    /// Its path below `src`.
    pub(crate) path: String,
    room: String,
    words: BTreeSet<String>,
    paths: Vec<Vec<String>>,
}

/// Reads all files below `src`.
pub(crate) fn files() -> Vec<File> {
    sources().iter().map(File::new).collect()
}

impl File {
    fn new(source: &Source) -> Self {
        let mut words = BTreeSet::new();
        source.visit(&mut |tokens| {
            if let [Token::Word(word), ..] = tokens {
                words.insert(word.clone());
            }
        });
        let (path, room) = (source.path.clone(), source.module().to_owned());
        Self { path, room, words, paths: paths(source) }
    }

    /// Returns the room of the file; `None` for `lib.rs` and `main.rs`, which name all rooms.
    pub(crate) fn room(&self) -> Option<&str> {
        (!matches!(&*self.room, "lib" | "main")).then_some(&*self.room)
    }

    /// Returns the rooms that the file names by `crate::`.
    pub(crate) fn rooms_used(&self) -> BTreeSet<String> {
        let paths = self.paths.iter().filter(|path| path[0] == "crate");
        paths.filter_map(|path| path.get(1).cloned()).collect()
    }

    /// Returns true if the code has a name, which may be a path such as `std::fs`.
    pub(crate) fn names(&self, name: &str) -> bool {
        let name: Vec<_> = name.split("::").collect();
        match name.as_slice() {
            [word] => self.words.contains(*word),
            path => self.paths.iter().any(|found| {
                found.len() >= path.len() && found.iter().zip(path).all(|(a, b)| a == b)
            }),
        }
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
