//! Errors that say what failed, why, what to do about it, and what may remain.

use std::fmt;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The result of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, with what to do about it and what may remain. Its causes are those of the libraries below, and can be found by
/// [`Error::cause`].
pub struct Error(Box<Parts>);

#[derive(Default)]
struct Parts {
    /// `None` where the source speaks for itself.
    message: Option<String>,
    source: Option<Source>,
    hints: Vec<String>,
    remains: Vec<String>,
    leaves: Vec<String>,
    others: Vec<Source>,
    of_recovery: bool,
}

impl Error {
    /// An error with these words: lower case, no full stop.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Parts { message: Some(message.into()), ..Parts::default() }))
    }

    /// An error of another library, as it is.
    pub fn wrapping(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(Box::new(Parts { source: Some(source.into()), ..Parts::default() }))
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Says why.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(cause.into());
        self
    }

    /// Another error that it is about, beside its cause: what to do about that one and what remains of it is said as well.
    #[must_use]
    pub fn also(mut self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.others.push(error.into());
        self
    }

    /// Names something that stays, and that a recovery has nothing to do with: it is wanted, or somebody sees to it.
    #[must_use]
    pub fn leaves(mut self, what: impl Into<String>) -> Self {
        self.0.leaves.push(what.into());
        self
    }

    /// Names something that may remain.
    #[must_use]
    pub fn remains(mut self, what: impl Into<String>) -> Self {
        self.0.remains.push(what.into());
        self
    }

    /// It is a recovery's own: another one is no advice.
    #[must_use]
    pub(crate) fn of_recovery(mut self) -> Self {
        self.0.of_recovery = true;
        self
    }

    pub(crate) fn is_of_recovery(&self) -> bool {
        self.0.of_recovery
    }

    /// The first error of this type among this one and its causes.
    pub fn cause<E: std::error::Error + 'static>(&self) -> Option<&E> {
        causes(self).into_iter().find_map(|cause| cause.downcast_ref())
    }

    /// Whether it is another library's error, as it is.
    pub(crate) fn is_wrapper(&self) -> bool {
        self.0.message.is_none()
    }

    /// What to do, as far as this error itself says it.
    pub(crate) fn own_hints(&self) -> &[String] {
        &self.0.hints
    }

    pub(crate) fn own_remains(&self) -> &[String] {
        &self.0.remains
    }

    pub(crate) fn own_leaves(&self) -> &[String] {
        &self.0.leaves
    }

    pub(crate) fn others(&self) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
        self.0.others.iter().map(|error| error.as_ref() as _)
    }
}

/// An error and its causes. One that only wraps another is followed by the other.
pub(crate) fn causes<'e>(error: &'e (dyn std::error::Error + 'static)) -> Vec<&'e (dyn std::error::Error + 'static)> {
    let mut causes = Vec::new();
    for cause in std::iter::successors(Some(error), |error| error.source()) {
        causes.push(cause);
        if let Some(Error(parts)) = cause.downcast_ref()
            && parts.message.is_none()
        {
            causes.extend(parts.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static)));
        }
    }
    causes
}

/// `{:#}` shows the causes as well.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.message, &self.0.source) {
            (Some(message), _) => f.write_str(message)?,
            (None, Some(source)) => write!(f, "{source}")?,
            (None, None) => {}
        }
        if f.alternate() {
            let causes = std::iter::successors(std::error::Error::source(self), |error| error.source());
            causes.map(ToString::to_string).try_for_each(|cause| write!(f, ": {cause}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static));
        match self.0.message {
            Some(_) => source,
            None => source?.source(),
        }
    }
}

macro_rules! wraps {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::wrapping(error)
            }
        })+
    };
}

wraps!(
    std::io::Error,
    serde_json::Error,
    shlex::QuoteError,
    host_provisioner::CloudError,
    host_provisioner::JournalError,
    host_provisioner::ProvisionError,
    host_provisioner::sandbox::SandboxError,
    studio_discovery::ApiError,
    studio_discovery::DiscoveryError,
    studio_discovery::InvalidId,
    docker_remote::Error,
    host_link::ServiceError,
    docker_remote::NotReady,
    docker_remote::ProbeError,
    localmode_config::Error,
);

/// Adds what was attempted to an error.
pub(crate) trait Context<T> {
    fn context(self, attempted: impl Into<String>) -> Result<T>;
    fn with_context<M: Into<String>>(self, attempted: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: Into<Source>> Context<T> for Result<T, E> {
    fn context(self, attempted: impl Into<String>) -> Result<T> {
        self.map_err(|error| Error::new(attempted).because(error))
    }

    fn with_context<M: Into<String>>(self, attempted: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| Error::new(attempted()).because(error))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, attempted: impl Into<String>) -> Result<T> {
        self.ok_or_else(|| Error::new(attempted))
    }

    fn with_context<M: Into<String>>(self, attempted: impl FnOnce() -> M) -> Result<T> {
        self.ok_or_else(|| Error::new(attempted()))
    }
}
