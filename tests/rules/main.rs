//! The swap rules: a table of cases, checked with the compiled rule set and with a naive oracle.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chains;
mod exports;
mod properties;

use imageswap::rules::{MapFile, RuleSet};
use support::{
    cases::{self, Case},
    grammar,
    oracle::{Decision, Oracle},
};

fn compile(map: &str) -> RuleSet {
    RuleSet::compile(MapFile::parse(map).0).unwrap()
}

fn decide(rules: &RuleSet, image: &str) -> Decision {
    let decision = rules.decide(image);
    Decision { result: decision.result(image), reason: decision.reason.as_str() }
}

fn expected(case: &Case) -> Decision {
    let result = case.result.unwrap_or(case.image).to_owned();
    Decision { result, reason: case.reason }
}

#[test]
fn every_case_holds_for_the_rule_set_and_for_the_oracle() {
    for case in cases::all() {
        let expected = expected(case);
        let rules = compile(case.map);
        assert_eq!(decide(&rules, case.image), expected, "rule set: {}\n{}", case.image, case.map);
        let oracle = Oracle::new(case.map);
        assert_eq!(oracle.decide(case.image), expected, "oracle: {}\n{}", case.image, case.map);
        assert_eq!(rules.decide(case.image).swapped.is_some(), case.result.is_some());
    }
}

#[test]
fn every_case_holds_for_the_oracle_alone_and_is_idempotent() {
    for case in cases::all() {
        let oracle = Oracle::new(case.map);
        let decision = oracle.decide(case.image);
        assert_eq!(decision, expected(case), "{}\n{}", case.image, case.map);
        let again = oracle.decide(&decision.result).result;
        assert_eq!(again, decision.result, "{}\n{}", case.image, case.map);
    }
}

#[test]
fn every_result_of_a_valid_reference_is_a_valid_reference() {
    for case in cases::all().filter(|case| grammar::is_reference(case.image)) {
        let result = Oracle::new(case.map).decide(case.image).result;
        assert!(grammar::is_reference(&result), "{} -> {result}\n{}", case.image, case.map);
    }
}

#[test]
fn every_case_is_idempotent() {
    for case in cases::all() {
        let rules = compile(case.map);
        let once = rules.decide(case.image).result(case.image);
        assert_eq!(rules.decide(&once).result(&once), once, "{}\n{}", case.image, case.map);
    }
}

#[test]
fn an_image_that_is_too_long_is_left_alone() {
    let rules = compile("default::d.io");
    let tagged = |length: usize| format!("a:{}", "b".repeat(length - 2));
    assert_eq!(rules.decide(&tagged(4091)).reason.as_str(), "default");
    assert_eq!(rules.decide(&tagged(4097)).reason.as_str(), "too-long");
    // The new image would be too long.
    let rules = compile("default::d.io/mirror");
    assert_eq!(rules.decide(&tagged(4096)).reason.as_str(), "unrepresentable");
}
