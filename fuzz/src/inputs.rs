//! Converts the bytes of an input to the texts for a target.

/// The first byte of an input whose other bytes each mean a piece of text.
pub(crate) const OF_PIECES: u8 = 1;

/// The first byte of an input whose other bytes are pairs: a piece of text and its number of repetitions.
pub(crate) const OF_RUNS: u8 = 2;

/// The byte that ends a text within an input.
pub(crate) const END: u8 = 0;

/// Returns the texts of an input, each cut to `max_bytes`.
///
/// An input contains the texts themselves, unless it begins with [`OF_PIECES`] or [`OF_RUNS`]. With those, a random
/// byte makes a long word as likely as a letter.
pub(crate) fn texts(data: &[u8], pieces: &[&str], max_bytes: usize) -> Vec<String> {
    let piece = |byte: u8| pieces[usize::from(byte) % pieces.len()];
    let mut texts = match data.split_first() {
        Some((&OF_PIECES, rest)) => rest
            .split(|&byte| byte == END)
            .map(|text| text.iter().map(|&b| piece(b)).collect())
            .collect(),
        Some((&OF_RUNS, rest)) => runs(rest, piece, max_bytes),
        _ => String::from_utf8_lossy(data).split('\0').map(str::to_owned).collect(),
    };
    for text in &mut texts {
        text.truncate(text.floor_char_boundary(max_bytes));
    }
    texts
}

fn runs<'p>(data: &[u8], piece: impl Fn(u8) -> &'p str, max_bytes: usize) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut bytes = data.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == END {
            texts.push(String::new());
            continue;
        }
        let count = usize::from(bytes.next().unwrap_or(1));
        if let Some(text) = texts.last_mut()
            && text.len() < max_bytes
        {
            text.push_str(&piece(byte).repeat(count));
        }
    }
    texts
}

/// Returns the input that consists of these texts.
pub(crate) fn of_texts(texts: &[&str]) -> Vec<u8> {
    texts.join("\0").into_bytes()
}

/// Returns an image that a glob is likely to match, with `filler` for each star.
pub(crate) fn sample(glob: &str, filler: &str) -> String {
    let mut text = String::new();
    let mut rest = glob.chars();
    while let Some(character) = rest.next() {
        match character {
            '*' => text.push_str(filler),
            '?' => text.push('x'),
            '[' => match rest.as_str().split_once(']') {
                Some((members, after)) if !members.is_empty() => {
                    text.push(members.trim_start_matches('!').chars().next().unwrap_or('x'));
                    rest = after.chars();
                }
                _ => text.push('['),
            },
            literal => text.push(literal),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_contains_texts_or_encodes_them() {
        let pieces = ["a", "bc"];
        assert_eq!(texts(b"x\0y\xff", &pieces, 9), ["x", "y\u{fffd}"]);
        assert_eq!(texts(&[OF_PIECES, 1, 2, 0, 3], &pieces, 9), ["bca", "bc"]);
        assert_eq!(texts(&[OF_RUNS, 1, 2, 2, 3, 0, 1], &pieces, 6), ["bcbcaa", "bc"]);
        assert_eq!(texts("éé".as_bytes(), &pieces, 3), ["é"]);
        assert_eq!(texts(&of_texts(&["a", "b"]), &pieces, 9), ["a", "b"]);
    }

    #[test]
    fn a_sample_matches_its_glob() {
        assert_eq!(sample("a*/[bc]?[", "1/2"), "a1/2/bx[");
    }
}
