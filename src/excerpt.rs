//! Excerpts of untrusted text for logs and error messages.
//!
//! A sender must not be able to fill the log with one request, or to control the terminal of the reader. The module is
//! pure.

use std::borrow::Cow;

/// Maximum length of one value from a peer, in bytes. Kubernetes names have at most 253.
pub const MAX_VALUE_BYTES: usize = 256;

/// Marks the end of a text that was cut.
const ELLIPSIS: char = '…';

/// Returns `text` with control and bidirectional characters escaped as in Rust, cut to `max_bytes`.
///
/// `max_bytes` applies to the excerpt as a log writes it: with the ellipsis, and with the escapes of JSON or of Rust's
/// debug format. So no choice of characters makes a line longer.
#[must_use]
pub fn excerpt(text: &str, max_bytes: usize) -> Cow<'_, str> {
    // Without an early end, so that the compiler can look at many bytes at once.
    if text.len() <= max_bytes && text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    let mut written = 0;
    // Length to which `shown` is cut if the rest does not fit.
    let mut kept = 0;
    for character in text.chars() {
        written += if is_escaped(character) {
            shown.extend(character.escape_unicode());
            // The backslash is escaped again, so it takes two bytes.
            character.escape_unicode().len() + 1
        } else {
            shown.push(character);
            character.escape_debug().map(char::len_utf8).sum()
        };
        if written > max_bytes {
            shown.truncate(kept);
            shown.push(ELLIPSIS);
            break;
        }
        if written + ELLIPSIS.len_utf8() <= max_bytes {
            kept = shown.len();
        }
    }
    Cow::Owned(shown)
}

/// Returns true for ASCII characters that every log writes unchanged.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\'' | b'\\')
}

/// Returns true for C0 and C1 control characters, line separators, and characters that change the direction of text
/// (Unicode Standard Annex 9).
fn is_escaped(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_control_characters_are_escaped() {
        for (text, shown) in [
            ("nginx:1.27", "nginx:1.27"),
            ("a\nb\t\0", "a\\u{a}b\\u{9}\\u{0}"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("abc\u{202e}fed\u{2066}", "abc\\u{202e}fed\\u{2066}"),
            ("é…\"'\\", "é…\"'\\"),
        ] {
            assert_eq!(excerpt(text, MAX_VALUE_BYTES), shown);
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        for filler in ["x", "é", "\u{9b}", "🐳", "\"", "\\", "\u{300}", "\n"] {
            let text = filler.repeat(300);
            for max_bytes in 11..40 {
                let shown = excerpt(&text, max_bytes);
                assert!(shown.ends_with(ELLIPSIS), "{shown}");
                let json = serde_json::to_string(&shown).unwrap();
                for written in [format!("{shown:?}"), json] {
                    // The quotation marks do not count.
                    assert!(written.len() - 2 <= max_bytes, "{written}");
                }
            }
            let shown = excerpt(&text, MAX_VALUE_BYTES);
            assert!(shown.len() > MAX_VALUE_BYTES / 4, "{shown} is shorter than it need be");
        }
        assert_eq!(excerpt("12345678", 8), "12345678");
        assert_eq!(excerpt("123456789", 8), "12345…");
    }
}
