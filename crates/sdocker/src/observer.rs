//! What goes on, told to whoever wants to show it.

use std::fmt::Display;

use crate::Result;

/// Is told what goes on. Nothing depends on what it does, and it must not block for long.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Observer: Send + Sync {
    /// Something happened.
    fn notice(&self, notice: Notice);
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// An answer is waited for, until [`Notice::Answered`] of the same.
    Asking(String),
    /// The answer is there, or the wait for it was given up.
    Answered(String),
    /// A stage of the work began. Several may run at a time.
    Started(String),
    /// A stage came to its end.
    Finished {
        /// The stage.
        what: String,
        /// What came of it, where there is something to say.
        detail: String,
    },
    /// A stage failed.
    Failed {
        /// The stage.
        what: String,
        /// Why.
        detail: String,
    },
    /// Something to know, which asks for nothing.
    Info(String),
    /// Something that is not as it should be, and does not keep the work from going on.
    Warning(String),
    /// Something that failed, while the rest of the work goes on.
    Error(String),
    /// What to do about the warning before it.
    Hint(String),
    /// The end of the log of a host that failed.
    LogTail(Vec<String>),
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn notice(&self, _notice: Notice) {}
}

impl<F: Fn(Notice) + Send + Sync> Observer for F {
    fn notice(&self, notice: Notice) {
        self(notice);
    }
}

impl dyn Observer + '_ {
    pub(crate) fn info(&self, line: impl Display) {
        self.notice(Notice::Info(line.to_string()));
    }

    pub(crate) fn warn(&self, line: impl Display) {
        self.notice(Notice::Warning(line.to_string()));
    }

    pub(crate) fn error(&self, line: impl Display) {
        self.notice(Notice::Error(line.to_string()));
    }

    pub(crate) fn hint(&self, line: impl Display) {
        self.notice(Notice::Hint(line.to_string()));
    }

    /// Tells of a stage of the work: that it began, and how it ended.
    pub(crate) async fn stage<T>(&self, what: impl Into<String>, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.stage_with(what, work, |_| String::new()).await
    }

    /// The same, and what came of it.
    pub(crate) async fn stage_with<T>(
        &self,
        what: impl Into<String>,
        work: impl Future<Output = Result<T>>,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T> {
        let what = what.into();
        self.notice(Notice::Started(what.clone()));
        let done = work.await;
        self.notice(match &done {
            Ok(done) => Notice::Finished { what, detail: detail(done) },
            Err(error) => Notice::Failed { what, detail: format!("{error:#}") },
        });
        done
    }

    /// Says what is waited for until the result is dropped.
    pub(crate) fn asking(&self, what: &'static str) -> Asking<'_> {
        self.notice(Notice::Asking(what.to_owned()));
        Asking { observer: self, what }
    }
}

/// An answer is waited for.
pub(crate) struct Asking<'o> {
    observer: &'o dyn Observer,
    what: &'static str,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.observer.notice(Notice::Answered(self.what.to_owned()));
    }
}

/// Tells of one of several hosts: what is told begins with its name.
pub(crate) struct Labelled<'o> {
    pub(crate) observer: &'o dyn Observer,
    pub(crate) label: &'o str,
}

impl Observer for Labelled<'_> {
    fn notice(&self, notice: Notice) {
        let named = |text: String| format!("{}: {}", self.label, text.trim_start());
        self.observer.notice(match notice {
            Notice::Asking(what) => Notice::Asking(named(what)),
            Notice::Answered(what) => Notice::Answered(named(what)),
            Notice::Started(what) => Notice::Started(named(what)),
            Notice::Finished { what, detail } => Notice::Finished { what: named(what), detail },
            Notice::Failed { what, detail } => Notice::Failed { what: named(what), detail },
            Notice::Info(line) => Notice::Info(format!("  {}", named(line))),
            Notice::Warning(line) => Notice::Warning(named(line)),
            Notice::Error(line) => Notice::Error(named(line)),
            other => other,
        });
    }
}
