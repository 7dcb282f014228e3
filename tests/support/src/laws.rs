//! Laws of the swap rules, which hold for every map, image and glob.
//!
//! `tests/rules` checks them on random maps, and `fuzz` on the maps of the fuzzer. Each function panics if its law does
//! not hold.

use imageswap::rules::{Code, Glob, MapFile, MapScope, Maps, RuleSet, lint};

use crate::{
    grammar,
    oracle::{self, Decision, Oracle},
};

/// A map, as read by the program and by the oracle.
pub struct Map<'t> {
    text: &'t str,
    rules: RuleSet,
    oracle: Oracle,
}

impl<'t> Map<'t> {
    /// Reads a map.
    pub fn read(text: &'t str) -> Self {
        let rules = RuleSet::compile(MapFile::parse(text).0).unwrap();
        Self { text, rules, oracle: Oracle::new(text) }
    }

    /// Returns the rules that the program compiled from the map.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Checks that the program and the oracle make the same decision.
    pub fn assert_decides_like_oracle(&self, image: &str) {
        let decision = self.rules.decide(image);
        let decision =
            Decision { result: decision.result(image), reason: decision.reason.as_str() };
        assert_eq!(decision, self.oracle.decide(image), "{image}\n{}", self.text);
    }

    /// Checks that the program and the oracle find the same pull secrets for an image.
    pub fn assert_finds_pull_secrets_like_oracle(&self, image: &str) {
        let lines = Maps::new(None, &self.rules).pull_secrets(image);
        let names = lines.iter().flat_map(|line| line.names.iter()).map(|name| &**name);
        let names: Vec<&str> = names.collect();
        assert_eq!(names, self.oracle.pull_secrets(image), "{image}\n{}", self.text);
    }

    /// Checks that `explain` and `decide` agree, and that the result is no longer than map and image.
    pub fn assert_explains_its_decision(&self, image: &str) {
        let result = self.rules.decide(image).result(image);
        // The target comes from the map. Host, port, path, tag and digest come from the image, except for these two
        // segments of a shorthand. `{path}` is meant after `{registry}` even if it is not written.
        let longest = self.text.len() + "/docker.io/library/".len() + image.len();
        assert!(result.len() <= longest, "{image}\n{}", self.text);
        let (_, explained) = self.rules.explain(image);
        assert_eq!(explained.result(image), result, "{image}\n{}", self.text);
    }

    /// Checks that the result is a valid reference if the image is one.
    pub fn assert_keeps_references_valid(&self, image: &str) {
        let decision = self.rules.decide(image);
        // A shorthand is a path on Docker Hub. The grammar alone would take `[ab]` in `[ab]/c` for an address.
        let is_shorthand = oracle::Image::parse(image).shorthand;
        let normalized = format!("{}{image}", if is_shorthand { "docker.io/" } else { "" });
        if decision.swapped.is_none() || !grammar::is_reference(&normalized) {
            return;
        }
        let result = decision.result(image);
        assert!(grammar::is_reference(&result), "{image} -> {result}\n{}", self.text);
    }

    /// Checks that a second pass changes nothing, unless the lint reports the two rules as a chain or was cut short.
    ///
    /// Images that end with `/` are exempt. They have no last segment, so `[REPLACE]` turns them into a bare target.
    /// `check` does not warn of the consequences.
    pub fn assert_idempotent_or_chained(&self, image: &str) {
        let first = self.rules.decide(image);
        let once = first.result(image);
        let second = self.rules.decide(&once);
        let twice = second.result(&once);
        if once == twice || image.ends_with('/') {
            return;
        }
        let found = lint::lint(&self.rules, MapScope::Cluster, self.text);
        if found.is_partial() || found.dropped() > 0 {
            return;
        }
        let lines = (first.rule.map(|rule| rule.line), second.rule.map(|rule| rule.line));
        let is_reported = found.kept().iter().any(|diagnostic| {
            let related = diagnostic.related.as_ref().map(|related| related.line);
            [Code::Chain, Code::CaseChain].contains(&diagnostic.code)
                && (diagnostic.line, related) == lines
        });
        assert!(
            is_reported,
            "{image} -> {once} -> {twice}, no chain of the lines {lines:?} in\n{}",
            self.text
        );
    }

    /// Checks that a printed map reads back as the same map without diagnostics.
    pub fn assert_prints_and_reads_back(&self) {
        let parsed = MapFile::parse(self.text).0;
        // Printing drops broken lines, so a rule that looks like a manifest may now be the first line.
        if oracle::is_manifest(&parsed.to_string()) {
            return;
        }
        // The text gets a byte-order mark, because the first key may start with another one.
        let (again, diagnostics) = MapFile::parse(&format!("\u{feff}{parsed}"));
        assert!(diagnostics.kept().is_empty(), "{diagnostics:?}");
        assert_eq!(parsed.rules.len(), again.rules.len(), "{}", self.text);
        for (rule, other) in parsed.rules.iter().zip(&again.rules) {
            assert!(rule.is_same(other), "{rule} became {other}");
        }
        let secrets =
            |map: &MapFile| map.pull_secrets.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(secrets(&parsed), secrets(&again));
    }
}

/// The map of a namespace and that of the cluster, as read by the program and by the oracle.
pub struct Pair<'t> {
    namespace: Map<'t>,
    cluster: Map<'t>,
}

impl<'t> Pair<'t> {
    /// Reads both maps.
    pub fn read(namespace: &'t str, cluster: &'t str) -> Self {
        let read = |file: &str, text: &'t str| {
            let rules = RuleSet::compile(MapFile::parse_file(file, text).0).unwrap();
            Map { text, rules, oracle: Oracle::new(text) }
        };
        Self { namespace: read("namespace", namespace), cluster: read("cluster", cluster) }
    }

    fn maps(&self) -> Maps<'_> {
        Maps::new(Some(&self.namespace.rules), &self.cluster.rules)
    }

    fn texts(&self) -> String {
        format!("namespace:\n{}\ncluster:\n{}", self.namespace.text, self.cluster.text)
    }

    /// Checks that the program and the oracle make the same decision, and that `explain` agrees.
    pub fn assert_decides_like_oracle(&self, image: &str) {
        let decision = self.maps().decide(image);
        let explained = self.maps().explain(image).1;
        let decision =
            Decision { result: decision.result(image), reason: decision.reason.as_str() };
        assert_eq!(explained.result(image), decision.result, "{image}\n{}", self.texts());
        let expected = self.namespace.oracle.decide_before(&self.cluster.oracle, image);
        assert_eq!(decision, expected, "{image}\n{}", self.texts());
    }

    /// Checks that a second pass changes nothing, unless a lint of one map or of both reports a chain, or was cut short.
    pub fn assert_idempotent_or_chained(&self, image: &str) {
        let first = self.maps().decide(image);
        let once = first.result(image);
        let second = self.maps().decide(&once);
        let twice = second.result(&once);
        if once == twice || image.ends_with('/') {
            return;
        }
        let (Some(first), Some(second)) = (first.rule, second.rule) else {
            panic!("{image} -> {once} -> {twice}, without rules, in\n{}", self.texts());
        };
        let Self { namespace, cluster } = self;
        let (own, all) = (&namespace.rules, &cluster.rules);
        let found = match (&*first.file, &*second.file) {
            ("namespace", "namespace") => lint::lint(own, MapScope::Namespace, namespace.text),
            ("cluster", "cluster") => lint::lint(all, MapScope::Cluster, cluster.text),
            ("cluster", "namespace") => lint::lint_pair(own, namespace.text, all),
            _ => panic!("{image} -> {once} -> {twice}, past the targets of\n{}", self.texts()),
        };
        if found.is_partial() || found.dropped() > 0 {
            return;
        }
        let is_reported = found.kept().iter().any(|diagnostic| {
            let related = diagnostic.related.as_ref().map(|related| related.line);
            let is_of_both = if first.file == second.file {
                (diagnostic.line, related) == (Some(first.line), Some(second.line))
            } else {
                let location = format!(" {} ", first.location());
                diagnostic.line == Some(second.line)
                    && diagnostic.message.replace(',', " ").contains(&location)
            };
            is_of_both && [Code::Chain, Code::CaseChain].contains(&diagnostic.code)
        });
        let rules = format!("{} and {}", first.location(), second.location());
        let texts = self.texts();
        assert!(is_reported, "{image} -> {once} -> {twice}, no chain of {rules} in\n{texts}");
    }
}

/// Checks that a glob matches a text if and only if the oracle says so.
pub fn assert_matches_like_oracle(glob: &str, text: &str) {
    let matches = Glob::parse(glob).matches(text);
    assert_eq!(matches, oracle::fnmatch(glob, text), "{glob} on {text}");
}

/// Checks that no text contradicts the relations of two globs that the lints rely on.
pub fn assert_glob_relations_hold(one: &str, other: &str, texts: &[String]) {
    let (one_parsed, other_parsed) = (Glob::parse(one), Glob::parse(other));
    let intersects = one_parsed.intersects(&other_parsed);
    let subsumes = one_parsed.subsumes(&other_parsed);
    for text in texts {
        let (own, others) = (one_parsed.matches(text), other_parsed.matches(text));
        assert!(!(own && others) || intersects, "{one} and {other} on {text}");
        assert!(!others || own || !subsumes, "{one} over {other} on {text}");
        assert!(!own || !one_parsed.is_empty(), "{one} on {text}");
        if own {
            let last = text.rsplit('/').next().unwrap();
            assert!(one_parsed.last_segments().matches(last), "{one} on {text}");
        }
    }
}
