//! Escapes in JSON strings (RFC 8259, section 7).

use super::{CONTROL_CHARACTER, Result, syntax_error};

const LONE_SURROGATE: &str = "unpaired surrogate in a string";

// The ranges of code units that are one half of a surrogate pair (Unicode, section 3.8).
const HIGH_SURROGATE: u32 = 0xd800;
const LOW_SURROGATE: u32 = 0xdc00;
const SURROGATE_END: u32 = 0xe000;

/// Reads the next escape. Returns the rest of the text and the decoded character.
#[cold]
#[inline(never)]
pub(super) fn read(rest: &[u8]) -> Result<(&[u8], char)> {
    let [b'\\', escape @ ..] = rest else {
        return Err(syntax_error(CONTROL_CHARACTER, rest));
    };
    let Some((letter, after)) = escape.split_first() else {
        return Err(syntax_error("invalid escape", escape));
    };
    let character = match letter {
        b'"' | b'\\' | b'/' => char::from(*letter),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return code_point(after),
        _ => return Err(syntax_error("invalid escape", escape)),
    };
    Ok((after, character))
}

/// Reads the digits after `\u`, and a second such escape if the two are a surrogate pair.
fn code_point(rest: &[u8]) -> Result<(&[u8], char)> {
    let (rest, first) = code_unit(rest)?;
    if let Some(character) = char::from_u32(first) {
        return Ok((rest, character));
    }
    if let [b'\\', b'u', second @ ..] = rest
        && (HIGH_SURROGATE..LOW_SURROGATE).contains(&first)
    {
        let (after, second) = code_unit(second)?;
        if (LOW_SURROGATE..SURROGATE_END).contains(&second) {
            let point = ((first - HIGH_SURROGATE) << 10 | (second - LOW_SURROGATE)) + 0x1_0000;
            let character =
                char::from_u32(point).ok_or_else(|| syntax_error(LONE_SURROGATE, rest))?;
            return Ok((after, character));
        }
    }
    Err(syntax_error(LONE_SURROGATE, rest))
}

fn code_unit(mut rest: &[u8]) -> Result<(&[u8], u32)> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit =
            rest.split_first().map(|(digit, after)| (char::from(*digit).to_digit(16), after));
        let Some((Some(digit), after)) = digit else {
            return Err(syntax_error("invalid escape; `\\u` takes four hexadecimal digits", rest));
        };
        unit = unit << 4 | digit;
        rest = after;
    }
    Ok((rest, unit))
}
