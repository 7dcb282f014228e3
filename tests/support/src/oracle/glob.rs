//! Shell globs, matched one character at a time.

/// Returns true if a shell glob matches the whole text.
pub fn fnmatch(glob: &str, text: &str) -> bool {
    let glob: Vec<char> = glob.chars().collect();
    let text: Vec<char> = text.chars().collect();
    // `reachable[i]` is true if the glob up to here matches the first `i` characters.
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    let mut at = 0;
    while at < glob.len() {
        let (class, next) = match glob[at] {
            '*' => {
                let first = reachable.iter().position(|&reached| reached);
                if let Some(first) = first {
                    reachable[first..].fill(true);
                }
                at += 1;
                continue;
            }
            '[' => class(&glob, at),
            _ => (None, at + 1),
        };
        let matches = |character: char| match (&class, glob[at]) {
            (Some(class), _) => class(character),
            (None, '?') => true,
            (None, literal) => literal == character,
        };
        let stepped: Vec<bool> = (0..=text.len())
            .map(|end| end > 0 && reachable[end - 1] && matches(text[end - 1]))
            .collect();
        reachable = stepped;
        at = next;
    }
    reachable[text.len()]
}

type Class = Box<dyn Fn(char) -> bool>;

/// Returns the character class that starts at `open`, if there is one, and the index after it.
fn class(glob: &[char], open: usize) -> (Option<Class>, usize) {
    let mut start = open + 1;
    let negated = glob.get(start) == Some(&'!');
    if negated {
        start += 1;
    }
    let search_from = if glob.get(start) == Some(&']') { start + 1 } else { start };
    let Some(length) = glob.get(search_from..).and_then(|g| g.iter().position(|&c| c == ']'))
    else {
        return (None, open + 1);
    };
    let end = search_from + length;
    let mut ranges = Vec::new();
    let mut at = start;
    while at < end {
        if at + 2 < end && glob[at + 1] == '-' {
            ranges.push((glob[at], glob[at + 2]));
            at += 3;
        } else {
            ranges.push((glob[at], glob[at]));
            at += 1;
        }
    }
    let contains = move |character: char| {
        ranges.iter().any(|&(low, high)| low <= character && character <= high) != negated
    };
    (Some(Box::new(contains)), end + 1)
}
