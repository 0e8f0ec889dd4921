//! Tells AWS's own answers from those of others on the way: a proxy's block page, a login page, an answer that was cut.
//!
//! Such an answer says nothing about the call. The service may have carried it out, and its answer may have been replaced; or the call
//! never came there. And an answer that is taken for AWS's although it is none is worse than an error: the SDK reads an empty body of
//! EFS as a file system without mount targets.

pub mod codes;
mod foreign;
#[cfg(feature = "sdk")]
mod http_client;
#[cfg(feature = "sdk")]
mod interceptor;
#[cfg(feature = "sdk")]
mod sdk_failure;

pub use codes::Meaning;
pub use foreign::ForeignAnswer;
#[cfg(feature = "sdk")]
pub use http_client::http_client;
#[cfg(feature = "sdk")]
pub use interceptor::OnlyAws;
#[cfg(feature = "sdk")]
pub use sdk_failure::SdkFailure;

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
