//! The swap rules: a table of cases, checked with the compiled rule set and with a naive oracle.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod properties;

use imageswap::rules::{MapFile, RuleSet};
use support::{
    cases::CASES,
    oracle::{Decision, Oracle},
};

fn compile(map: &str) -> RuleSet {
    RuleSet::compile(MapFile::parse(map).0).unwrap()
}

fn decide(rules: &RuleSet, image: &str) -> Decision {
    let decision = rules.decide(image);
    Decision { result: decision.result(image), reason: decision.reason.as_str() }
}

#[test]
fn every_case_holds_for_the_rule_set_and_for_the_oracle() {
    for case in CASES {
        let result = case.result.unwrap_or(case.image).to_owned();
        let expected = Decision { result, reason: case.reason };
        let rules = compile(case.map);
        assert_eq!(decide(&rules, case.image), expected, "rule set: {}\n{}", case.image, case.map);
        let oracle = Oracle::new(case.map);
        assert_eq!(oracle.decide(case.image), expected, "oracle: {}\n{}", case.image, case.map);
        assert_eq!(rules.decide(case.image).swapped.is_some(), case.result.is_some());
    }
}

#[test]
fn every_case_is_idempotent() {
    for case in CASES {
        let rules = compile(case.map);
        let once = rules.decide(case.image).result(case.image);
        assert_eq!(rules.decide(&once).result(&once), once, "{}\n{}", case.image, case.map);
    }
}

#[test]
fn an_image_that_is_too_long_is_left_alone() {
    let rules = compile("default::d.io");
    let tagged = |length: usize| format!("a:{}", "b".repeat(length - 2));
    assert_eq!(rules.decide(&tagged(4096)).reason.as_str(), "default");
    assert_eq!(rules.decide(&tagged(4097)).reason.as_str(), "too-long");
}
