//! Settings of admission, besides the map.

use std::collections::BTreeSet;

use super::{AdmissionArguments, ScopeArguments, SettingsError, table, value::given};
use crate::{
    admission::{AdmissionSettings, Reporting, Scope, Shadow},
    namespace::is_namespace,
};

impl ScopeArguments {
    /// Validates the settings.
    ///
    /// # Errors
    /// If a setting is not valid.
    pub fn parse(&self) -> Result<Scope, SettingsError> {
        let label = table::DISABLE_LABEL.or_default(&self.disable_label);
        Ok(Scope {
            disable_label: table::DISABLE_LABEL.label(label)?.into(),
            swaps_never_pulled: table::SWAP_NEVER_PULLED.boolean(&self.swap_never_pulled)?,
        })
    }
}

impl AdmissionArguments {
    pub(super) fn parse(&self) -> Result<AdmissionSettings, SettingsError> {
        Ok(AdmissionSettings {
            scope: self.scope.parse()?,
            reporting: Reporting {
                audits: table::AUDIT_ANNOTATIONS.boolean(&self.audit_annotations)?,
                warns: table::WARNINGS.boolean(&self.warnings)?,
                annotates: table::ANNOTATE.boolean(&self.annotate)?,
            },
            shadow: self.shadow()?,
        })
    }

    fn shadow(&self) -> Result<Shadow, SettingsError> {
        let namespaces = given(&self.shadow_namespaces).map(namespaces).transpose()?;
        Ok(match namespaces {
            _ if table::SHADOW.boolean(&self.shadow)? => Shadow::Everywhere,
            Some(namespaces) if !namespaces.is_empty() => Shadow::In(namespaces),
            _ => Shadow::Nowhere,
        })
    }
}

/// Parses a list of namespaces.
fn namespaces(list: &str) -> Result<BTreeSet<Box<str>>, SettingsError> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let checked = names.map(|name| {
        if is_namespace(name) { Ok(name.into()) } else { Err(table::SHADOW_NAMESPACES.error(list)) }
    });
    checked.collect()
}
