//! Keeps a lasting failure from being logged again and again.

/// Remembers the failure that was logged last.
#[derive(Debug, Default)]
pub struct LogOnce(Option<String>);

impl LogOnce {
    /// Returns true if `failure` is another one than the last, and remembers it.
    pub fn is_new(&mut self, failure: &str) -> bool {
        let is_new = self.0.as_deref() != Some(failure);
        if is_new {
            self.0 = Some(failure.to_owned());
        }
        is_new
    }

    /// Forgets the failure: it is over, and is new when it comes back.
    pub fn reset(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_new_once_until_it_is_over() {
        let mut log_once = LogOnce::default();
        let news = ["a", "a", "b", "a"].map(|failure| log_once.is_new(failure));
        assert_eq!(news, [true, false, true, true]);
        log_once.reset();
        assert!(log_once.is_new("a"));
    }
}
