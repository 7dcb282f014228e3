//! The paths in source code: in `use` declarations, and in code.

use support::source::{Source, Token};

/// Returns all paths of a file, each as its segments. `use a::{b, c::d}` has the paths `a::b` and `a::c::d`.
///
/// A path is also returned without its first segments, because each segment may begin one.
pub(crate) fn paths(source: &Source) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    source.visit(&mut |tokens| {
        let tokens = match tokens {
            [Token::Word(keyword), rest @ ..] if keyword == "use" => rest,
            tokens => tokens,
        };
        tree(tokens, &mut Vec::new(), &mut found);
    });
    found.retain(|path| path.len() > 1);
    found
}

/// Reads the tree that the tokens begin with. Each leaf is a path after `prefix`.
fn tree(mut tokens: &[Token], prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let depth = prefix.len();
    loop {
        match tokens {
            [Token::Group('{', inner), ..] => {
                for branch in inner.split(|token| *token == Token::Mark(',')) {
                    tree(branch, prefix, found);
                }
                break;
            }
            [Token::Word(segment), Token::Mark(':'), Token::Mark(':'), rest @ ..] => {
                prefix.push(segment.clone());
                tokens = rest;
            }
            [Token::Word(segment), ..] => {
                // `as` gives another name, which does not matter here.
                found.push(prefix.iter().chain([segment]).cloned().collect());
                break;
            }
            _ => break,
        }
    }
    prefix.truncate(depth);
}

#[test]
fn a_tree_of_uses_is_read_as_its_paths() {
    let code =
        "use a::{b, c::{d as e, self}}; pub use super::f; fn g() { crate::h::i(); std::j(); }";
    let found: Vec<_> =
        paths(&Source::parse("f.rs", code)).into_iter().map(|path| path.join("::")).collect();
    for path in ["a::b", "a::c::d", "a::c::self", "super::f", "crate::h::i", "std::j"] {
        assert!(found.iter().any(|found| found == path), "{path} is not in {found:?}");
    }
}
