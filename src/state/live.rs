//! A value that can change at run time, with its load status.
//!
//! It does not load the value; `sources` and `controller` do.

use std::{fmt, sync::Arc};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use time::OffsetDateTime;

use super::{HasStatus, Load, LoadError, LoadObserver, LoadStatus, Retry, Subject};

/// A value in use, which is replaced as a whole, and its load status.
///
/// A failure never replaces the value: the last good one stays in use. The methods here log and count each load, so
/// that all values are reported in the same way and a repeated failure is reported once. Any task may read; only one
/// task writes: the one that follows the source of the value, or the controller.
pub struct Live<T> {
    subject: Subject,
    current: ArcSwapOption<T>,
    status: ArcSwap<LoadStatus>,
    observer: Arc<LoadObserver>,
    on_change: OnChange<T>,
}

/// Called with each new value.
type OnChange<T> = Box<dyn Fn(&Arc<T>) + Send + Sync>;

impl<T> Live<T> {
    /// Creates a live value that is not loaded yet.
    #[must_use]
    pub fn new(subject: Subject, observer: Arc<LoadObserver>) -> Self {
        Self {
            subject,
            current: ArcSwapOption::empty(),
            status: ArcSwap::default(),
            observer,
            on_change: Box::new(|_| {}),
        }
    }

    /// Sets a function that is called with each new value, before the value counts as loaded.
    #[must_use]
    pub fn on_change(self, on_change: impl Fn(&Arc<T>) + Send + Sync + 'static) -> Self {
        Self { on_change: Box::new(on_change), ..self }
    }

    /// Returns the value in use without waiting; `None` if none is loaded.
    pub fn load(&self) -> Guard<Option<Arc<T>>> {
        self.current.load()
    }

    /// Returns the value in use as a shared pointer, which may be kept; `None` if none is loaded.
    #[must_use]
    pub fn load_full(&self) -> Option<Arc<T>> {
        self.current.load_full()
    }

    /// Puts a value into use.
    pub fn publish(&self, value: impl Into<Arc<T>>, load: Load) {
        let value = value.into();
        self.current.store(Some(value.clone()));
        (self.on_change)(&value);
        // Whoever reads a log line finds the state that it reports.
        let (diagnostics, reported) = (load.diagnostics.clone(), load.clone());
        self.set_status(LoadStatus {
            generation: self.status.load().generation + 1,
            loaded_at: Some(OffsetDateTime::now_utc()),
            diagnostics,
            load: Some(load),
            last_error: None,
        });
        self.observer.loaded(self.subject, &reported);
    }

    /// Records that a load found the value in use again. Clears an earlier failure.
    pub fn confirm(&self) {
        if self.status.load().last_error.is_some() {
            self.set_status(LoadStatus { last_error: None, ..(**self.status.load()).clone() });
        }
    }

    /// Records a failed load. The value in use stays.
    pub fn fail(&self, error: &LoadError) {
        let message = error.to_string();
        let status = self.status.load_full();
        let is_known = status.last_error.as_ref() == Some(&message);
        // A failure that waits for a change comes from other content each time, even if the reason is the same.
        if is_known && error.retry() == Retry::AfterDelay {
            return;
        }
        let diagnostics = match error {
            LoadError::Failed { .. } => Arc::default(),
            LoadError::Refused { diagnostics, .. } => diagnostics.clone(),
        };
        let last_error = Some(message);
        self.set_status(LoadStatus { last_error, diagnostics, ..(*status).clone() });
        self.observer.failed(self.subject, error, status.origin());
    }

    /// Sets the reason why the value is not loaded yet, for the readiness probe. Has no effect after the first load.
    pub fn explain_absence(&self, reason: &str) {
        let status = self.status.load_full();
        if !status.is_loaded() {
            let last_error = Some(reason.to_owned());
            self.set_status(LoadStatus { last_error, ..(*status).clone() });
        }
    }

    fn set_status(&self, status: LoadStatus) {
        self.observer.last_load(self.subject, status.last_error.is_some());
        self.status.store(Arc::new(status));
    }
}

impl<T: Send + Sync> HasStatus for Live<T> {
    fn subject(&self) -> Subject {
        self.subject
    }

    fn status(&self) -> Arc<LoadStatus> {
        self.status.load_full()
    }
}

impl<T> fmt::Debug for Live<T> {
    /// Writes only the status: the value may contain a key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Live")
            .field("subject", &self.subject)
            .field("status", &self.status.load())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{super::Summary, *};
    use crate::origin::Origin;

    fn load() -> Load {
        Load::new(Origin::File("f".into()), Summary::WebhookTemplate)
    }

    #[test]
    fn a_failure_keeps_the_last_good_value_until_the_next_success() {
        let changes = Arc::new(AtomicU32::new(0));
        let counted = changes.clone();
        let live = Live::new(Subject::WebhookTemplate, Arc::default());
        let live = live.on_change(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        assert!(!live.status().is_loaded());
        live.fail(&LoadError::transient("gone"));
        assert_eq!(live.status().last_error.as_deref(), Some("gone"));
        live.publish(1, load());
        assert_eq!(live.load_full().as_deref(), Some(&1));
        assert_eq!((live.status().generation, live.status().last_error.clone()), (1, None));
        live.fail(&LoadError::transient("gone"));
        live.explain_absence("ignored after the first load");
        assert_eq!(live.status().last_error.as_deref(), Some("gone"));
        assert_eq!(live.load_full().as_deref(), Some(&1));
        live.confirm();
        assert_eq!(live.status().last_error, None);
        live.publish(2, load());
        assert_eq!((live.status().generation, live.load_full().as_deref()), (2, Some(&2)));
        assert_eq!(changes.load(Ordering::Relaxed), 2);
    }
}
