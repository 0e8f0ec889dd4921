//! What the SDK's clients connect with.

use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// An HTTP client for clients of the AWS SDK: rustls on ring, the system's certificates, and no proxy.
///
/// The SDK's own default, which these crates leave out of their builds, needs a C++ compiler; without any client the SDK panics at its first
/// call. So the settings of its clients, and the loader of these settings, need this one or one of your own:
/// `aws_config::from_env().http_client(http_client())`.
pub fn http_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}
