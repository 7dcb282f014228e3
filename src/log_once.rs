//! Avoids repeated log lines about the same failure.

/// The last failure that was logged.
#[derive(Debug, Default)]
pub struct LogOnce(Option<String>);

impl LogOnce {
    /// Returns true if `failure` differs from the last one, and records it.
    pub fn is_new(&mut self, failure: &str) -> bool {
        let is_new = self.0.as_deref() != Some(failure);
        if is_new {
            self.0 = Some(failure.to_owned());
        }
        is_new
    }

    /// Forgets the last failure after a success. The same failure then counts as new.
    pub fn reset(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_new_once_until_the_reset() {
        let mut log_once = LogOnce::default();
        let results = ["a", "a", "b", "a"].map(|failure| log_once.is_new(failure));
        assert_eq!(results, [true, false, true, true]);
        log_once.reset();
        assert!(log_once.is_new("a"));
    }
}
