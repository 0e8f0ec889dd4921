//! The SDK's errors, sorted by what they say of the call.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::ForeignAnswer;

/// What a failed call of the SDK says.
#[derive(Debug)]
pub enum SdkFailure {
    /// The service answered with an error of its own.
    Service {
        /// The HTTP status.
        status: u16,
        /// The service's error code.
        code: String,
        /// The service's own words; may be empty.
        message: String,
    },
    /// An answer that is not AWS's. Whether the call took effect is unknown.
    Foreign(ForeignAnswer),
    /// The chain of credential providers ends without any.
    Credentials {
        /// Why.
        message: String,
    },
    /// The request can't be made.
    Unmade {
        /// Why.
        message: String,
    },
    /// No answer, or one that broke off.
    NoAnswer {
        /// Whether the connection could not even be made, so that the call certainly took no effect.
        never_sent: bool,
        /// The innermost cause's words.
        message: String,
        /// The SDK's error.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl SdkFailure {
    /// Sorts an error of the SDK.
    pub fn of<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        match error {
            SdkError::ServiceError(failure) => match failure.err().code() {
                Some(code) => Self::Service {
                    status: failure.raw().status().as_u16(),
                    code: code.to_owned(),
                    message: failure.err().message().unwrap_or_default().to_owned(),
                },
                None => foreign(failure.raw())
                    .map_or_else(|| no_answer(SdkError::<E, _>::ServiceError(failure)), Self::Foreign),
            },
            SdkError::ResponseError(failure) => foreign(failure.raw())
                .map_or_else(|| no_answer(SdkError::<E, _>::ResponseError(failure)), Self::Foreign),
            SdkError::DispatchFailure(failure) => {
                let failure = SdkError::<E, HttpResponse>::DispatchFailure(failure);
                if causes(&failure).any(<dyn Error>::is::<CredentialsError>) {
                    return Self::Credentials { message: root_cause(&failure) };
                }
                no_answer(failure)
            }
            SdkError::ConstructionFailure(failure) => {
                Self::Unmade { message: root_cause(&SdkError::<E, HttpResponse>::ConstructionFailure(failure)) }
            }
            other => no_answer(other),
        }
    }
}

/// `None` where the body did not come as a whole.
fn foreign(response: &HttpResponse) -> Option<ForeignAnswer> {
    let body = response.body().bytes()?;
    Some(ForeignAnswer::new(response.status().as_u16(), response.headers().get("content-type"), body))
}

fn no_answer(source: impl Error + Send + Sync + 'static) -> SdkFailure {
    // What fails while connecting was certainly not sent; what fails in any other way may have been.
    let never_sent = causes(&source).any(is_connect);
    SdkFailure::NoAnswer { never_sent, message: root_cause(&source), source: Box::new(source) }
}

/// Whether the connection was not made; the types that would say so belong to the SDK's HTTP client and are not public.
fn is_connect(error: &(dyn Error + 'static)) -> bool {
    let text = error.to_string();
    ["client error (Connect)", "tcp connect error", "dns error", "HTTP connect timeout"]
        .iter()
        .any(|known| text.starts_with(known))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().unwrap_or(error).to_string()
}
