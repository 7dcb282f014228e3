//! The rules of a map as tables of CEL.
//!
//! Each rule becomes a record of texts. `to` is the new image with placeholders, which are more than those of a map, so
//! that the expressions need not know the kinds of targets. An empty `to` leaves the image alone.

use std::collections::{BTreeMap, BTreeSet};

use super::cel;
use crate::{
    image::{has_reference_characters_only, split_path, split_port},
    rules::{Effect, Glob, Key, Rule, RuleSet},
};

/// The text of a field that no image matches, because no image contains this character.
const NOTHING: &str = "!";

/// The tables of a map.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// The rules of single images, by the image.
    exact: BTreeMap<String, String>,
    /// The rules of globs in order, each with its regular expression.
    globs: Vec<(String, Record)>,
    /// The rules of registries by host and port, those with the longest path first.
    registries: BTreeMap<String, Vec<Record>>,
    /// The rules of `*.domain` keys in the order in which they apply.
    domains: Vec<Domain>,
    /// The substrings of `noswap_wildcards` in lower case.
    substrings: BTreeSet<String>,
    default: Option<Record>,
    /// The texts with which images that are under a target start.
    targets: BTreeSet<String>,
    /// The same for targets that can be repositories, for images without tag and digest.
    repositories: BTreeSet<String>,
    /// The targets that are hosts without port and path.
    hosts: BTreeSet<String>,
    /// The targets of exact rules.
    images: BTreeSet<String>,
}

/// A rule as the expressions read it.
#[derive(Clone, Debug)]
struct Record {
    /// The path prefix of the key, with a `/` at its end; empty for other keys.
    prefix: String,
    /// The new image with placeholders.
    to: String,
    /// The text with which images that are under the target start, if they are followed by a `/`.
    under: String,
    /// The repository that the target may be.
    repository: String,
    /// The target if it is a host alone.
    host: String,
}

/// A rule for all hosts below a domain.
#[derive(Debug)]
struct Domain {
    /// The domain with its port, after a dot.
    suffix: String,
    /// True if it names a port.
    has_port: bool,
    rule: Record,
}

impl Tables {
    /// Creates the tables of a map.
    pub(super) fn new(rules: &RuleSet) -> Self {
        let mut tables = Self::default();
        // The image of Istio's injector is left alone, unless an exact rule takes it.
        tables.exact.insert("auto".to_owned(), Record::leave().literal());
        for rule in rules.rules() {
            tables.add_target(rule);
            match &rule.key {
                // Without a valid character, a key matches no image.
                Key::Exact(image) if has_reference_characters_only(image) => {
                    tables.exact.insert(image.to_string(), Record::new(rule).literal());
                }
                Key::Exact(_) => {}
                Key::Replace(glob) => {
                    tables.globs.push((Glob::parse(glob).to_regex(), Record::new(rule)));
                }
                Key::Registry(key) => tables.add_registry(key, rule),
                Key::NoswapWildcards => {
                    let lower_case = rule.target.text().to_ascii_lowercase();
                    let substrings = lower_case.split(',').filter(|text| !text.is_empty());
                    let substrings = substrings.filter(|text| has_reference_characters_only(text));
                    tables.substrings.extend(substrings.map(str::to_owned));
                }
                Key::Default => tables.default = Some(Record::new(rule)),
            }
        }
        tables.sort();
        tables
    }

    /// Returns the number of substrings of `noswap_wildcards`, and their characters.
    pub(super) fn substrings(&self) -> [usize; 2] {
        [self.substrings.len(), self.substrings.iter().map(String::len).sum()]
    }

    /// Returns the number of globs, and the characters of their regular expressions.
    pub(super) fn glob_sizes(&self) -> [usize; 2] {
        [self.globs.len(), self.globs.iter().map(|(glob, _)| glob.len()).sum()]
    }

    fn add_registry(&mut self, key: &str, rule: &Rule) {
        let record = Record::new(rule);
        match key.strip_prefix("*.") {
            _ if !has_reference_characters_only(key.trim_start_matches("*.")) => {}
            Some(domain) => {
                let domain = split_path(domain).0;
                let has_port = !split_port(domain).1.is_empty();
                self.domains.push(Domain { suffix: format!(".{domain}"), has_port, rule: record });
            }
            None => {
                let registry = split_path(key).0.to_owned();
                self.registries.entry(registry).or_default().push(record);
            }
        }
    }

    /// Adds the images that are under the target of a rule.
    fn add_target(&mut self, rule: &Rule) {
        if rule.effect() != Effect::Swap {
            return;
        }
        match rule.key {
            Key::NoswapWildcards => {}
            Key::Exact(_) => {
                self.images.insert(rule.target.text().to_owned());
            }
            Key::Default | Key::Registry(_) | Key::Replace(_) => {
                let Record { under, repository, host, .. } = Record::new(rule);
                if repository != NOTHING && under.ends_with('/') {
                    self.repositories.insert(under);
                } else {
                    self.targets.insert(under);
                }
                if host != NOTHING {
                    self.hosts.insert(host);
                }
            }
        }
    }

    fn sort(&mut self) {
        for rules in self.registries.values_mut() {
            rules.sort_by_key(|rule| std::cmp::Reverse(rule.prefix.len()));
        }
        self.domains.sort_by_key(|Domain { suffix, has_port, rule }| {
            let domain = split_port(suffix).0.len();
            std::cmp::Reverse((domain, *has_port, rule.prefix.len()))
        });
    }

    /// Returns the rules of single images: a map from the image to its rule.
    pub(super) fn exact(&self) -> String {
        cel::map(self.exact.clone())
    }

    /// Returns the rules of globs: a list.
    pub(super) fn globs(&self) -> String {
        let fields = |(glob, rule): &(String, Record)| rule.literal_with(&[("glob", glob)]);
        rule_list(self.globs.iter().map(fields))
    }

    /// Returns the rules of registries: a map from the registry to a list.
    pub(super) fn registries(&self) -> String {
        // No image has this registry. The entry gives an empty map its type.
        let none = (NOTHING.to_owned(), rule_list([Record::leave().literal()]));
        let registries = self.registries.iter().filter(|_| self.default.is_some());
        let registries = registries.map(|(registry, rules)| {
            (registry.clone(), rule_list(rules.iter().map(Record::literal)))
        });
        cel::map(registries.chain([none]))
    }

    /// Returns the rules of domains: a list.
    pub(super) fn domains(&self) -> String {
        let domains = self.domains.iter().filter(|_| self.default.is_some());
        rule_list(domains.map(|Domain { suffix, has_port, rule }| {
            let port = if *has_port { "yes" } else { "" };
            rule.literal_with(&[("domain", suffix), ("port", port)])
        }))
    }

    /// Returns the substrings of `noswap_wildcards`: a list.
    pub(super) fn noswap(&self) -> String {
        text_list(&self.substrings)
    }

    /// Returns the rule for images that no other rule matches.
    pub(super) fn default_rule(&self) -> String {
        self.default.as_ref().map_or_else(|| Record::leave().literal(), Record::literal)
    }

    /// Returns the lists of the targets: texts with which images start, the same for repositories, hosts, and images.
    pub(super) fn targets(&self) -> [String; 4] {
        [&self.targets, &self.repositories, &self.hosts, &self.images].map(text_list)
    }
}

impl Record {
    /// Creates a rule that leaves its images alone.
    fn leave() -> Self {
        let nothing = || NOTHING.to_owned();
        Self {
            prefix: String::new(),
            to: String::new(),
            under: nothing(),
            repository: nothing(),
            host: nothing(),
        }
    }

    fn new(rule: &Rule) -> Self {
        let path = match &rule.key {
            Key::Registry(key) => {
                split_path(key.trim_start_matches("*.")).1.trim_start_matches('/')
            }
            _ => "",
        };
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let record = Self { prefix, ..Self::leave() };
        if rule.effect() != Effect::Swap {
            return record;
        }
        let to = template(rule, !path.is_empty());
        if matches!(rule.key, Key::Exact(_)) {
            return Self { to, ..record };
        }
        let (base, is_open) = rule.target.covered_prefix();
        let is_host = !is_open && !base.contains(['/', ':']);
        let is_repository = !path.is_empty() && rule.target.pattern().is_none();
        let if_so = |is: bool| if is { base.to_owned() } else { NOTHING.to_owned() };
        Self {
            to,
            under: if is_open { base.to_owned() } else { format!("{base}/") },
            repository: if_so(is_repository),
            host: if_so(is_host),
            ..record
        }
    }

    fn literal(&self) -> String {
        self.literal_with(&[])
    }

    fn literal_with(&self, more: &[(&str, &str)]) -> String {
        let fields = [
            ("prefix", &*self.prefix),
            ("to", &*self.to),
            ("under", &*self.under),
            ("repository", &*self.repository),
            ("host", &*self.host),
        ];
        cel::record(&[more, &fields].concat())
    }
}

fn rule_list(rules: impl IntoIterator<Item = String>) -> String {
    cel::list(rules, &Record::leave().literal())
}

fn text_list(texts: &BTreeSet<String>) -> String {
    cel::list(texts.iter().map(|text| cel::string(text)), "''")
}

/// Returns the new image with placeholders. `has_path` is true if the key has a path prefix.
fn template(rule: &Rule, has_path: bool) -> String {
    let target = &rule.target;
    let base = target.base();
    match (&rule.key, target.pattern()) {
        (Key::Exact(_), _) => target.text().to_owned(),
        (_, Some(pattern)) => format!("{pattern}{{suffix}}"),
        (Key::Replace(_), None) if target.is_prefix() => format!("{base}{{last}}"),
        (Key::Replace(_), None) => format!("{base}/{{last}}"),
        (_, None) if target.is_prefix() => format!("{base}{{host}}/{{repo}}{{suffix}}"),
        (Key::Registry(_), None) if has_path => format!("{base}{{rest}}{{suffix}}"),
        (Key::Registry(key), None) if carries_port(rule, key) => {
            format!("{base}{{port}}/{{repo}}{{suffix}}")
        }
        _ => format!("{base}/{{repo}}{{suffix}}"),
    }
}

/// Returns true if the new image has the port of the old one, because neither key nor target names one.
fn carries_port(rule: &Rule, key: &str) -> bool {
    let (registry, path) = split_path(key);
    let target = &rule.target;
    path.is_empty()
        && split_port(registry).1.is_empty()
        && target.is_bare_host()
        && !target.is_prefix()
}
