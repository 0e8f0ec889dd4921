//! Why a call to the cloud failed, sorted by what the caller can do about it.

use std::{fmt, sync::Arc, time::Duration};

#[cfg(any(feature = "aws", feature = "fake"))]
use aws_answers::Meaning;
use aws_answers::{ForeignAnswer, codes};

/// A call to the cloud failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
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
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
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
    /// The account may not use the service: it is not signed up, not verified yet, or blocked.
    Account,
    /// No capacity, or no such instance type, in that zone: another zone may do.
    NoCapacity,
    /// No Spot instance for this account, in no zone; an on-demand one may do.
    NoSpot,
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

    /// What to do about it, where AWS's code tells. What a refused call needs depends on the policy, and is not said here.
    pub fn hint(&self) -> Option<&'static str> {
        codes::hint(self.action, self.code.as_deref()?, &self.message)
    }

    /// Whether a policy denies the call explicitly: then no other policy can allow it (IAM user guide, "Policy evaluation logic"; the
    /// words are those of "Troubleshoot access denied error messages").
    pub fn is_explicit_deny(&self) -> bool {
        self.is_access_denied() && self.message.contains("explicit deny")
    }

    /// Whether the answer is a plain no: the same call will be refused for as long as nobody changes anything.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self.kind,
            CloudErrorKind::AccessDenied { .. }
                | CloudErrorKind::Credentials
                | CloudErrorKind::Account
                | CloudErrorKind::NotFound
                | CloudErrorKind::LimitExceeded
                | CloudErrorKind::Invalid
        )
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

    /// Whether the call may have been refused only because it carried tags (`ec2:CreateTags`).
    ///
    /// Never where a policy denies it explicitly, as those of an organization do that demand tags or certain values of them: what is
    /// missing may be done without, what is forbidden is not got around (AWS Organizations user guide, "Require a tag on specified
    /// created resources"). Nor where the message is only encoded, and so does not say which of the two it is.
    pub(crate) fn may_be_for_tags(&self) -> bool {
        // A Spot request is looked at by itself only where it is tagged (EC2 user guide, example policies for Spot Instances).
        let tagged = |action: &str| action == "ec2:CreateTags" || self.message.contains(":spot-instances-request/");
        match &self.kind {
            CloudErrorKind::AccessDenied { refused } => {
                refused.as_deref().is_some_and(tagged) && !self.is_explicit_deny()
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
                write!(f, "{action}{on} was refused: not allowed to call {refused}")?;
            }
            CloudErrorKind::AccessDenied { .. } => write!(f, "not allowed to call {action}{on}")?,
            CloudErrorKind::Credentials => write!(f, "the AWS credentials were not accepted for {action}")?,
            // AWS's own words say what of all that the call names was not found.
            CloudErrorKind::NotFound if self.message.is_empty() => write!(f, "{action} found no {}", self.resource)?,
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
        // Some of AWS's messages begin with the code.
        if let Some(code) = self.code.as_deref().filter(|code| !self.message.starts_with(code)) {
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

/// The kind of an error that AWS answered with.
#[cfg(any(feature = "aws", feature = "fake"))]
pub(crate) fn kind(meaning: Meaning, message: &str) -> CloudErrorKind {
    match meaning {
        Meaning::AccessDenied => CloudErrorKind::AccessDenied { refused: refused(message) },
        Meaning::Credentials => CloudErrorKind::Credentials,
        Meaning::Account => CloudErrorKind::Account,
        Meaning::NotFound => CloudErrorKind::NotFound,
        Meaning::AlreadyExists => CloudErrorKind::AlreadyExists,
        Meaning::InUse => CloudErrorKind::InUse,
        Meaning::LimitExceeded => CloudErrorKind::LimitExceeded,
        Meaning::NoCapacity => CloudErrorKind::NoCapacity,
        Meaning::NoSpot => CloudErrorKind::NoSpot,
        Meaning::Invalid => CloudErrorKind::Invalid,
        Meaning::Throttled => CloudErrorKind::Throttled,
        Meaning::Unavailable => CloudErrorKind::Unavailable,
        _ => CloudErrorKind::Other,
    }
}

/// The action that a refusal names: `... is not authorized to perform: ec2:CreateTags on resource: ...`.
#[cfg(any(feature = "aws", feature = "fake"))]
fn refused(message: &str) -> Option<String> {
    let (_, after) = message.split_once("not authorized to perform: ")?;
    let action = after.split([' ', ',']).next()?;
    action.contains(':').then(|| action.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_action() {
        let message = "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/r/s is not authorized to \
                       perform: ec2:CreateTags on resource: arn:aws:ec2:eu-west-1:1:instance/* because no identity-based policy allows it";
        assert_eq!(refused(message).as_deref(), Some("ec2:CreateTags"));
        assert_eq!(
            refused("You are not authorized to perform this operation. Encoded authorization failure message: abc"),
            None
        );
    }

    /// Whatever the kind, AWS's own words and its code are said, once.
    #[test]
    fn awss_own_words_are_said_once() {
        let kinds = [
            CloudErrorKind::AccessDenied { refused: None },
            CloudErrorKind::AccessDenied { refused: Some("ec2:CreateTags".to_owned()) },
            CloudErrorKind::Credentials,
            CloudErrorKind::NotFound,
            CloudErrorKind::AlreadyExists,
            CloudErrorKind::InUse,
            CloudErrorKind::LimitExceeded,
            CloudErrorKind::Account,
            CloudErrorKind::NoCapacity,
            CloudErrorKind::NoSpot,
            CloudErrorKind::Invalid,
            CloudErrorKind::Throttled,
            CloudErrorKind::Unavailable,
            CloudErrorKind::Other,
        ];
        for kind in kinds {
            let error = CloudError::new("ec2:RunInstances", "c5.xlarge in subnet-1", kind);
            let text = error.with_message("Some.Code".to_owned(), "what AWS says").to_string();
            assert_eq!(text.matches("Some.Code").count(), 1, "{text}");
            assert!(text.ends_with(": Some.Code: what AWS says"), "{text}");
        }
        let error = CloudError::new("ec2:RunInstances", "", CloudErrorKind::NoCapacity);
        let error = error.with_message("Server.X".to_owned(), "Server.X: there is none");
        assert_eq!(error.to_string(), "ec2:RunInstances failed: Server.X: there is none");
        let error = CloudError::new("ec2:RunInstances", "c5.xlarge in subnet-1", CloudErrorKind::NotFound)
            .with_message("InvalidKeyPair.NotFound".to_owned(), "The key pair 'laptop' does not exist");
        assert!(!error.to_string().contains("found no c5.xlarge"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("Key in sdocker.conf")));
    }
}
