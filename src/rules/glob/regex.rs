//! A glob as a regular expression, for programs that know no shell globs.

use std::fmt::Write;

use super::{Class, Glob, Segment, Token};

impl Glob {
    /// Returns a regular expression in the syntax of RE2 that matches the same texts, from their start to their end.
    #[must_use]
    pub fn to_regex(&self) -> String {
        let mut regex = String::from("^(?s:");
        self.head.append_regex(&mut regex);
        for segment in &self.rest {
            regex.push_str(".*");
            segment.append_regex(&mut regex);
        }
        regex.push_str(")$");
        regex
    }
}

impl Segment {
    fn append_regex(&self, regex: &mut String) {
        for token in &self.tokens {
            match token {
                Token::AnyCharacter => regex.push('.'),
                Token::Class(class) => class.append_regex(regex),
                Token::Literal(literal) => {
                    literal.chars().for_each(|character| append_character(character, regex));
                }
            }
        }
    }
}

impl Class {
    fn append_regex(&self, regex: &mut String) {
        let ranges = self.ranges.iter().filter(|(low, high)| low <= high);
        let mut ranges = ranges.peekable();
        if ranges.peek().is_none() {
            // A class of reversed ranges has no members.
            regex.push_str(if self.negated { "." } else { r"[^\x{0}-\x{10FFFF}]" });
            return;
        }
        regex.push_str(if self.negated { "[^" } else { "[" });
        for &(low, high) in ranges {
            append_character(low, regex);
            regex.push('-');
            append_character(high, regex);
        }
        regex.push(']');
    }
}

/// Appends a character that has no special meaning, in a class or outside.
fn append_character(character: char, regex: &mut String) {
    if character.is_ascii_alphanumeric() || "/:@_".contains(character) {
        regex.push(character);
    } else if character.is_ascii_punctuation() {
        regex.extend(['\\', character]);
    } else {
        // Writing to a string cannot fail.
        let _ = write!(regex, r"\x{{{:X}}}", u32::from(character));
    }
}

#[cfg(test)]
mod tests {
    use regex_automata::meta::Regex;

    use super::*;

    #[test]
    fn the_regular_expression_matches_what_the_glob_matches() {
        let texts = [
            "",
            "a",
            "b",
            "-",
            "]",
            "^",
            "a.b",
            "axb",
            "a/b",
            "nvcr.io/nvidia:v1",
            "a\nb",
            "é",
            "[",
            "ab",
            "a-b",
            "é.b",
            "m",
        ];
        for glob in [
            "",
            "*",
            "?",
            "a?b",
            "a*b",
            "*nvidia:*",
            "[ab]",
            "[!a]",
            "[a-z]*",
            "[]]",
            "[!]]",
            "[^a]",
            "[",
            "[a",
            "[z-a]",
            "[!z-a]",
            "[a-]",
            "[-a]",
            "a.b",
            "é*",
            "[é]?b",
        ] {
            let parsed = Glob::parse(glob);
            let regex = Regex::new(&parsed.to_regex()).unwrap();
            for text in texts {
                assert_eq!(regex.is_match(text), parsed.matches(text), "{glob} on {text:?}");
            }
        }
    }
}
