//! Mistakes of single rules: keys and wildcards that no image can match, and targets that make no valid reference.

use std::ops::Range;

use super::{Linter, Part};
use crate::{
    image::is_valid_reference,
    rules::{
        advice::{self, Advice},
        diagnostic::{Code, Diagnostic},
        line::without_white_space,
        rule::{Effect, Key, Rule},
        rule_set::RuleSet,
    },
};

impl Linter<'_> {
    pub(super) fn single_rules(&mut self) {
        self.invalid_targets();
        self.invalid_keys();
        self.invalid_globs();
        self.invalid_wildcards();
    }

    /// Reports targets that make no valid image reference.
    fn invalid_targets(&mut self) {
        for rule in self.rules.rules() {
            if rule.effect() == Effect::LeaveInvalid {
                let written = self.written_key(rule);
                let advice = || advice::invalid_target(&rule.key, &written, rule.target.text());
                self.advise(Code::InvalidTarget, rule, Part::Target, advice);
            }
        }
    }

    /// Reports keys that are not a valid registry or image.
    fn invalid_keys(&mut self) {
        for rule in self.rules.rules() {
            let target = rule.target.text();
            match &rule.key {
                Key::Registry(_) => {
                    let written = self.written_key(rule);
                    let Some(problem) = advice::key_problem(&written) else { continue };
                    let rules = self.rules;
                    self.advise(Code::NeverMatches, rule, Part::Rule, || {
                        let keyword_line = |keyword: &str| line_of_keyword(rules, keyword);
                        advice::registry_key(problem, &written, target, keyword_line)
                    });
                }
                Key::Exact(image) if !is_valid_reference(image) => {
                    let advice = || advice::exact_key(image, target);
                    self.advise(Code::NeverMatches, rule, Part::Rule, advice);
                }
                _ => {}
            }
        }
    }

    /// Reports globs with a character that no image contains, or with a class that contains no character.
    fn invalid_globs(&mut self) {
        for (number, glob) in self.rules.globs.iter() {
            let rule = self.rules.rule(number);
            if glob.is_empty() {
                self.advise(Code::NeverMatches, rule, Part::Rule, || Advice {
                    message: "a range of this glob goes from high to low".into(),
                    hint: "write the lower character first, as in `[a-z]`".into(),
                });
            } else if let Some(problem) = advice::glob_problem(glob) {
                let text = rule.key.exact_or_glob();
                let advice = || advice::glob(problem, text, rule.target.text());
                self.advise(Code::NeverMatches, rule, Part::Rule, advice);
            }
        }
    }

    /// Reports texts of `noswap_wildcards` that no image can contain.
    fn invalid_wildcards(&mut self) {
        let mut rules = self.rules.rules().iter();
        let Some(rule) = rules.find(|rule| rule.key == Key::NoswapWildcards) else { return };
        if rule.target.is_empty() {
            return;
        }
        let target = self.span(rule.line, Part::Target);
        let mut start = target.start;
        for written in self.line(rule.line)[target].split(',') {
            let end = start + written.len();
            let text = without_white_space(written);
            if let Some(problem) = advice::text_problem(&text) {
                let span = start + written.len() - written.trim_start().len()
                    ..end - written.len() + written.trim_end().len();
                self.advise_at(Code::NeverMatches, rule.line, span, || {
                    advice::wildcard(problem, &text)
                });
            }
            start = end + 1;
        }
    }

    /// Records a diagnostic about a part of the line of `rule`.
    fn advise(&mut self, code: Code, rule: &Rule, part: Part, advice: impl FnOnce() -> Advice) {
        self.advise_at(code, rule.line, self.span(rule.line, part), advice);
    }

    /// Records a diagnostic about a part of a line. Advice beyond the limit is not created.
    fn advise_at(
        &mut self,
        code: Code,
        line: u32,
        span: Range<usize>,
        advice: impl FnOnce() -> Advice,
    ) {
        self.found.push_with(code, || {
            let Advice { message, hint } = advice();
            Diagnostic::new(code, message, hint).at(line, span)
        });
    }
}

/// Returns the line of the rule with a keyword as its key.
fn line_of_keyword(rules: &RuleSet, keyword: &str) -> Option<u32> {
    let mut rules = rules.rules().iter();
    let is_keyword = |key: &Key| {
        matches!(key, Key::Default | Key::NoswapWildcards) && key.to_string() == keyword
    };
    rules.find(|rule| is_keyword(&rule.key)).map(|rule| rule.line)
}
