//! Unreachable rules: earlier rules match all of their images.

use super::{Budget, Linter, Part};
use crate::rules::{
    diagnostic::{Code, Diagnostic, shorten},
    rule::Key,
};

impl Linter<'_> {
    pub(super) fn unreachable_rules(&mut self) {
        self.shadowed_globs();
        self.rules_after_catch_all_glob();
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
