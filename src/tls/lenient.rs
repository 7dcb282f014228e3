//! Parses PEM like Go, and so like the API server.
//!
//! Go's `pem.Decode` and `CertPool.AppendCertsFromPEM` skip an invalid block and continue with the next one:
//! <https://pkg.go.dev/encoding/pem#Decode>. The parser of rustls stops at such a block. This module reports no errors,
//! because it reads bundles of other writers and does not check them.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const BEGIN_ANY: &[u8] = b"-----BEGIN ";
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END_ANY: &[u8] = b"-----END ";
const END: &[u8] = b"-----END CERTIFICATE-----";

/// Base64 as Go's `StdEncoding` decodes it. Padding is required, and the bits after the last byte may have any value.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Returns the content of each block of the type `CERTIFICATE` that is well-formed and has no headers.
pub(super) fn certificate_blocks(text: &[u8]) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    // The lines since the last BEGIN line, if it is that of a certificate.
    let mut open: Option<Vec<u8>> = None;
    for line in text.split(|byte| *byte == b'\n') {
        let line = trimmed(line);
        if line.starts_with(BEGIN_ANY) {
            // Drops an open block without an END line.
            open = (line == BEGIN).then(Vec::new);
        } else if line.starts_with(END_ANY) {
            let body = open.take().filter(|_| line == END);
            // A header has a colon, which is not in the alphabet of base64.
            blocks.extend(body.and_then(|body| BASE64.decode(body).ok()));
        } else if let Some(body) = &mut open {
            body.extend(line.iter().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r')));
        }
    }
    blocks
}

/// Returns a line without the white space at its end.
fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let end = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t'));
    end.map_or(&[], |end| &line[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_do_not_decode_are_skipped() {
        let block = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
        for (name, text, expected) in [
            ("nothing", String::new(), 0),
            ("one", block.to_owned(), 1),
            ("no line break at the end", block.trim_end().to_owned(), 1),
            ("text between", format!("a\n{block}# b: c\n\n{block}d"), 2),
            ("line ends of Windows", block.replace('\n', "\r\n"), 1),
            ("spaces in and after lines", block.replace("YWJj\n", "YW Jj \t\n"), 1),
            ("many lines", block.replace("YWJj", "YW\nJj"), 1),
            ("trailing bits", block.replace("YWJj", "YWJ="), 1),
            ("a space before the first line", format!(" {block}"), 0),
            ("another type", block.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), 0),
            ("types that differ", block.replace("END CERTIFICATE", "END KEY"), 0),
            ("headers", block.replace("YWJj", "Proc-Type: 4\n\nYWJj"), 0),
            ("invalid base64", block.replace("YWJj", "YW*j"), 0),
            ("truncated base64", block.replace("YWJj", "YWJjYQ"), 0),
            ("a first line without its end", block.replacen("-----\n", "\n", 1), 0),
            ("a last line without its end", block.trim_end().trim_end_matches('-').into(), 0),
            ("text after the last line", block.trim_end().to_owned() + " x", 0),
            ("no last line", "-----BEGIN CERTIFICATE-----\nYWJj\n".to_owned() + block, 1),
            ("a last line alone", format!("-----END CERTIFICATE-----\n{block}"), 1),
        ] {
            let found = certificate_blocks(text.as_bytes());
            assert_eq!(found.len(), expected, "{name}");
            assert!(found.iter().all(|block| block.starts_with(b"ab")), "{name}");
        }
    }
}
