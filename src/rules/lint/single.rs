//! Mistakes of single rules: keys and wildcards that no image can match, and targets that make no valid reference.

use std::ops::Range;

use super::{Linter, Part};
use crate::{
    image::is_valid_reference,
    rules::{
        advice::{self, Advice, KeyProblem},
        diagnostic::{Code, Diagnostic, shorten},
        glob::Glob,
        line::{Separator, key_span, rule_span, separator, without_white_space},
        manifest,
        rule::{Effect, Key, Rule},
        rule_set::RuleSet,
    },
};

impl Linter<'_> {
    pub(super) fn single_rules(&mut self) {
        self.invalid_targets();
        self.targets_without_registry();
        self.invalid_keys();
        self.invalid_globs();
        self.invalid_wildcards();
    }

    /// Reports targets that make no valid image reference.
    fn invalid_targets(&mut self) {
        for rule in self.rules.rules() {
            if rule.effect() == Effect::LeaveInvalid && !self.has_mistake_of_key(rule) {
                let written = self.written_key(rule);
                let target = rule.target.text();
                let line = self.line(rule.line);
                let has_single_colon = self.has_single_colon(rule);
                let advice = || {
                    let advice = advice::invalid_target(&rule.key, &written, target);
                    let other = has_single_colon.then(|| advice::other_colon(&written, target));
                    let comment = advice::slash_comment(&line[rule_span(line)]);
                    Advice { hint: comment.or(other.flatten()).unwrap_or(advice.hint), ..advice }
                };
                self.advise(Code::InvalidTarget, rule, Part::Target, advice);
            }
        }
    }

    /// Reports targets that begin with a path, as in `default::harbor`. A new image that is written out, as in an
    /// `[EXACT]` rule, is the short form of one on Docker Hub by intent.
    fn targets_without_registry(&mut self) {
        for rule in self.rules.rules() {
            let target = rule.target.text();
            let is_exact = matches!(rule.key, Key::Exact(_));
            if rule.effect() == Effect::Swap && !is_exact && !rule.target.names_registry() {
                let written = self.written_key(rule);
                if self.has_single_colon(rule) && advice::other_colon(&written, target).is_some() {
                    // What is behind the colon is no target.
                    continue;
                }
                self.advise(Code::NoRegistry, rule, Part::Target, || Advice {
                    message: "the target names no registry, so the new images are on Docker Hub".into(),
                    hint: format!(
                        "begin it with the host of the registry, or write `docker.io/{}` if this is meant",
                        shorten(target)
                    ),
                });
            }
        }
    }

    /// Reports keys that are not a valid registry or image.
    fn invalid_keys(&mut self) {
        for rule in self.rules.rules() {
            let target = rule.target.text();
            if !matches!(rule.key, Key::Registry(_) | Key::Exact(_)) {
                continue;
            }
            let line = self.line(rule.line);
            let spaced = &line[key_span(line)];
            match &rule.key {
                Key::Registry(_) if self.is_field(rule) => {}
                _ if joins_words(spaced) => {
                    let advice = || advice::joined_keys(spaced, target);
                    self.advise(Code::NeverMatches, rule, Part::Rule, advice);
                }
                Key::Registry(_) => {
                    let written = without_white_space(spaced);
                    let Some(problem) = advice::key_problem(&written) else { continue };
                    let rules = self.rules;
                    self.advise(self.code_of_key(rule), rule, Part::Rule, || {
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
                continue;
            }
            let text = rule.key.exact_or_glob();
            if let Some(problem) = advice::glob_problem(glob) {
                let advice = || advice::glob(problem, text, rule.target.text());
                self.advise(self.code_of_key(rule), rule, Part::Rule, advice);
            } else if advice::ends_before_path(text) {
                let advice = || advice::glob_without_path(text, rule.target.text());
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
            let span = start + written.len() - written.trim_start().len()
                ..end - written.len() + written.trim_end().len();
            if written.trim().contains(char::is_whitespace) {
                self.advise_at(Code::NeverMatches, rule.line, span, || {
                    advice::joined_wildcards(written)
                });
            } else if let Some(problem) = advice::text_problem(&text) {
                self.advise_at(Code::NeverMatches, rule.line, span, || {
                    advice::wildcard(problem, &text)
                });
            }
            start = end + 1;
        }
    }

    /// Returns the code of a mistake in the key of a rule. A mistake that also makes the target invalid is reported once,
    /// as an error.
    fn code_of_key(&self, rule: &Rule) -> Code {
        if rule.effect() == Effect::LeaveInvalid && self.has_mistake_of_key(rule) {
            Code::InvalidTarget
        } else {
            Code::NeverMatches
        }
    }

    /// Returns true if the key has the mistake that makes the target invalid: a regular expression, quotation marks, or
    /// a misspelled `[EXACT]`, whose target may have a tag.
    fn has_mistake_of_key(&self, rule: &Rule) -> bool {
        let target = rule.target.text();
        match &rule.key {
            Key::Replace(text) => {
                advice::glob_problem(&Glob::parse(text)).is_some() && target.contains(['$', '\\'])
            }
            Key::Registry(_) => {
                let (written, marks) = (self.written_key(rule), ['"', '\'']);
                let is_bracket =
                    matches!(advice::key_problem(&written), Some(KeyProblem::Bracket(_)));
                is_bracket || (written.starts_with(marks) && target.ends_with(marks))
            }
            _ => false,
        }
    }

    /// Returns true if the line of the rule is a field of a manifest, such as `data:`.
    fn is_field(&self, rule: &Rule) -> bool {
        self.has_single_colon(rule)
            && manifest::is_field(&self.written_key(rule), rule.target.text())
    }

    fn has_single_colon(&self, rule: &Rule) -> bool {
        let line = self.line(rule.line);
        matches!(separator(&line[rule_span(line)]), Separator::Single(_))
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

/// Returns true if white space separates two words of a text.
fn joins_words(text: &str) -> bool {
    let words: Vec<_> = text.split_whitespace().collect();
    let is_part = |character: char| character.is_alphanumeric();
    words.windows(2).any(|pair| pair[0].ends_with(is_part) && pair[1].starts_with(is_part))
}

/// Returns the line of the rule with a keyword as its key.
fn line_of_keyword(rules: &RuleSet, keyword: &str) -> Option<u32> {
    let mut rules = rules.rules().iter();
    let is_keyword = |key: &Key| {
        matches!(key, Key::Default | Key::NoswapWildcards) && key.to_string() == keyword
    };
    rules.find(|rule| is_keyword(&rule.key)).map(|rule| rule.line)
}
