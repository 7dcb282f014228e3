//! The tokens of the program's source, without unit tests and comments.

use std::{fs, iter::Peekable, path::Path, str::Chars};

/// A source file.
pub struct Source {
    /// Path below `src`.
    pub path: String,
    tokens: Vec<Token>,
}

/// A token of Rust, as far as it matters here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Token {
    /// Brackets with all tokens between them; the character is the opening one.
    Group(char, Vec<Token>),
    /// Any other character.
    Mark(char),
    /// A string literal, without quotation marks and escapes.
    Text(String),
    /// A name, keyword, number or character literal.
    Word(String),
}

impl Source {
    /// Reads the text of a file; `path` is its path below `src`.
    pub fn parse(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), tokens: tokens(text) }
    }

    /// Returns the module of the crate that the file belongs to, such as `server`.
    pub fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Calls `visit` with each token and those after it, in the file and in all groups. Items with the attribute
    /// `cfg(test)` are left out.
    pub fn visit<'t>(&'t self, visit: &mut impl FnMut(&'t [Token])) {
        visit_all(&self.tokens, visit);
    }

    /// Returns all string literals in the body of a function of this file.
    pub fn texts_of(&self, function: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        self.visit(&mut |tokens| {
            if let [Token::Word(keyword), Token::Word(name), rest @ ..] = tokens
                && keyword == "fn"
                && name == function
            {
                bodies.extend(rest.iter().find_map(block));
            }
        });
        let mut texts = Vec::new();
        for body in bodies {
            visit_all(body, &mut |tokens| {
                if let [Token::Text(text), ..] = tokens {
                    texts.push(text.clone());
                }
            });
        }
        texts
    }
}

/// Reads the files of `src`.
pub fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src");
    read(&root, &root, &mut sources);
    assert!(sources.len() > 50, "these are not all files: {}", sources.len());
    sources
}

fn read(root: &Path, directory: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_stem().is_some_and(|name| name != "tests")
        {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_str().unwrap();
            sources.push(Source::parse(path, &text));
        }
    }
}

fn visit_all<'t>(tokens: &'t [Token], visit: &mut impl FnMut(&'t [Token])) {
    let mut rest = tokens;
    while let [token, after @ ..] = rest {
        if is_test_attribute(rest) {
            let is_end = |token: &Token| block(token).is_some() || *token == Token::Mark(';');
            rest = &rest[rest.iter().position(is_end).unwrap() + 1..];
            continue;
        }
        visit(rest);
        if let Token::Group(_, inner) = token {
            visit_all(inner, visit);
        }
        rest = after;
    }
}

/// Returns true if the tokens begin with `#[cfg(test)]`.
fn is_test_attribute(rest: &[Token]) -> bool {
    rest.starts_with(&tokens("#[cfg(test)]"))
}

fn block(token: &Token) -> Option<&Vec<Token>> {
    match token {
        Token::Group('{', tokens) => Some(tokens),
        _ => None,
    }
}

/// Returns the text of tokens, without white space.
pub fn joined(tokens: &[Token]) -> String {
    let text = |token: &Token| match token {
        Token::Group(open, tokens) => format!("{open}{}{}", joined(tokens), closing(*open)),
        Token::Mark(mark) => mark.to_string(),
        Token::Text(text) => format!("{text:?}"),
        Token::Word(word) => word.clone(),
    };
    tokens.iter().map(text).collect()
}

fn closing(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

/// Reads Rust source.
fn tokens(source: &str) -> Vec<Token> {
    let mut characters = source.chars().peekable();
    let tokens = group(&mut characters, None);
    assert_eq!(characters.next(), None);
    tokens
}

type Characters<'s> = Peekable<Chars<'s>>;

/// Reads up to a closing bracket, or to the end.
fn group(characters: &mut Characters<'_>, close: Option<char>) -> Vec<Token> {
    let mut tokens = Vec::new();
    loop {
        match characters.next() {
            end if end == close => return tokens,
            None => panic!("{close:?} is missing"),
            Some('/') if characters.peek() == Some(&'/') => {
                characters.find(|&character| character == '\n');
            }
            Some('/') if characters.peek() == Some(&'*') => panic!("a block comment"),
            Some('"') => tokens.push(Token::Text(text(characters))),
            Some('\'') => tokens.push(Token::Word(character_or_lifetime(characters))),
            Some(open @ ('(' | '[' | '{')) => {
                tokens.push(Token::Group(open, group(characters, Some(closing(open)))));
            }
            Some(first) if is_of_word(first) => {
                let mut word = first.to_string();
                word.extend(std::iter::from_fn(|| characters.next_if(|&next| is_of_word(next))));
                if ["r", "br"].contains(&&*word) && matches!(characters.peek(), Some('"' | '#')) {
                    tokens.push(Token::Text(raw_text(characters)));
                } else if word != "b" || characters.peek() != Some(&'"') {
                    tokens.push(Token::Word(word));
                }
            }
            Some(mark) if mark.is_whitespace() => {}
            Some(mark) => tokens.push(Token::Mark(mark)),
        }
    }
}

fn is_of_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// Reads a string literal after its first quotation mark.
fn text(characters: &mut Characters<'_>) -> String {
    let mut text = String::new();
    loop {
        match characters.next().unwrap() {
            '"' => return text,
            '\\' => match characters.next().unwrap() {
                // A backslash at the end of a line joins it with the text of the next one.
                '\n' => while characters.next_if(|next| next.is_whitespace()).is_some() {},
                'n' => text.push('\n'),
                // Other escapes do not matter: no message has them.
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}

/// Reads a raw string literal after its `r`.
fn raw_text(characters: &mut Characters<'_>) -> String {
    let mut end = String::from("\"");
    while characters.next_if_eq(&'#').is_some() {
        end.push('#');
    }
    assert_eq!(characters.next(), Some('"'), "a raw name");
    let mut text = String::new();
    while !text.ends_with(&end) {
        text.push(characters.next().unwrap());
    }
    text.truncate(text.len() - end.len());
    text
}

/// Reads a character literal or a lifetime after its quotation mark.
fn character_or_lifetime(characters: &mut Characters<'_>) -> String {
    let first = characters.next().unwrap();
    let mut word = first.to_string();
    if first == '\\' {
        word.extend(characters.next());
    } else if characters.peek() != Some(&'\'') {
        return word;
    }
    word.extend(characters.by_ref().take_while(|&character| character != '\''));
    word
}

#[test]
fn tokens_of_rust_are_read() {
    let source = r##"
        // A comment with "a quotation mark.
        #[cfg(test)] mod x { warn!("no"); }
        fn f<'a>(x: &'a str) -> char { let c = ['"', '\'', '\\', '\u{7f}', 'b']; b"x"; r#"" \"#; '}' }
        warn!(%x, "a \"message\" \
               of two lines");
    "##;
    let source = Source::parse("f.rs", source);
    let mut found = Vec::new();
    source.visit(&mut |tokens| {
        if let [Token::Word(name), Token::Mark('!'), Token::Group('(', inner), ..] = tokens {
            found.push((name.clone(), inner.clone()));
        }
    });
    let [(name, inner)] = found.as_slice() else { panic!("{found:?}") };
    let message = Token::Text("a \"message\" of two lines".to_owned());
    assert_eq!((&**name, inner.last()), ("warn", Some(&message)));
    assert_eq!(source.texts_of("f"), ["x", "\" \\"]);
}
