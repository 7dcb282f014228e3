//! Parser for map files. It returns the rules, and a diagnostic for each line that is not a rule.
//!
//! It implements section 1 of the swap rules. It looks at each line by itself: [`lint`](super::lint) checks the rules
//! together, and `rule_set` compiles them.

use std::{fmt, ops::Range, sync::Arc};

use foldhash::fast::RandomState;
use indexmap::{IndexMap, map::Entry};

use super::{
    advice,
    diagnostic::{Code, Diagnostic, Diagnostics, shorten},
    key_error::KeyError,
    line::{Separator, rule_span, separator, without_byte_order_mark, without_white_space},
    manifest,
    pull_secrets::{PullSecret, PullSecretError, parse_names, parse_prefix},
    rule::{Key, Rule},
    target::{Scope, Target},
};
use crate::image::MAX_IMAGE_BYTES;

/// Maximum size of a map file in bytes.
///
/// A ConfigMap holds at most 1 MiB. A map that is mounted from another source may be larger. The limit bounds the
/// memory of a reload, during which the old and the new rule set exist side by side.
pub const MAX_MAP_BYTES: usize = 16 * 1024 * 1024;

/// The rules and pull secrets of a map in the order of the file. Each key occurs once.
#[derive(Clone, Debug, Default)]
pub struct MapFile {
    /// The rules.
    pub rules: Vec<Rule>,
    /// The pull secrets.
    pub pull_secrets: Vec<PullSecret>,
}

impl MapFile {
    /// Parses a map file, and returns the rules with the errors and warnings about its lines.
    ///
    /// A line that is not a rule is skipped. If a key occurs more than once, its last target is used, at the position
    /// of its first line. A manifest in place of a map gives one diagnostic and no rules.
    #[must_use]
    pub fn parse(text: &str) -> (Self, Diagnostics) {
        Self::parse_file("", text)
    }

    /// Parses a map file like [`parse`](Self::parse), and records the name of the file in each rule.
    #[must_use]
    pub fn parse_file(file: &str, text: &str) -> (Self, Diagnostics) {
        let mut parser = Parser { file: file.into(), ..Parser::default() };
        let text = without_byte_order_mark(text);
        if let Some((number, line)) = manifest::first_line(text) {
            let message = "this is a manifest in YAML or JSON, not a map";
            let diagnostic = Diagnostic::new(Code::NotAMap, message, manifest::hint(text));
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            parser.diagnostics.push(diagnostic.at(number, rule_span(line)));
            return (Self::default(), parser.diagnostics);
        }
        for (index, line) in text.split('\n').enumerate() {
            parser.line(u32::try_from(index + 1).unwrap_or(u32::MAX), line);
        }
        parser.finish()
    }
}

impl fmt::Display for MapFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.iter().try_for_each(|rule| writeln!(formatter, "{rule}"))?;
        self.pull_secrets.iter().try_for_each(|secret| writeln!(formatter, "{secret}"))
    }
}

#[derive(Default)]
struct Parser {
    file: Arc<str>,
    targets: IndexMap<Key, LastTarget, RandomState>,
    /// The pull secrets by the images that are under their prefixes.
    pull_secrets: IndexMap<Scope<Box<str>>, PullSecret, RandomState>,
    diagnostics: Diagnostics,
}

/// The target of a key, with the number of its line.
struct LastTarget {
    target: Target,
    line: u32,
    /// True if the key is written in its canonical form.
    is_canonical: bool,
}

impl Parser {
    fn line(&mut self, number: u32, line: &str) {
        let span = rule_span(line);
        let rule = without_white_space(&line[span.clone()]);
        if rule.is_empty() {
            return;
        }
        if rule.starts_with(PullSecret::KEY) {
            match self.pull_secret(number, &rule) {
                Ok(secret) => self.insert_pull_secret(secret, span),
                Err(error) => self.skip(&error, number, span, line, &rule),
            }
            return;
        }
        match split(&rule) {
            Ok(SplitRule { written, key, is_canonical, target, is_deprecated }) => {
                if is_deprecated {
                    let message = "a single `:` between key and target is deprecated";
                    let code = Code::DeprecatedSeparator;
                    self.diagnostics.push_with(code, || {
                        let hint = advice::deprecated_separator(written, target);
                        Diagnostic::new(code, message, hint).at(number, span.clone())
                    });
                }
                let target = Target::new(target);
                self.insert(key, LastTarget { target, line: number, is_canonical }, span);
            }
            Err(error) => self.skip(&error, number, span, line, &rule),
        }
    }

    /// Reports a line that is not a rule. It is given as it is written, and as its rule without white space.
    fn skip(&mut self, error: &RuleError, number: u32, span: Range<usize>, line: &str, rule: &str) {
        self.diagnostics.push_with(Code::InvalidRule, || {
            let hint = error.hint(&line[span.clone()], rule);
            let diagnostic = Diagnostic::new(Code::InvalidRule, error.to_string(), hint);
            diagnostic.at(number, span).skipping(rule)
        });
    }

    /// Parses a line with a pull secret, without its white space.
    fn pull_secret(&self, line: u32, rule: &str) -> Result<PullSecret, RuleError> {
        let (key, names) = match separator(rule) {
            Separator::Double(separator) => (&rule[..separator.start], &rule[separator.end..]),
            // These lines are newer than the deprecated separator.
            Separator::Missing | Separator::Single(_) => return Err(RuleError::NoSeparator),
            Separator::Several => return Err(RuleError::SeveralSeparators),
        };
        if key.len() > MAX_IMAGE_BYTES {
            return Err(RuleError::TooLong);
        }
        if names.len() > MAX_IMAGE_BYTES {
            return Err(RuleError::NamesTooLong);
        }
        let prefix = parse_prefix(&key[PullSecret::KEY.len()..])?;
        Ok(PullSecret { prefix, names: parse_names(names)?, line, file: self.file.clone() })
    }

    /// Adds a pull secret. The last line of a prefix wins, at the position of the first one.
    fn insert_pull_secret(&mut self, secret: PullSecret, span: Range<usize>) {
        let Scope { base, is_prefix } = secret.prefix.scope();
        let scope = Scope { base: base.into(), is_prefix };
        let line = secret.line;
        if let Some(first) = self.pull_secrets.insert(scope, secret) {
            let message = "this prefix already has pull secrets";
            let hint = "the last line wins; write all names in one line, with commas between them";
            let diagnostic = Diagnostic::new(Code::DuplicateKey, message, hint).at(line, span);
            self.diagnostics.push(diagnostic.related_to(first.line, "these names are overridden"));
        }
    }

    /// Sets the target of a key. An existing key keeps its position.
    ///
    /// The last line wins, except that a line with a canonical key wins over lines with other spellings of it.
    fn insert(&mut self, key: Key, last: LastTarget, span: Range<usize>) {
        let mut entry = match self.targets.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(last);
                return;
            }
            Entry::Occupied(entry) => entry,
        };
        let key = entry.key().to_string();
        let key = shorten(&key);
        let first = entry.get();
        let (message, hint, label) = match (first.is_canonical, last.is_canonical) {
            (true, false) => (
                format!("this key means `{key}`, which is already in the map"),
                format!("the rule with the key written as `{key}` wins; remove this line"),
                "this target wins",
            ),
            (false, true) => (
                format!("an earlier line means `{key}` too"),
                format!("the rule with the key written as `{key}` wins; remove the earlier line"),
                "this target is overridden",
            ),
            (true, true) | (false, false) => (
                format!("the key `{key}` is already in the map"),
                "the last target wins; remove one of the two lines".to_owned(),
                "this target is overridden",
            ),
        };
        let diagnostic = Diagnostic::new(Code::DuplicateKey, message, hint)
            .at(last.line, span)
            .related_to(first.line, label);
        self.diagnostics.push(diagnostic);
        if last.is_canonical || !first.is_canonical {
            entry.insert(last);
        }
    }

    fn finish(self) -> (MapFile, Diagnostics) {
        let Self { file, targets, pull_secrets, diagnostics } = self;
        let rule = |(key, LastTarget { target, line, .. })| Rule::new(key, target, &file, line);
        let rules = targets.into_iter().map(rule).collect();
        (MapFile { rules, pull_secrets: pull_secrets.into_values().collect() }, diagnostics)
    }
}

/// The reason why a line is not a rule.
#[derive(Debug, thiserror::Error)]
enum RuleError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    PullSecret(#[from] PullSecretError),
    #[error("there is no `::` between key and target")]
    NoSeparator,
    #[error("the list of Secrets is longer than {MAX_IMAGE_BYTES} bytes")]
    NamesTooLong,
    #[error("the key or the target is longer than {MAX_IMAGE_BYTES} bytes")]
    TooLong,
    #[error("there is more than one separator")]
    SeveralSeparators,
}

impl RuleError {
    /// Returns advice on a line, which is given as it is written, and without its white space.
    fn hint(&self, line: &str, rule: &str) -> String {
        match self {
            Self::Key(KeyError::Empty) => advice::empty_key(rule),
            Self::Key(KeyError::MisplacedStar) => match separator(rule) {
                Separator::Double(separator) | Separator::Single(separator) => {
                    advice::misplaced_star(&rule[..separator.start], &rule[separator.end..])
                }
                Separator::Missing | Separator::Several => String::new(),
            },
            Self::PullSecret(error) => error.hint().into(),
            Self::NoSeparator if rule.starts_with(PullSecret::KEY) => {
                PullSecretError::EmptyName.hint().into()
            }
            Self::NoSeparator => advice::missing_separator(line),
            Self::NamesTooLong => "name fewer Secrets, or use another prefix for some".into(),
            Self::TooLong => "no image is that long; shorten it".into(),
            Self::SeveralSeparators => advice::several_separators(rule),
        }
    }
}

/// A rule, split at its separator.
struct SplitRule<'a> {
    /// The key as it is written.
    written: &'a str,
    key: Key,
    /// True if the key is written in its canonical form.
    is_canonical: bool,
    target: &'a str,
    /// True if the separator is a single `:`.
    is_deprecated: bool,
}

/// Splits a rule at its only separator. The rule contains no white space.
fn split(rule: &str) -> Result<SplitRule<'_>, RuleError> {
    let (separator, is_deprecated) = match separator(rule) {
        Separator::Double(separator) => (separator, false),
        Separator::Missing => return Err(RuleError::NoSeparator),
        Separator::Several => return Err(RuleError::SeveralSeparators),
        Separator::Single(separator) => (separator, true),
    };
    let (written, target) = (&rule[..separator.start], &rule[separator.end..]);
    let key = Key::parse(written)?;
    // The list of wildcards is the only text that may be longer.
    if key != Key::NoswapWildcards && written.len().max(target.len()) > MAX_IMAGE_BYTES {
        return Err(RuleError::TooLong);
    }
    let is_canonical = match &key {
        Key::Registry(registry) => **registry == *written.trim_end_matches('/'),
        _ => true,
    };
    Ok(SplitRule { written, key, is_canonical, target, is_deprecated })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_and_targets(text: &str) -> Vec<String> {
        MapFile::parse(text).0.rules.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_line_is_parsed_as_section_1_defines() {
        for (name, line, rule) in [
            ("registry", "quay.io::q.corp", Some("quay.io::q.corp")),
            ("port in key", "a.io:8443::b.io", Some("a.io:8443::b.io")),
            ("port in target", "a.io::b.io:1/c", Some("a.io::b.io:1/c")),
            ("white space", " a.io :: b.io\t", Some("a.io::b.io")),
            ("white space in the separator", "a.io : : b.io", Some("a.io::b.io")),
            ("comment with many signs", "a.io::b.io ### x # y", Some("a.io::b.io")),
            ("CRLF", "a.io::b.io\r", Some("a.io::b.io")),
            ("trailing slash on the key", "a.io/::b.io", Some("a.io::b.io")),
            ("trailing slash after a colon", "a:/::b.io", Some("a:/::b.io")),
            ("empty target", "a.io::", Some("a.io::")),
            ("deprecated", "a.io:b.io", Some("a.io::b.io")),
            ("exact", "[EXACT]a:1::b:2", Some("[EXACT]a:1::b:2")),
            ("replace", "[REPLACE]*a:*::b/", Some("[REPLACE]*a:*::b/")),
            ("only a comment", "# a::b", None),
            ("two double separators", "a::b::c", None),
            ("three colons", "k:::v", None),
            ("four colons", "k::::v", None),
            ("two single separators", "a:8443:b", None),
            ("other separator", "a;b", None),
            ("empty key", "::b", None),
            ("empty exact key", "[EXACT]::b", None),
            ("slash key", "/::b", None),
            ("key too long", &format!("{}::b", "a".repeat(MAX_IMAGE_BYTES + 1)), None),
            ("target too long", &format!("a.io::{}", "b".repeat(MAX_IMAGE_BYTES + 1)), None),
        ] {
            let expected: Vec<String> = rule.into_iter().map(String::from).collect();
            assert_eq!(keys_and_targets(line), expected, "{name}");
        }
    }

    #[test]
    fn a_line_of_pull_secrets_is_parsed_or_explained() {
        for (line, expected) in [
            ("[PULLSECRET]h.io::a", Ok("[PULLSECRET]h.io::a")),
            (
                " [PULLSECRET] h.io:5000/x/ :: a, b.c-1, a # why",
                Ok("[PULLSECRET]h.io:5000/x/::a,b.c-1"),
            ),
            ("[PULLSECRET][::1]:80/m-::a", Ok("[PULLSECRET][::1]:80/m-::a")),
            ("[PULLSECRET]::a", Err("`` is not a valid prefix of an image")),
            ("[PULLSECRET]h.io/{path}::a", Err("`h.io/{path}` is not a valid prefix of an image")),
            ("[PULLSECRET]h.io/a:1::a", Err("`h.io/a:1` is not a valid prefix of an image")),
            ("[PULLSECRET]h.io::", Err("a name of a Secret is empty")),
            ("[PULLSECRET]h.io::a,,b", Err("a name of a Secret is empty")),
            ("[PULLSECRET]h.io::Reg_cred", Err("`Reg_cred` is not a valid name of a Secret")),
            ("[PULLSECRET]h.io::ns/a", Err("`ns/a` is not a valid name of a Secret")),
            ("[PULLSECRET]h.io:a", Err("there is no `::` between key and target")),
            ("[PULLSECRET]h.io::a::b", Err("there is more than one separator")),
        ] {
            let (map, diagnostics) = MapFile::parse(line);
            let found = map.pull_secrets.iter().map(ToString::to_string).next();
            let errors = diagnostics.kept().iter().map(|diagnostic| diagnostic.message.clone());
            let found = found.ok_or_else(|| errors.collect::<String>());
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{line}");
            assert!(map.rules.is_empty(), "{line}");
        }
    }

    #[test]
    fn the_last_line_of_a_prefix_wins() {
        let text = "[PULLSECRET]h.io::a\n[PULLSECRET]h.io/x::b\n[PULLSECRET]H.io/::c";
        let (map, diagnostics) = MapFile::parse(text);
        assert_eq!(map.to_string(), "[PULLSECRET]H.io/::c\n[PULLSECRET]h.io/x::b\n");
        let [duplicate] = diagnostics.kept() else { panic!("one diagnostic: {diagnostics:?}") };
        assert_eq!((duplicate.code, duplicate.line), (Code::DuplicateKey, Some(3)));
    }

    #[test]
    fn a_byte_order_mark_is_accepted() {
        assert_eq!(keys_and_targets("\u{feff}default::d.io"), ["default::d.io"]);
    }

    #[test]
    fn a_repeated_key_keeps_its_position_and_takes_the_last_target() {
        let (map, diagnostics) = MapFile::parse("a.io::1\nb.io::2\na.io::3");
        let rules: Vec<_> = map.rules.iter().map(|rule| (rule.to_string(), rule.line)).collect();
        assert_eq!(rules, [("a.io::3".to_owned(), 3), ("b.io::2".to_owned(), 2)]);
        let [duplicate] = diagnostics.kept() else { panic!("one diagnostic: {diagnostics:?}") };
        assert_eq!((duplicate.code, duplicate.line), (Code::DuplicateKey, Some(3)));
        assert_eq!(duplicate.related.as_ref().map(|related| related.line), Some(1));
    }

    #[test]
    fn diagnostics_beyond_the_limit_are_only_counted() {
        let text = "broken\n".repeat(super::super::diagnostic::MAX_KEPT_DIAGNOSTICS + 5);
        assert_eq!(MapFile::parse(&text).1.dropped(), 5);
    }
}
