//! Why a call to the cloud failed, sorted by what the caller can do about it.

use std::{fmt, time::Duration};

use aws_answers::ForeignAnswer;

/// A call to the cloud failed.
#[derive(Debug)]
pub struct CloudError {
    /// The IAM action of the call, such as `ec2:RunInstances`.
    pub action: &'static str,
    /// What the call was about: an id, a name, an ARN. May be empty where the message says it.
    pub resource: String,
    /// What the failure means.
    pub kind: CloudErrorKind,
    /// The service's error code, where it answered with one.
    pub code: Option<String>,
    /// The service's or the transport's own words.
    pub message: String,
    /// The transport's error, where there was no answer.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What a failure means to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloudErrorKind {
    /// The role may not make the call. Never retried.
    AccessDenied {
        /// The action that was refused, where the message names one other than the call's own: `RunInstances` with tags is
        /// refused for `ec2:CreateTags`, with an instance profile for `iam:PassRole`.
        refused: Option<String>,
    },
    /// The credentials are missing, expired or not valid.
    Credentials,
    /// What the call names does not exist (or not yet: EC2 is eventually consistent).
    NotFound,
    /// It exists already: a group of that name, a rule like that.
    AlreadyExists,
    /// Something else still uses it (`DependencyViolation`).
    InUse,
    /// A quota or limit of the account.
    LimitExceeded,
    /// No capacity, or no such instance type, in that zone: another zone may do.
    NoCapacity,
    /// The request is wrong, and stays wrong.
    Invalid,
    /// Too many calls; retried with a growing pause.
    Throttled,
    /// The service failed (HTTP 5xx); whether the call took effect is unknown.
    Unavailable,
    /// No answer: whether the call took effect is unknown.
    NoAnswer {
        /// The endpoint that was asked.
        endpoint: String,
        /// The Region that was asked.
        region: String,
        /// Whether the connection could not even be made, so that the call certainly took no effect.
        never_sent: bool,
    },
    /// No answer within the caller's own patience. Whether the call took effect is unknown, unless the time was up before it was made.
    NotInTime {
        /// How long was waited for it; `None` where the call was not made any more.
        waited: Option<Duration>,
    },
    /// An answer that is not AWS's, such as a proxy's own page: whether the call took effect is unknown.
    ForeignAnswer(ForeignAnswer),
    /// Any other answer that is an error.
    Other,
}

impl CloudError {
    /// An error of this kind, with no code and no source.
    pub fn new(action: &'static str, resource: impl Into<String>, kind: CloudErrorKind) -> Self {
        Self { action, resource: resource.into(), kind, code: None, message: String::new(), source: None }
    }

    /// The same error with a service's code and message.
    #[must_use]
    pub fn with_message(mut self, code: impl Into<Option<String>>, message: impl Into<String>) -> Self {
        self.code = code.into();
        self.message = message.into();
        self
    }

    /// Whether a second try of the same call may fare better, and does no harm if the first took effect after all
    /// (every write of this crate is idempotent or carries a token).
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            CloudErrorKind::Throttled
                | CloudErrorKind::Unavailable
                | CloudErrorKind::NoAnswer { .. }
                | CloudErrorKind::NotInTime { .. }
                | CloudErrorKind::ForeignAnswer(_)
        )
    }

    /// Whether the call may have taken effect although it failed.
    pub fn outcome_is_unknown(&self) -> bool {
        matches!(
            self.kind,
            CloudErrorKind::Unavailable
                | CloudErrorKind::NoAnswer { never_sent: false, .. }
                | CloudErrorKind::NotInTime { waited: Some(_) }
                | CloudErrorKind::ForeignAnswer(_)
        )
    }

    /// Whether nothing came back that the cloud said: the next call will hardly fare better.
    pub(crate) fn is_without_answer(&self) -> bool {
        matches!(
            self.kind,
            CloudErrorKind::NoAnswer { .. } | CloudErrorKind::NotInTime { .. } | CloudErrorKind::ForeignAnswer(_)
        )
    }

    /// Whether the call may have been refused only because it carried tags (`ec2:CreateTags`). EC2's encoded messages do not say.
    ///
    /// Never where a policy denies it explicitly, as those of an organization do that demand tags or certain values of them: what is
    /// missing may be done without, what is forbidden is not got around (AWS Organizations user guide, "Require a tag on specified
    /// created resources"; the words are those of the IAM user guide, "Troubleshoot access denied error messages").
    pub(crate) fn may_be_for_tags(&self) -> bool {
        match &self.kind {
            CloudErrorKind::AccessDenied { refused } => {
                refused.as_deref().is_none_or(|action| action == "ec2:CreateTags")
                    && !self.message.contains("with an explicit deny")
            }
            _ => false,
        }
    }

    /// The action that the role may not call: the call's own, or one that the call needs as well.
    pub fn refused_action(&self) -> &str {
        match &self.kind {
            CloudErrorKind::AccessDenied { refused: Some(refused) } => refused,
            _ => self.action,
        }
    }

    /// Whether what the call names does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind == CloudErrorKind::NotFound
    }

    /// Whether the role may not make the call.
    pub fn is_access_denied(&self) -> bool {
        matches!(self.kind, CloudErrorKind::AccessDenied { .. })
    }
}

impl fmt::Display for CloudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = self.action;
        let on = if self.resource.is_empty() { String::new() } else { format!(" on {}", self.resource) };
        match &self.kind {
            CloudErrorKind::AccessDenied { refused: Some(refused) } if refused != action => {
                return write!(f, "{action}{on} was refused: not allowed to call {refused}");
            }
            CloudErrorKind::AccessDenied { .. } => return write!(f, "not allowed to call {action}{on}"),
            CloudErrorKind::Credentials => write!(f, "the AWS credentials were not accepted for {action}")?,
            CloudErrorKind::NotFound => write!(f, "{action} found no {}", self.resource)?,
            CloudErrorKind::NoAnswer { endpoint, region, .. } => {
                write!(f, "no answer from {endpoint} for {action} in Region {region}")?;
            }
            CloudErrorKind::NotInTime { waited: Some(waited) } => {
                write!(f, "no answer to {action}{on} within {} s", waited.as_secs())?;
            }
            CloudErrorKind::NotInTime { waited: None } => write!(f, "{action}{on} was not called: the time was up")?,
            CloudErrorKind::ForeignAnswer(answer) => write!(f, "{action}{on} got {answer}")?,
            _ => write!(f, "{action}{on} failed")?,
        }
        if let Some(code) = &self.code {
            write!(f, ": {code}")?;
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

impl std::error::Error for CloudError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
