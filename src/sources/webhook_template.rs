//! Loads the template of the webhook configuration from its file, or uses the built-in one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tracing::{info, warn};

use super::{FollowedFile, Loaded, Source, directory_of};
use crate::{
    bounded_read::read_regular_up_to,
    controller::{MAX_TEMPLATE_BYTES, Template, TemplateError},
    origin::Origin,
    state::{HasStatus, Live, Load, LoadError, Summary},
};

/// Maximum number of entries of the directory that are read. A ConfigMap has a few, but a file that the settings name
/// may be in any directory.
const MAX_LISTED_FILES: usize = 1000;

/// Maximum number of files that a log line names.
const MAX_NAMED_FILES: usize = 5;

/// Advice in the log on a template that names `replicasets`.
const REPLICA_SETS_ADVICE: &str = "name deployments instead; a Deployment would replace a ReplicaSet that differs \
     from its own template again and again";

/// Advice in the log on a template that selects the pods of the webhook.
const OWN_NAMESPACE_ADVICE: &str = "add its name to a `NotIn` of kubernetes.io/metadata.name; otherwise only a label of \
     the namespace lets ImageSwap start again after the loss of all replicas";

/// Loads the template of the webhook configuration.
///
/// The built-in template is used if the default file does not exist, but not if the file existed before. A removal of
/// the file, for example of a pruned ConfigMap, is rarely meant to change which pods are swapped. It takes effect after
/// a restart.
#[derive(Debug)]
pub struct TemplateSource {
    file: FollowedFile,
    directory: PathBuf,
    /// The namespace of the pods that answer the webhook; `None` if it is not known.
    namespace: Option<String>,
    /// Other files that were found while the template file is missing. They are logged once.
    other_files: Vec<String>,
}

impl TemplateSource {
    /// Creates the source of the template in `file`.
    #[must_use]
    pub fn new(file: FollowedFile) -> Self {
        Self {
            directory: directory_of(file.path()),
            file,
            namespace: None,
            other_files: Vec::new(),
        }
    }

    /// Sets the namespace of the pods that answer the webhook. A template that selects it gets a warning.
    #[must_use]
    pub fn for_pods_in(self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self }
    }

    fn file(&self) -> &Path {
        self.file.path()
    }

    fn read(&self, in_use: Option<&Origin>) -> Result<(Template, Origin), TemplateError> {
        match read_regular_up_to(self.file(), MAX_TEMPLATE_BYTES) {
            Ok(Some(text)) => {
                let text = String::from_utf8(text)
                    .map_err(|error| TemplateError::Syntax(error.to_string()))?;
                Ok((Template::parse(&text)?, Origin::File(self.file().to_owned())))
            }
            Ok(None) => Err(TemplateError::TooLarge),
            Err(error) => match (&self.file, in_use) {
                (FollowedFile::Default(_), None | Some(Origin::BuiltIn))
                    if error.kind() == io::ErrorKind::NotFound =>
                {
                    Ok((Template::built_in()?, Origin::BuiltIn))
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Warns of fields that are not applied, of paths that are not answered, and of rules without effect.
    fn warn_of_findings(&self, template: &Template) {
        let file = self.file();
        if !template.ignored.is_empty() {
            warn!(
                file = %file.display(), fields = template.ignored.join(", "),
                "fields of the webhook template ignored; they belong to the object that it was copied from"
            );
        }
        for path in &template.unanswered {
            path.warn(file);
        }
        for field in &template.replica_sets {
            warn!(
                file = %file.display(), field, hint = REPLICA_SETS_ADVICE,
                "webhook template names ReplicaSets; those of a Deployment are left alone"
            );
        }
        let Some(namespace) = &self.namespace else { return };
        for field in template.fields_that_select(namespace) {
            warn!(
                file = %file.display(), field, namespace, hint = OWN_NAMESPACE_ADVICE,
                "webhook template does not exclude the namespace of ImageSwap"
            );
        }
    }

    /// Warns of other files in the directory while the template file is missing. The usual cause is a ConfigMap with a
    /// wrong key.
    fn warn_of_other_files(&mut self, origin: &Origin) {
        let other_files = match origin {
            Origin::BuiltIn => other_files(self.file()),
            _ => Vec::new(),
        };
        if other_files != self.other_files && !other_files.is_empty() {
            warn!(
                file = %self.file().display(), found = other_files.join(", "),
                hint = "the key of the ConfigMap has to be imageswap-mwc",
                "other files found in place of the webhook template"
            );
        }
        self.other_files = other_files;
    }
}

impl Source for TemplateSource {
    type Value = Template;

    fn directory(&self) -> &Path {
        &self.directory
    }

    fn load(&mut self, live: &Live<Template>) -> Result<Loaded<Template>, LoadError> {
        let status = live.status();
        let (template, origin) = self.read(status.origin()).map_err(|error| {
            LoadError::transient(format_args!("{}: {error}", self.file().display()))
        })?;
        self.warn_of_other_files(&origin);
        if status.origin() == Some(&origin) && live.load().as_deref() == Some(&template) {
            return Ok(Loaded::InUse);
        }
        if origin == Origin::BuiltIn {
            let file = self.file().display();
            info!(%file, "no webhook template file, using the built-in template");
        }
        self.warn_of_findings(&template);
        Ok(Loaded::New(template, Load::new(origin, Summary::WebhookTemplate)))
    }
}

/// Returns the names of some files in the directory of `file`, without hidden ones, such as the kubelet's own entries
/// in a volume.
fn other_files(file: &Path) -> Vec<String> {
    let entries = file.parent().and_then(|directory| fs::read_dir(directory).ok());
    let entries = entries.into_iter().flatten().flatten().take(MAX_LISTED_FILES);
    let names = entries.map(|entry| entry.file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names.truncate(MAX_NAMED_FILES);
    names
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::{super::refresh, *};
    use crate::state::{Retry, Subject};

    const BUILT_IN: &str = include_str!("../../config/imageswap-mwc.yaml");

    /// A source with the value that it loads, as after the start of the process.
    struct Followed {
        source: TemplateSource,
        live: Live<Template>,
    }

    impl Followed {
        fn new(file: FollowedFile) -> Self {
            let live = Live::new(Subject::WebhookTemplate, Arc::default());
            let mut followed = Self { source: TemplateSource::new(file), live };
            followed.refresh();
            followed
        }

        fn refresh(&mut self) -> Retry {
            refresh(&mut self.source, &self.live)
        }

        fn timeout(&self) -> serde_json::Value {
            self.live.load_full().unwrap().value["webhooks"][0]["timeoutSeconds"].clone()
        }

        fn is_built_in(&self) -> bool {
            self.live.status().origin() == Some(&Origin::BuiltIn)
        }
    }

    #[test]
    fn a_bad_file_keeps_the_last_good_template() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("template.yaml");
        let named = Followed::new(FollowedFile::Named(file.clone()));
        assert!(named.live.load().is_none(), "a file that the settings name has to exist");
        let mut followed = Followed::new(FollowedFile::Default(file.clone()));
        let built_in = Template::built_in().unwrap();
        assert_eq!(followed.live.load().as_deref(), Some(&built_in));
        fs::write(&file, BUILT_IN.replace("timeoutSeconds: 5", "timeoutSeconds: 9")).unwrap();
        assert_eq!(followed.refresh(), Retry::WhenChanged);
        assert_eq!(followed.timeout(), 9);
        fs::write(&file, "broken: [").unwrap();
        assert_eq!(followed.refresh(), Retry::AfterDelay);
        assert_eq!(followed.timeout(), 9);
    }

    #[test]
    fn a_removed_file_keeps_its_template_until_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("template.yaml");
        let start = || Followed::new(FollowedFile::Default(file.clone()));
        fs::write(&file, BUILT_IN.replace("timeoutSeconds: 5", "timeoutSeconds: 9")).unwrap();
        let mut followed = start();
        assert!(!followed.is_built_in());
        fs::remove_file(&file).unwrap();
        assert_eq!(followed.refresh(), Retry::AfterDelay);
        assert_eq!((followed.timeout(), followed.is_built_in()), (json!(9), false));
        let mut restarted = start();
        assert_eq!((restarted.timeout(), restarted.is_built_in()), (json!(5), true));
        // A file with the text of the built-in template still counts as a file.
        fs::write(&file, BUILT_IN).unwrap();
        assert_eq!(followed.refresh(), Retry::WhenChanged);
        assert_eq!(restarted.refresh(), Retry::WhenChanged);
        fs::remove_file(&file).unwrap();
        assert_eq!(restarted.refresh(), Retry::AfterDelay);
    }

    #[test]
    fn other_files_are_reported_without_hidden_ones() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("imageswap-mwc.yaml");
        assert_eq!(other_files(&file), [""; 0]);
        for name in ["..data", "template.yaml", "imageswap-mwc"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(other_files(&file), ["imageswap-mwc", "template.yaml"]);
        assert_eq!(other_files(&directory.path().join("missing/imageswap-mwc.yaml")), [""; 0]);
        // They are found even if the built-in template is already in use.
        fs::remove_file(directory.path().join("template.yaml")).unwrap();
        fs::remove_file(directory.path().join("imageswap-mwc")).unwrap();
        let mut followed = Followed::new(FollowedFile::Default(file.clone()));
        assert_eq!(followed.source.other_files, [""; 0]);
        fs::write(directory.path().join("unused"), "").unwrap();
        followed.refresh();
        assert_eq!(followed.source.other_files, ["unused"]);
        fs::write(&file, BUILT_IN).unwrap();
        followed.refresh();
        assert_eq!(followed.source.other_files, [""; 0]);
    }
}
