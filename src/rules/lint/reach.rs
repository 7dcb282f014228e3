//! Rules that no image can match.

use super::{Budget, Linter, Part};
use crate::{
    image::{DOCKER_HUB, DOCKER_HUB_INDEX, is_registry, is_valid_reference},
    rules::{
        diagnostic::{Code, Diagnostic, shorten},
        rule::Key,
    },
};

impl Linter<'_> {
    pub(super) fn unreachable_rules(&mut self) {
        self.invalid_keys();
        self.empty_globs();
        self.shadowed_globs();
        self.rules_after_catch_all_glob();
    }

    /// Reports keys that are not a valid registry or image.
    fn invalid_keys(&mut self) {
        for rule in self.rules.rules() {
            let found = match &rule.key {
                Key::Registry(key) => registry_problem(key),
                Key::Exact(image) if !is_valid_reference(image) => {
                    let hint = if image.contains(['*', '?', '[']) {
                        format!(
                            "[EXACT] does not support wildcards; write `[REPLACE]{}`",
                            shorten(image)
                        )
                    } else {
                        "write the image exactly as in the pods".into()
                    };
                    Some((format!("`{}` is not a valid image", shorten(image)), hint))
                }
                _ => None,
            };
            if let Some((message, hint)) = found {
                let diagnostic = Diagnostic::new(Code::NeverMatches, message, hint);
                self.report(rule, Part::Rule, diagnostic);
            }
        }
    }

    /// Reports globs with a class that contains no character.
    fn empty_globs(&mut self) {
        for (number, _) in self.rules.globs.iter().filter(|(_, glob)| glob.is_empty()) {
            let rule = self.rules.rule(number);
            let message = "a range of this glob goes from high to low";
            let hint = "write the lower character first, as in `[a-z]`";
            let diagnostic = Diagnostic::new(Code::NeverMatches, message, hint);
            self.report(rule, Part::Rule, diagnostic);
        }
    }

    /// Reports globs that are subsumed by an earlier glob, or whose only match is an exact image.
    fn shadowed_globs(&mut self) {
        let globs: Vec<_> = self.rules.globs.iter().collect();
        let mut budget = Budget::new();
        let mut is_partial = false;
        for (index, (number, glob)) in globs.iter().enumerate() {
            let rule = self.rules.rule(*number);
            let Key::Replace(text) = &rule.key else { continue };
            let exact = self.rules.exact_rule(text).filter(|_| !text.contains(['*', '?', '[']));
            let shadow = exact.or_else(|| {
                let earlier = if is_partial { &[] } else { &globs[..index] };
                for (number, earlier) in earlier {
                    let rule = self.rules.rule(*number);
                    if budget.take(rule.key.exact_or_glob().len(), text.len()).is_none() {
                        is_partial = true;
                        return None;
                    }
                    if earlier.subsumes(glob) {
                        return Some(rule);
                    }
                }
                None
            });
            if let Some(shadow) = shadow {
                let message = format!("every image of `{}` goes to an earlier rule", shorten(text));
                let hint = "put the more specific rule first, or remove this one";
                let diagnostic = Diagnostic::new(Code::NeverMatches, message, hint)
                    .related_to(shadow.line, "this rule takes them");
                self.report(rule, Part::Rule, diagnostic);
            }
        }
        if is_partial {
            self.found.mark_partial();
        }
    }

    /// Reports the rules that apply after the globs, if a glob matches every image.
    fn rules_after_catch_all_glob(&mut self) {
        let mut globs = self.rules.globs.iter();
        let Some((number, _)) = globs.find(|(_, glob)| glob.matches_everything()) else { return };
        let line = self.rules.rule(number).line;
        for rule in self.rules.rules() {
            if matches!(rule.key, Key::Default | Key::NoswapWildcards | Key::Registry(_)) {
                let message = format!("`{}` is never reached", shorten(&rule.key.to_string()));
                let hint = "use `default` instead of a glob that matches everything";
                let diagnostic = Diagnostic::new(Code::NeverMatches, message, hint)
                    .related_to(line, "this glob takes every image");
                self.report(rule, Part::Rule, diagnostic);
            }
        }
    }
}

/// Returns the reason why no image matches the registry key `key`, and a hint. `None` if images can match.
fn registry_problem(key: &str) -> Option<(String, String)> {
    let (registry, path) = key.split_once('/').unwrap_or((key, ""));
    let shown = shorten(key);
    let lower = key.to_ascii_lowercase();
    if let Some(kind) = ["[exact]", "[replace]"].into_iter().find(|kind| lower.starts_with(kind)) {
        let message = format!("`{shown}` is not a registry");
        return Some((message, format!("write `{}` in capitals", kind.to_ascii_uppercase())));
    }
    if registry == DOCKER_HUB_INDEX {
        let message = format!("images of {DOCKER_HUB_INDEX} count as those of {DOCKER_HUB}");
        return Some((
            message,
            format!("write `{}`", key.replacen(DOCKER_HUB_INDEX, DOCKER_HUB, 1)),
        ));
    }
    if !is_registry(registry) {
        let message = format!(
            "`{}` is not a registry: it has no `.` and no `:`, and is not localhost",
            shorten(registry)
        );
        let keyword =
            ["default", "noswap_wildcards"].into_iter().find(|word| is_near(&lower, word));
        let hint = match keyword {
            Some(keyword) => format!("write `{keyword}`"),
            None => format!("write `{DOCKER_HUB}/{shown}` for images of Docker Hub"),
        };
        return Some((message, hint));
    }
    if path.contains([':', '@']) {
        let message = format!("`{shown}` has a tag or digest, which registry rules ignore");
        return Some((message, format!("write `[EXACT]{shown}` for this one image")));
    }
    if is_valid_reference(&format!("{key}/image")) {
        return None;
    }
    let hint = if key.contains(['*', '?']) {
        format!("registry keys do not support wildcards; write `[REPLACE]{shown}/*`")
    } else {
        "write `host[:port][/path]`, without a scheme, the path in lower case".to_owned()
    };
    Some((format!("no valid image is below `{shown}`"), hint))
}

/// Returns true if `key` looks like `keyword` with a typing error.
fn is_near(key: &str, keyword: &str) -> bool {
    /// With more edits, other words would count as a keyword.
    const MAX_EDITS: usize = 2;
    key.len() <= keyword.len() + MAX_EDITS && strsim::damerau_levenshtein(key, keyword) <= MAX_EDITS
}
