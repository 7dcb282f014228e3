//! The documents of a text.

use granit_parser::{ErrorKind, Event, Options, Parser, ScanError, StrInput};

use super::{
    SyntaxError,
    document::{Builder, Document},
    origin::Origin,
};

/// Maximum length of a key in characters. YAML allows 1,024, and JSON any length.
const MAX_KEY_LENGTH: usize = 64 * 1024;

/// Maximum nesting of collections. The API server accepts no deeper objects than 10,000; those of people have ten.
const MAX_NESTING: usize = 255;

/// The documents of a text, in their order. A syntax error ends the iteration.
///
/// JSON objects may follow each other without a separator, as `jq` prints them. As for kubectl, the text then begins
/// with one, and only white space is between them. Each has to begin at the start of a line: in the middle of a line it
/// could be part of a key, so the parser would read the rest of the line for each of them.
pub(super) struct Documents<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    /// The position at which the text of the parser begins.
    origin: Origin,
    /// The end of the last document, in bytes, if it is a mapping in braces.
    object_end: Option<usize>,
}

impl<'t> Documents<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let parser = Self::parser(text);
        Self { text, parser, origin: Origin::default(), object_end: None }
    }

    fn parser(text: &'t str) -> Parser<'t, StrInput<'t>> {
        let options: Options = granit_parser::options! {
            simple_key_max_lookahead: MAX_KEY_LENGTH,
            flow_nesting_limit: MAX_NESTING,
            block_nesting_limit: MAX_NESTING,
            emit_comments: false,
            // As libyaml, which Kubernetes uses a port of.
            block_scalar_eof_without_line_feed: true,
        };
        Parser::new_from_str_with_options(text, options)
    }

    /// Goes on with the JSON object that the parser has found in place of a separator.
    ///
    /// # Errors
    /// If it has found anything else.
    fn go_on(&mut self, error: &ScanError) -> Result<(), SyntaxError> {
        let mut syntax_error = SyntaxError::of(error, self.origin);
        if !matches!(error.kind(), ErrorKind::ExpectedDocumentStart) {
            return Err(syntax_error);
        }
        let origin = self.origin.of(error.marker());
        let is_object = self.is_next_object(origin.bytes);
        if is_object && error.marker().col() == 0 {
            self.parser = Self::parser(&self.text[origin.bytes..]);
            self.origin = origin;
            return Ok(());
        }
        let remedy = if is_object {
            "begin the next object at the start of a line"
        } else {
            "begin the next one with a line `---`"
        };
        syntax_error.problem = format!("the document has ended before this; {remedy}");
        Err(syntax_error)
    }

    /// Returns true if the text begins with a JSON object, and another one begins at `at`, right after the last one.
    fn is_next_object(&self, at: usize) -> bool {
        let is_json = self.text.trim_start_matches('\u{feff}').trim_start().starts_with('{');
        let between = self.object_end.and_then(|end| self.text.get(end..at));
        let is_next = between.is_some_and(|between| between.trim().is_empty());
        is_json && is_next && self.text[at..].starts_with('{')
    }
}

impl<'t> Iterator for Documents<'t> {
    type Item = Result<Document<'t>, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut builder = Builder::new(self.origin);
        loop {
            match self.parser.next_event()? {
                Err(error) => match self.go_on(&error) {
                    Ok(()) => builder = Builder::new(self.origin),
                    Err(error) => return Some(Err(error)),
                },
                Ok((Event::StreamEnd, _)) => return None,
                Ok((Event::DocumentEnd, _)) => {
                    let document = builder.finish();
                    self.object_end = document.object_end();
                    return Some(Ok(document));
                }
                Ok((event, span)) => {
                    if let Err(error) = builder.add(event, &span) {
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}
