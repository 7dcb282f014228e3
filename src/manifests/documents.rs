//! The documents of a text.

use granit_parser::{ErrorKind, Event, Options, Parser, ScanError, StrInput};

use super::{
    SyntaxError,
    document::{Builder, Content, Document, Style},
    origin::Origin,
};

/// Maximum length of a key in characters. YAML allows 1,024, and JSON any length.
const MAX_KEY_LENGTH: usize = 64 * 1024;

/// Maximum nesting of collections. The API server accepts no deeper objects than 10,000; those of people have ten.
const MAX_NESTING: usize = 255;

/// The documents of a text, in their order. A syntax error ends the iteration.
///
/// JSON objects may follow each other without a separator, as `jq` prints them and kubectl reads them, if each begins at
/// the start of a line. In the middle of a line, it could be part of a key, so the parser would read the rest of the line
/// for each of them.
pub(super) struct Documents<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    /// The position at which the text of the parser begins.
    origin: Origin,
    /// True if the last document is a mapping in braces.
    follows_object: bool,
}

impl<'t> Documents<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let parser = Self::parser(text);
        Self { text, parser, origin: Origin::default(), follows_object: false }
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

    /// Goes on with the JSON object that the parser has found in place of a separator. False if there is none.
    fn goes_on(&mut self, error: &ScanError) -> bool {
        let is_unexpected =
            matches!(error.kind(), ErrorKind::ExpectedDocumentStart) && error.marker().col() == 0;
        let origin = self.origin.of(error.marker());
        let rest = self.text.get(origin.bytes..).unwrap_or_default();
        let found = is_unexpected && self.follows_object && rest.starts_with('{');
        if found {
            self.parser = Self::parser(rest);
            self.origin = origin;
        }
        found
    }
}

impl<'t> Iterator for Documents<'t> {
    type Item = Result<Document<'t>, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut builder = Builder::new(self.origin);
        loop {
            match self.parser.next_event()? {
                Err(error) if self.goes_on(&error) => builder = Builder::new(self.origin),
                Err(error) => return Some(Err(SyntaxError::of(&error, self.origin))),
                Ok((Event::StreamEnd, _)) => return None,
                Ok((Event::DocumentEnd, _)) => {
                    let document = builder.finish();
                    let root = document.root.map(|root| &document.written(root).content);
                    self.follows_object = matches!(root, Some(Content::Mapping(Style::Flow, _)));
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
