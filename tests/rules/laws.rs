//! The laws of the swap rules, each for one map or glob; each panics when it does not hold.
//!
//! The random tests here and the fuzz targets in `fuzz` try them on maps of their own.

use imageswap::rules::{Code, Glob, MapFile, RuleSet, lint};

use crate::oracle::{self, Oracle, Verdict};

/// A map as the program reads it, and as the oracle does.
pub(crate) struct Map<'t> {
    text: &'t str,
    rules: RuleSet,
    oracle: Oracle,
}

impl<'t> Map<'t> {
    pub(crate) fn read(text: &'t str) -> Self {
        let rules = RuleSet::compile(MapFile::parse(text).0).unwrap();
        Self { text, rules, oracle: Oracle::new(text) }
    }

    pub(crate) fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The rule set decides as the oracle does.
    pub(crate) fn decides_as_the_oracle(&self, image: &str) {
        let decision = self.rules.decide(image);
        let verdict = Verdict { result: decision.result(image), reason: decision.reason.as_str() };
        assert_eq!(verdict, self.oracle.decide(image), "{image}\n{}", self.text);
    }

    /// `explain` decides as `decide` does, and a result is made of map and image alone.
    pub(crate) fn explains_what_it_decides(&self, image: &str) {
        let result = self.rules.decide(image).result(image);
        let longest = self.text.len() + "docker.io/".len() + image.len();
        assert!(result.len() <= longest, "{image}\n{}", self.text);
        let (_, explained) = self.rules.explain(image);
        assert_eq!(explained.result(image), result, "{image}\n{}", self.text);
    }

    /// A second pass changes nothing, unless the lint finds a chain or could not look at all rules.
    ///
    /// An image that ends with `/` has no last segment, so that `[REPLACE]` makes a bare target of
    /// it, which names nothing. `check` does not warn of what follows from that.
    pub(crate) fn is_idempotent_or_has_a_chain(&self, image: &str) {
        let once = self.rules.decide(image).result(image);
        let twice = self.rules.decide(&once).result(&once);
        if once == twice || image.ends_with('/') {
            return;
        }
        let found = lint::lint(&self.rules, self.text);
        let has_chain = found.kept().iter().any(|diagnostic| diagnostic.code == Code::Chain);
        assert!(
            has_chain || found.is_partial() || found.dropped() > 0,
            "{image} -> {once} -> {twice}, no chain in\n{}",
            self.text
        );
    }

    /// A map that is printed and read again is the same, and nothing is wrong with it.
    pub(crate) fn is_the_same_when_printed_and_read_again(&self) {
        let parsed = MapFile::parse(self.text).0;
        // Without the broken lines above it, a rule may be the first line of the map, and a manifest begins so.
        if oracle::is_manifest(&parsed.to_string()) {
            return;
        }
        // Behind a byte-order mark, because a key may begin with another one.
        let (again, diagnostics) = MapFile::parse(&format!("\u{feff}{parsed}"));
        assert!(diagnostics.kept().is_empty(), "{diagnostics:?}");
        assert_eq!(parsed.rules.len(), again.rules.len(), "{}", self.text);
        for (rule, other) in parsed.rules.iter().zip(&again.rules) {
            assert!(rule.is_same(other), "{rule} became {other}");
        }
    }
}

/// A glob matches as the oracle says.
pub(crate) fn matches_as_the_oracle(glob: &str, text: &str) {
    let matches = Glob::parse(glob).matches(text);
    assert_eq!(matches, oracle::fnmatch(glob, text), "{glob} on {text}");
}

/// What two globs say of each other is true of all texts.
pub(crate) fn tell_the_truth_of_each_other(one: &str, other: &str, texts: &[String]) {
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
