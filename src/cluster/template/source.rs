//! The file of the template: followed, and replaced by the built-in template when there is none.

use std::{fs, io, path::Path, sync::Arc};

use tracing::{info, warn};

use super::{
    super::{TemplateFile, hints::Hints},
    MAX_BYTES, Template, TemplateError, TemplateSlot,
};
use crate::{
    file::read_regular_up_to,
    reload::{Freshness, Source},
};

/// Maximum number of entries of the directory that are read. A ConfigMap has a few; a file that is named may be anywhere.
const MAX_LISTED_FILES: usize = 1000;

/// Maximum number of files that a log line names.
const MAX_NAMED_FILES: usize = 5;

/// Follows the file of a template.
#[derive(Debug)]
pub struct TemplateSource {
    file: TemplateFile,
    slot: TemplateSlot,
    hints: Hints,
    /// The origin of the template in use; `None` as long as there is none.
    origin: Option<Origin>,
    /// Files that were found in place of the one with the template, which is logged once.
    beside: Vec<String>,
    last_failure: Option<String>,
}

/// The origin of a template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origin {
    BuiltIn,
    File,
}

impl TemplateSource {
    /// Loads `file`, and prepares to follow it, with a hint for each change.
    ///
    /// The built-in template takes the place of a default file that is not there, but not of one that
    /// was there before: whoever removes it, as by pruning a ConfigMap, rarely means to change what is
    /// swapped. It does so after a restart.
    #[must_use]
    pub fn load(file: TemplateFile, hints: Hints) -> Self {
        let slot = TemplateSlot::default();
        let (origin, beside, last_failure) = (None, Vec::new(), None);
        let mut source = Self { file, slot, hints, origin, beside, last_failure };
        source.reload();
        source
    }

    /// Returns the slot that holds the template in use.
    #[must_use]
    pub fn slot(&self) -> TemplateSlot {
        self.slot.clone()
    }

    fn file(&self) -> &Path {
        match &self.file {
            TemplateFile::Default(file) | TemplateFile::Named(file) => file,
        }
    }

    fn read(&self) -> Result<(Template, Origin), TemplateError> {
        match read_regular_up_to(self.file(), MAX_BYTES) {
            Ok(Some(text)) => {
                let text = String::from_utf8(text)
                    .map_err(|error| TemplateError::Syntax(error.to_string()))?;
                Ok((Template::parse(&text)?, Origin::File))
            }
            Ok(None) => Err(TemplateError::TooLarge),
            Err(error) => match (&self.file, self.origin) {
                (TemplateFile::Default(_), None | Some(Origin::BuiltIn))
                    if error.kind() == io::ErrorKind::NotFound =>
                {
                    Ok((Template::built_in()?, Origin::BuiltIn))
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Puts a template to use.
    fn take(&mut self, template: Template, origin: Origin) {
        let file = self.file();
        match origin {
            Origin::BuiltIn => {
                info!(
                    source = "built-in", file = %file.display(),
                    "built-in webhook template loaded, no template file found"
                );
            }
            Origin::File => {
                info!(source = "file", file = %file.display(), "webhook template loaded");
            }
        }
        if !template.ignored.is_empty() {
            warn!(
                file = %file.display(), fields = template.ignored.join(", "),
                "fields of the webhook template ignored; they belong to the object that it was copied from"
            );
        }
        for path in &template.unanswered {
            path.warn(file);
        }
        self.origin = Some(origin);
        self.slot.store(Some(Arc::new(template)));
        self.hints.give();
    }

    /// Warns of files in the directory while it lacks the one with the template, which is the mistake of
    /// a ConfigMap with another key.
    fn warn_of_other_files(&mut self, origin: Origin) {
        let beside = match origin {
            Origin::BuiltIn => files_beside(self.file()),
            Origin::File => Vec::new(),
        };
        if beside != self.beside && !beside.is_empty() {
            warn!(
                file = %self.file().display(), found = beside.join(", "),
                hint = "the key of the ConfigMap has to be imageswap-mwc",
                "webhook template file not found, using the built-in template"
            );
        }
        self.beside = beside;
    }
}

/// Returns the names of some files in the directory of `file`, without hidden ones, such as those by which
/// the kubelet exchanges a volume.
fn files_beside(file: &Path) -> Vec<String> {
    let entries = file.parent().and_then(|directory| fs::read_dir(directory).ok());
    let entries = entries.into_iter().flatten().flatten().take(MAX_LISTED_FILES);
    let names = entries.map(|entry| entry.file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names.truncate(MAX_NAMED_FILES);
    names
}

impl Source for TemplateSource {
    fn directory(&self) -> &Path {
        match self.file().parent() {
            Some(directory) if directory != Path::new("") => directory,
            _ => Path::new("."),
        }
    }

    fn reload(&mut self) -> Freshness {
        match self.read() {
            Ok((template, origin)) => {
                self.last_failure = None;
                if self.origin != Some(origin) || self.slot.load().as_deref() != Some(&template) {
                    self.take(template, origin);
                }
                self.warn_of_other_files(origin);
                Freshness::Fresh
            }
            Err(error) => {
                let failure = error.to_string();
                if self.last_failure.as_ref() != Some(&failure) {
                    let consequence = if self.slot.load().is_some() {
                        "the last good one stays in use"
                    } else {
                        "the configuration is left as it is"
                    };
                    warn!(
                        file = %self.file().display(), error = %failure,
                        "the template of the webhook configuration cannot be used; {consequence}"
                    );
                    self.last_failure = Some(failure);
                }
                Freshness::Stale
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::BUILT_IN, *};

    #[test]
    fn a_bad_file_leaves_the_last_good_template() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("template.yaml");
        let named = TemplateSource::load(TemplateFile::Named(file.clone()), Hints::default());
        assert!(named.slot().load().is_none(), "a file that was named has to be there");
        let mut source =
            TemplateSource::load(TemplateFile::Default(file.clone()), Hints::default());
        let built_in = Template::built_in().unwrap();
        assert_eq!(source.slot().load().as_deref(), Some(&built_in));
        fs::write(&file, BUILT_IN.replace("timeoutSeconds: 5", "timeoutSeconds: 9")).unwrap();
        assert_eq!(source.reload(), Freshness::Fresh);
        assert_eq!(source.slot().load_full().unwrap().value["webhooks"][0]["timeoutSeconds"], 9);
        fs::write(&file, "broken: [").unwrap();
        assert_eq!(source.reload(), Freshness::Stale);
        assert_eq!(source.slot().load_full().unwrap().value["webhooks"][0]["timeoutSeconds"], 9);
    }

    #[test]
    fn a_file_that_vanishes_leaves_its_template_until_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("template.yaml");
        let load = || TemplateSource::load(TemplateFile::Default(file.clone()), Hints::default());
        let timeout = |source: &TemplateSource| {
            source.slot().load_full().unwrap().value["webhooks"][0]["timeoutSeconds"].clone()
        };
        fs::write(&file, BUILT_IN.replace("timeoutSeconds: 5", "timeoutSeconds: 9")).unwrap();
        let mut source = load();
        assert_eq!(source.origin, Some(Origin::File));
        fs::remove_file(&file).unwrap();
        assert_eq!(source.reload(), Freshness::Stale);
        assert_eq!((timeout(&source), source.origin), (json!(9), Some(Origin::File)));
        let restarted = load();
        assert_eq!((timeout(&restarted), restarted.origin), (json!(5), Some(Origin::BuiltIn)));
        // A file with the text of the built-in template is a file all the same.
        fs::write(&file, BUILT_IN).unwrap();
        assert_eq!(source.reload(), Freshness::Fresh);
        let mut restarted = restarted;
        assert_eq!(restarted.reload(), Freshness::Fresh);
        fs::remove_file(&file).unwrap();
        assert_eq!(restarted.reload(), Freshness::Stale);
    }

    #[test]
    fn files_beside_the_template_are_told_without_hidden_ones() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("imageswap-mwc.yaml");
        assert_eq!(files_beside(&file), [""; 0]);
        for name in ["..data", "template.yaml", "imageswap-mwc"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(files_beside(&file), ["imageswap-mwc", "template.yaml"]);
        assert_eq!(files_beside(&directory.path().join("missing/imageswap-mwc.yaml")), [""; 0]);
        // They are noticed also when the built-in template is in use already.
        fs::remove_file(directory.path().join("template.yaml")).unwrap();
        fs::remove_file(directory.path().join("imageswap-mwc")).unwrap();
        let mut source =
            TemplateSource::load(TemplateFile::Default(file.clone()), Hints::default());
        assert_eq!(source.beside, [""; 0]);
        fs::write(directory.path().join("unused"), "").unwrap();
        source.reload();
        assert_eq!(source.beside, ["unused"]);
        fs::write(&file, BUILT_IN).unwrap();
        source.reload();
        assert_eq!(source.beside, [""; 0]);
    }
}
