//! The brackets of a text, byte by byte.

/// Returns true if a text is one object or array, judged only by its strings and by the number of its brackets.
pub(super) fn is_one_container(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let (mut depth, mut is_in_string, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            0..=0x1f if is_in_string => return false,
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_string => is_escaped = true,
            b'\\' => return false,
            b'"' => is_in_string = !is_in_string,
            b'{' | b'[' if !is_in_string => depth += 1,
            b'}' | b']' if !is_in_string => match depth {
                0 => return false,
                1 => return at + 1 == text.len(),
                _ => depth -= 1,
            },
            _ => {}
        }
    }
    false
}
