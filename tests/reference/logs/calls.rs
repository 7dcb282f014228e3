//! The calls that write log lines, from the source.

use support::source::{Source, Token, joined, sources};

/// The macros of `tracing`, with the levels that they log, the most severe first.
pub(crate) const LEVELS: [(&str, &str); 5] = [
    ("error", "ERROR"),
    ("warn", "WARN"),
    ("info", "INFO"),
    ("debug", "DEBUG"),
    ("trace", "TRACE"),
];

/// A log message, with its fields.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Call {
    /// Position of the level in [`LEVELS`].
    pub(crate) level: usize,
    /// The text; for a message that is not fixed, the expression that returns it.
    pub(crate) message: Message,
    /// The module that logs it.
    pub(crate) module: String,
    /// The names of the fields, in the order of the call.
    pub(crate) fields: Vec<String>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Message {
    /// A fixed text.
    Fixed(String),
    /// The value of an expression, without white space.
    Value(String),
}

/// Returns the calls of the source. A call whose message is the result of a function is returned once for each text in
/// that function, which is in the same file or has a name that no other file uses.
pub(crate) fn calls() -> Vec<Call> {
    let mut calls = Vec::new();
    for source in sources() {
        source.visit(&mut |tokens| {
            if let [Token::Word(name), Token::Mark('!'), Token::Group(_, arguments), ..] = tokens
                && let Some(level) = LEVELS.iter().position(|(level, _)| name == level)
            {
                calls.extend(calls_of(&source, level, arguments));
            }
        });
    }
    calls
}

fn calls_of(source: &Source, level: usize, arguments: &[Token]) -> Vec<Call> {
    let shown = || joined(arguments);
    let arguments: Vec<_> = arguments.split(|token| *token == Token::Mark(',')).collect();
    let arguments: Vec<_> = arguments.into_iter().filter(|part| !part.is_empty()).collect();
    let message = arguments.iter().position(|part| matches!(part, [Token::Text(_)]));
    let message = message.unwrap_or_else(|| panic!("no message: {}", shown()));
    let (fields, [[Token::Text(format)], values @ ..]) = arguments.split_at(message) else {
        unreachable!()
    };
    let messages = match values {
        [] if !format.contains('{') => vec![Message::Fixed(format.clone())],
        [value] if format == "{}" => returned(source, value),
        _ => panic!("a message must be a fixed text, and values belong into fields: {}", shown()),
    };
    let fields: Vec<_> = fields.iter().map(|field| name_of(field)).collect();
    let module = source.module();
    let call = |message| Call { level, message, module: module.to_owned(), fields: fields.clone() };
    messages.into_iter().map(call).collect()
}

/// Returns the messages that are values of an expression.
fn returned(source: &Source, value: &[Token]) -> Vec<Message> {
    match value {
        [Token::Word(function), Token::Group('(', _)] => {
            let mut texts = vec![source.texts_of(function)];
            if texts[0].is_empty() {
                texts = sources().iter().map(|other| other.texts_of(function)).collect();
                texts.retain(|texts| !texts.is_empty());
            }
            assert_eq!(texts.len(), 1, "files with a function {function} that has texts");
            texts.concat().into_iter().map(Message::Fixed).collect()
        }
        value => vec![Message::Value(joined(value))],
    }
}

/// Returns the name of a field: `name = value`, or a variable, each with `%` or `?` before the value.
fn name_of(field: &[Token]) -> String {
    let name = field.split(|token| *token == Token::Mark('=')).next().unwrap();
    let name = joined(name);
    let name = name.trim_start_matches(['%', '?']);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    assert!(!name.is_empty() && name.chars().all(is_name), "not a field: {}", joined(field));
    name.to_owned()
}
