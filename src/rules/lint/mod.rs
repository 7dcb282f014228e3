//! Checks of all rules of a map together.
//!
//! The parser sees one line at a time. The lints see the compiled set, and find a missing default, targets that do not
//! give a valid reference, rules that no image can match, chains, and images that lose a part of their name. They run
//! for `check` and after a reload, never during a request.

mod chain;
mod dropped;
mod pull_secrets;
mod reach;
mod single;

use std::{borrow::Cow, ops::Range};

use super::{
    MapScope,
    advice::is_near,
    diagnostic::{Code, Diagnostic, Diagnostics},
    line::{key_span, rule_span, target_span, without_byte_order_mark, without_white_space},
    manifest,
    rule::{Key, Rule},
    rule_set::RuleSet,
};

/// Maximum number of pairs that are compared: of two globs, of a rule and a glob, or of a rule and a key below its target.
///
/// Comparing all pairs of ten thousand globs would take minutes. With this limit it takes a few hundred milliseconds.
/// If a map has more pairs, the rest is not compared, and the diagnostics are marked as partial.
const MAX_COMPARED_PAIRS: usize = 500_000;

/// Maximum number of steps for comparing the texts of pairs. A step takes some nanoseconds.
///
/// In the worst case, a pair takes as many steps as the product of both lengths. For two globs of 4 KB, these are as
/// many as for twenty thousand common pairs.
const MAX_COMPARED_STEPS: usize = 500_000_000;

/// Checks the rules that were compiled from `text`, the content of the map file.
///
/// A manifest in place of a map already has a diagnostic from the parser, and no rules to check.
#[must_use]
pub fn lint(rules: &RuleSet, scope: MapScope, text: &str) -> Diagnostics {
    let text = without_byte_order_mark(text);
    if manifest::first_line(text).is_some() {
        return Diagnostics::default();
    }
    let mut linter = Linter::new(rules, scope, text);
    linter.missing_rules();
    linter.single_rules();
    linter.unreachable_rules();
    linter.chains();
    linter.dropped_ports();
    linter.dropped_library();
    if scope == MapScope::Cluster {
        linter.unused_pull_secrets(&[rules]);
    }
    linter.found
}

/// Finds rules of a namespace, compiled from `text`, that rewrite the images of the rules of the cluster again, and pull
/// secrets for images to which no rule of either leads.
///
/// There are none in the other direction: an image under a target of the namespace never reaches the map of the cluster.
#[must_use]
pub fn lint_pair(namespace: &RuleSet, text: &str, cluster: &RuleSet) -> Diagnostics {
    let text = without_byte_order_mark(text);
    let mut linter = Linter::new(namespace, MapScope::Namespace, text);
    if namespace.default_rule().is_some() {
        // The map of the cluster decides nothing in this namespace.
        linter.unused_pull_secrets(&[namespace]);
    } else {
        linter.chains_from(cluster);
        linter.unused_pull_secrets(&[namespace, cluster]);
    }
    linter.found
}

/// Returns true if a line that is not a `default` looks like one with a mistake: it begins with `default`, perhaps with
/// typing errors, or its key is a `*`.
fn is_mistaken_default(line: &str) -> bool {
    let line = line.trim_start();
    let word = &line[..line.bytes().take_while(u8::is_ascii_alphabetic).count()];
    let rest = &line[word.len()..];
    let is_key = !rest.starts_with(['.', '/', '-', '_']);
    (is_key && is_near(&word.to_ascii_lowercase(), Key::DEFAULT))
        || rest
            .strip_prefix('*')
            .is_some_and(|rest| word.is_empty() && rest.trim_start().starts_with(':'))
}

/// Number of pairs and steps that may still be compared.
struct Budget {
    pairs: usize,
    steps: usize,
}

impl Budget {
    fn new() -> Self {
        Self { pairs: MAX_COMPARED_PAIRS, steps: MAX_COMPARED_STEPS }
    }

    /// Subtracts a pair of texts of these lengths. `None` if the budget is used up.
    fn take(&mut self, length: usize, other_length: usize) -> Option<()> {
        let pairs = self.pairs.checked_sub(1)?;
        let steps = self.steps.checked_sub(length * other_length)?;
        *self = Self { pairs, steps };
        Some(())
    }
}

struct Linter<'a> {
    rules: &'a RuleSet,
    scope: MapScope,
    lines: Vec<&'a str>,
    found: Diagnostics,
}

/// The part of a line that a diagnostic points to.
#[derive(Clone, Copy)]
enum Part {
    Rule,
    Target,
}

impl<'a> Linter<'a> {
    fn new(rules: &'a RuleSet, scope: MapScope, text: &'a str) -> Self {
        Self { rules, scope, lines: text.split('\n').collect(), found: Diagnostics::default() }
    }

    fn missing_rules(&mut self) {
        let (code, message, which) = if self.rules.rules().is_empty()
            && (self.scope == MapScope::Cluster || self.rules.is_empty())
        {
            (Code::NoRules, "the map has no rules, so it is never applied", "all images alone")
        } else if !self.has_default() {
            (
                Code::MissingDefault,
                "the map has no `default`, so only [EXACT] and [REPLACE] rules apply",
                "images alone that no other rule claims",
            )
        } else {
            return;
        };
        let hint = match (1..).zip(&self.lines).find(|(_, line)| is_mistaken_default(line)) {
            Some((number, _)) => format!("correct line {number}, which looks like the `default`"),
            None => format!("add `default::registry.example.com`, or `default::` to leave {which}"),
        };
        self.found.push(Diagnostic::new(code, message, hint));
    }

    /// Returns true if rules for registries apply: there is a `default`, or the map of a namespace needs none.
    fn has_default(&self) -> bool {
        self.scope == MapScope::Namespace || self.rules.default_rule().is_some()
    }

    /// Records a diagnostic about a part of the line of `rule`.
    fn report(&mut self, rule: &Rule, part: Part, diagnostic: Diagnostic) {
        let span = self.span(rule.line, part);
        self.found.push(diagnostic.at(rule.line, span));
    }

    /// Returns the key of a rule as it is written, without white space.
    fn written_key(&self, rule: &Rule) -> Cow<'a, str> {
        let line = self.line(rule.line);
        without_white_space(&line[key_span(line)])
    }

    fn span(&self, line: u32, part: Part) -> Range<usize> {
        let text = self.line(line);
        match part {
            Part::Rule => rule_span(text),
            Part::Target => target_span(text),
        }
    }

    /// Returns the text of a line.
    fn line(&self, number: u32) -> &'a str {
        self.lines.get(number as usize - 1).copied().unwrap_or_default()
    }
}
