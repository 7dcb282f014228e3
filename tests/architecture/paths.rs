//! The paths in source code: of `use` declarations, and those that begin with `crate`, `self` or `super`.

/// Returns all paths, each as its segments. `use a::{b, c::d}` has the paths `a::b` and `a::c::d`.
pub(crate) fn paths(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins =
            matches!(tokens[at], "crate" | "self" | "super") && tokens.get(at + 1) == Some(&"::");
        if tokens[at] == "use" {
            at = tree(&tokens, at + 1, &mut Vec::new(), &mut found);
        } else if begins {
            at = tree(&tokens, at, &mut Vec::new(), &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one tree from a token on, and returns the token after it.
fn tree<'c>(
    tokens: &[&'c str],
    mut at: usize,
    prefix: &mut Vec<&'c str>,
    found: &mut Vec<Vec<String>>,
) -> usize {
    let depth = prefix.len();
    loop {
        match tokens.get(at) {
            Some(&"{") => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" {
                    at = if tokens[at] == "," { at + 1 } else { tree(tokens, at, prefix, found) };
                }
                prefix.truncate(depth);
                return at + 1;
            }
            Some(&segment) => {
                prefix.push(segment);
                at += 1;
                if tokens.get(at) != Some(&"::") {
                    break;
                }
                at += 1;
            }
            None => break,
        }
    }
    found.push(prefix.iter().map(|&segment| segment.to_owned()).collect());
    prefix.truncate(depth);
    // `as` gives another name, which does not matter here.
    if tokens.get(at) == Some(&"as") { at + 2 } else { at }
}

/// Splits code into words, `::` and single characters.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = match word {
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            word => word,
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

#[test]
fn a_tree_of_uses_is_read_as_its_paths() {
    let code = "use a::{b, c::{d as e, self}};\npub use super::f;\nfn g() { crate::h::i(); }";
    let expected = ["a::b", "a::c::d", "a::c::self", "super::f", "crate::h::i"];
    let found: Vec<_> = paths(code).into_iter().map(|path| path.join("::")).collect();
    assert_eq!(found, expected);
}
