//! Reasons to refuse a map.

use super::{Code, LoadedMap, MapScope, RuleSet, Severity};

/// The reason why a map is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Strict mode is on, and the map has an error.
    #[error("the map has errors, and IMAGESWAP_STRICT_MAPS is set")]
    Errors,
    /// The map in use has a valid `default`, and this map has none.
    #[error("the map has no valid `default`, but the map in use has one")]
    LosesDefault,
    /// The map has no rules.
    #[error("the map has no rules; write `default::` to leave all images alone")]
    NoRules,
    /// The file is a manifest.
    #[error("the file is a YAML or JSON manifest, not a map")]
    NotAMap,
}

impl LoadedMap {
    /// Returns true if there are no rules. Pull secrets alone are enough for a namespace, whose images the map of the
    /// cluster rewrites.
    fn has_no_effect(&self) -> bool {
        match self.scope {
            MapScope::Cluster => self.rules.rules().is_empty(),
            MapScope::Namespace => self.rules.is_empty(),
        }
    }

    /// Returns the reason to refuse this map, if any. `in_use` is the map that it would replace.
    ///
    /// `strict` refuses a map with any error. Otherwise, invalid lines are skipped, and a map without a valid `default`
    /// is refused only if the map in use has one: a truncated file must not stop the rewriting in a whole cluster.
    #[must_use]
    pub fn refusal(&self, strict: bool, in_use: Option<&RuleSet>) -> Option<Refusal> {
        let is_not_a_map =
            self.diagnostics.kept().iter().any(|diagnostic| diagnostic.code == Code::NotAMap);
        if is_not_a_map {
            Some(Refusal::NotAMap)
        } else if self.has_no_effect() {
            Some(Refusal::NoRules)
        } else if strict && self.diagnostics.count(Severity::Error) > 0 {
            Some(Refusal::Errors)
        } else if !self.rules.has_valid_default() && in_use.is_some_and(RuleSet::has_valid_default)
        {
            Some(Refusal::LosesDefault)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_secrets_alone_are_enough_for_a_namespace_only() {
        for (scope, expected) in
            [(MapScope::Cluster, Some(Refusal::NoRules)), (MapScope::Namespace, None)]
        {
            let map = LoadedMap::from_file(scope, "", "[PULLSECRET]d.io::a").unwrap();
            assert_eq!(map.refusal(false, None), expected);
        }
    }

    #[test]
    fn a_map_is_refused_with_its_reason() {
        let loaded = |text: &str| LoadedMap::from_text(text).unwrap();
        let good = loaded("default::d.io").rules;
        let leaving = loaded("default::").rules;
        let lacking = loaded("quay.io::q.io").rules;
        let none = None;
        for (text, in_use, lenient, strict) in [
            ("default::d.io", none, None, None),
            ("", none, Some(Refusal::NoRules), Some(Refusal::NoRules)),
            ("# nothing\n\n", Some(&good), Some(Refusal::NoRules), Some(Refusal::NoRules)),
            ("broken\nbroken", none, Some(Refusal::NoRules), Some(Refusal::NoRules)),
            (
                "kind: ConfigMap\ndefault: d.io",
                none,
                Some(Refusal::NotAMap),
                Some(Refusal::NotAMap),
            ),
            ("default::d.io\nbroken", Some(&good), None, Some(Refusal::Errors)),
            ("quay.io::q.io", none, None, Some(Refusal::Errors)),
            ("quay.io::q.io", Some(&lacking), None, Some(Refusal::Errors)),
            ("quay.io::q.io", Some(&good), Some(Refusal::LosesDefault), Some(Refusal::Errors)),
            ("quay.io::q.io", Some(&leaving), Some(Refusal::LosesDefault), Some(Refusal::Errors)),
            ("default::https://d.io", none, None, Some(Refusal::Errors)),
            (
                "default::https://d.io",
                Some(&good),
                Some(Refusal::LosesDefault),
                Some(Refusal::Errors),
            ),
            ("default::d.io\nquay.io::https://q", Some(&good), None, Some(Refusal::Errors)),
            ("default:d.io", Some(&good), None, None),
        ] {
            let map = loaded(text);
            assert_eq!(map.refusal(false, in_use), lenient, "{text}");
            assert_eq!(map.refusal(true, in_use), strict, "strict: {text}");
        }
    }
}
