//! The characters of an image: which are allowed, and their case.

/// Returns true if every character of `text` is allowed in an image reference.
///
/// Any other text is not an image yet: Kubernetes rejects it, or it is a template for another program, such as
/// `$(params.image)` or `{{inputs.parameters.image}}`.
#[must_use]
pub fn has_reference_characters_only(text: &str) -> bool {
    all_bytes(text, is_reference_character)
}

/// Returns `text` in lower case. `buffer` holds it.
///
/// A text that does not fit into the buffer is returned as it is.
#[must_use]
pub fn lower_case<'b>(text: &'b str, buffer: &'b mut [u8]) -> &'b str {
    let Some(copy) = buffer.get_mut(..text.len()) else { return text };
    copy.copy_from_slice(text.as_bytes());
    copy.make_ascii_lowercase();
    str::from_utf8(copy).unwrap_or(text)
}

/// Returns true if `text` contains an ASCII upper-case letter.
#[must_use]
pub fn has_upper_case(text: &str) -> bool {
    !all_bytes(text, |byte| !byte.is_ascii_uppercase())
}

/// Returns true if `is_allowed` returns true for all bytes of `text`.
///
/// `is_allowed` has no branches, so that the compiler can check the bytes of a block at once.
#[inline]
fn all_bytes(text: &str, is_allowed: impl Fn(u8) -> bool) -> bool {
    // Most images are longer than a block. Blocks are checked as a whole; the last one overlaps the one before it.
    let is_block_allowed =
        |block: &[u8; 16]| block.iter().fold(true, |so_far, &byte| so_far & is_allowed(byte));
    let (blocks, _) = text.as_bytes().as_chunks();
    match text.as_bytes().last_chunk() {
        Some(last) => blocks.iter().all(is_block_allowed) && is_block_allowed(last),
        None => text.bytes().all(is_allowed),
    }
}

/// Returns true for the characters of the distribution grammar: letters, digits, and the separators in a name, an IPv6
/// address, a tag and a digest.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "with a branch, the compiler could not check all bytes at once"
)]
#[inline]
fn is_reference_character(byte: u8) -> bool {
    // `-./`, digits and `:`; `@`, upper-case letters and `[`; lower-case letters. Each group is contiguous in ASCII.
    let is_between = |first: u8, last: u8| byte.wrapping_sub(first) <= last - first;
    is_between(b'-', b':')
        | is_between(b'@', b'[')
        | is_between(b'a', b'z')
        | (byte == b'+')
        | (byte == b']')
        | (byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_characters_are_not_allowed_in_a_reference() {
        for text in ["", "nginx", "A.b_c-d:1/e@sha256:0f+x", "[::1]:5000/x"] {
            assert!(has_reference_characters_only(text), "{text}");
        }
        for text in
            [" ", " nginx", "nginx\n", "$(params.image)", "{{x}}", "${IMAGE}", "a*", "é", "a\u{0}"]
        {
            assert!(!has_reference_characters_only(text), "{text}");
        }
    }

    #[test]
    fn characters_are_checked_at_every_position() {
        for character in (0..=u8::MAX).map(char::from) {
            let expected = character.is_ascii_alphanumeric() || "._-:/@+[]".contains(character);
            for (before, after) in
                [(0, 0), (0, 14), (14, 0), (0, 15), (15, 0), (16, 0), (9, 30), (33, 1)]
            {
                let text = format!("{}{character}{}", "a".repeat(before), "a".repeat(after));
                assert_eq!(has_reference_characters_only(&text), expected, "{text:?}");
            }
        }
    }
}
