//! Settings of commands that decide like a webhook in one namespace.

use std::path::PathBuf;

use clap::Args;

use super::{SettingsError, table, value::given};
use crate::namespace::{MAP_EXTENSION, is_namespace};

/// Raw text of the flags that select the map of a namespace.
#[derive(Args, Clone, Debug)]
pub struct NamespaceArguments {
    /// Namespace whose map is asked before the map of the cluster
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    #[command(flatten)]
    maps: NamespaceMapsArguments,
}

/// Raw text of the flag that selects the maps of all namespaces.
#[derive(Args, Clone, Debug)]
pub struct NamespaceMapsArguments {
    /// Directory with the maps of namespaces: a file `NAMESPACE.conf` for each
    #[arg(
        long,
        visible_alias = "namespace-maps",
        env = "IMAGESWAP_NAMESPACE_MAPS_DIR",
        value_name = "DIRECTORY"
    )]
    namespace_maps_dir: Option<String>,
}

impl NamespaceMapsArguments {
    /// Returns the directory; `None` if none is given, and there is none at the default path.
    #[must_use]
    pub fn directory(&self) -> Option<PathBuf> {
        let directory = self.directory_or_default();
        (given(&self.namespace_maps_dir).is_some() || directory.is_dir()).then_some(directory)
    }

    fn directory_or_default(&self) -> PathBuf {
        PathBuf::from(table::NAMESPACE_MAPS_DIR.or_default(&self.namespace_maps_dir))
    }
}

/// The map of a namespace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamespaceMapFile {
    /// The namespace.
    pub namespace: String,
    /// The file, which need not exist.
    pub file: PathBuf,
}

impl NamespaceArguments {
    /// Returns the map of the namespace; `None` if no namespace is given.
    ///
    /// # Errors
    /// If no namespace can have the given name.
    pub fn parse(&self) -> Result<Option<NamespaceMapFile>, SettingsError> {
        let Some(namespace) = &self.namespace else { return Ok(None) };
        if !is_namespace(namespace) {
            return Err(SettingsError::Namespace(namespace.clone()));
        }
        let file = self.maps.directory_or_default().join(format!("{namespace}{MAP_EXTENSION}"));
        Ok(Some(NamespaceMapFile { namespace: namespace.clone(), file }))
    }
}
