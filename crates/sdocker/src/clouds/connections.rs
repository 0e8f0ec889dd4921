//! How AWS is connected to: directly or through proxies, and whose certificates are believed.

use std::path::Path;

use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use whole_file::Links;

use super::Answer;
use crate::{Error, Surroundings};

/// Where credentials come from, which no proxy reaches: EC2's metadata service (169.254.169.254 and fd00:ec2::254), the one of containers
/// (169.254.170.2) and of EKS pods (169.254.170.23 and fd00:ec2::23).
const NEVER_PROXIED: &str = "169.254.0.0/16,fd00:ec2::/32";

/// The largest bundle of certificates that is read; the system's own has a quarter of a megabyte.
const MOST: u64 = 16 << 20;

/// An HTTP client by the environment's settings. The SDK's own reads none of them.
pub(super) fn client(surroundings: &Surroundings) -> crate::Result<SharedHttpClient> {
    let tls = tls(surroundings.ca_bundle.as_deref())?;
    let through = |scheme| -> crate::Result<SharedHttpClient> {
        let proxy = proxy_for(scheme, surroundings)?;
        let tls = tls.clone();
        Ok(Builder::new().build_with_connector_fn(move |settings, components| {
            let mut connector = Connector::builder().proxy_config(proxy.clone());
            connector.set_connector_settings(settings.cloned());
            if let Some(components) = components {
                connector.set_sleep_impl(components.sleep_impl());
            }
            connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone()).build()
        }))
    };
    Ok(SharedHttpClient::new(ByScheme { http: through(Scheme::Http)?, https: through(Scheme::Https)? }))
}

/// The answer of a server to a GET request, asked on the way that AWS is asked.
pub(super) async fn ask(url: &str, surroundings: &Surroundings) -> crate::Result<Answer> {
    let request = HttpRequest::get(url).map_err(Error::wrapping)?;
    let answer = connector(url, surroundings)?.call(request).await.map_err(Error::wrapping)?;
    // The first of them is the registries' own (distribution, "HTTP API V2"), the other tells how to log in.
    let headers = ["docker-distribution-api-version", "www-authenticate"];
    let is_registry = headers.into_iter().any(|name| answer.headers().get(name).is_some());
    Ok(Answer { status: answer.status().as_u16(), is_registry })
}

/// The answer to a POST request.
pub(super) struct Posted {
    pub status: u16,
    /// Whether it names its request, as AWS's answers do ([`aws_answers`], in its own words for the SDK's clients).
    pub is_of_aws: bool,
    pub body: Vec<u8>,
}

/// Posts to AWS, on the way of the SDK's own calls.
pub(super) async fn post(
    url: &str,
    headers: &[(&'static str, String)],
    body: String,
    surroundings: &Surroundings,
) -> crate::Result<Posted> {
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("POST").map_err(Error::wrapping)?;
    request.set_uri(url).map_err(Error::wrapping)?;
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.clone());
    }
    let answer = connector(url, surroundings)?.call(request).await.map_err(Error::wrapping)?;
    let is_of_aws = answer.headers().get("x-amzn-requestid").is_some();
    let status = answer.status().as_u16();
    let body = ByteStream::new(answer.into_body()).collect().await.map_err(Error::wrapping)?;
    Ok(Posted { status, is_of_aws, body: body.to_vec() })
}

/// A connection to a server, through the proxies of the environment.
fn connector(url: &str, surroundings: &Surroundings) -> crate::Result<Connector> {
    let scheme = if url.starts_with("https:") { Scheme::Https } else { Scheme::Http };
    Ok(Connector::builder()
        .proxy_config(proxy_for(scheme, surroundings)?)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls(surroundings.ca_bundle.as_deref())?)
        .build())
}

#[derive(Clone, Copy, Debug)]
enum Scheme {
    Http,
    Https,
}

/// The proxy for a scheme, and what it is not for.
fn proxy_for(scheme: Scheme, surroundings: &Surroundings) -> crate::Result<ProxyConfig> {
    let (variable, url) = match scheme {
        Scheme::Http => ("HTTP_PROXY", &surroundings.http_proxy),
        Scheme::Https => ("HTTPS_PROXY", &surroundings.https_proxy),
    };
    let Some(url) = url else { return Ok(ProxyConfig::disabled()) };
    let no_proxy =
        [surroundings.no_proxy.as_deref(), Some(NEVER_PROXIED)].into_iter().flatten().collect::<Vec<_>>().join(",");
    Ok(proxy(variable, url)?.no_proxy(&no_proxy))
}

/// A proxy as curl and Python's `requests` read the variable: without a scheme it is an HTTP proxy.
fn proxy(variable: &str, url: &str) -> crate::Result<ProxyConfig> {
    let whole = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    // It may hold a password, so that it is not shown.
    ProxyConfig::all(whole.as_str()).map_err(|_| {
        Error::new(format!("{variable} is not the address of an HTTP proxy")).hint(format!(
            "{variable} must have the form http://proxy.example.com:3128; NO_PROXY names the hosts that need no proxy"
        ))
    })
}

/// The system's certificates, or in their place those of `AWS_CA_BUNDLE`, as in AWS's other SDKs ("AWS SDKs and tools reference guide",
/// "General configuration settings").
fn tls(bundle: Option<&Path>) -> crate::Result<TlsContext> {
    let trust = match bundle {
        Some(path) => TrustStore::empty().with_pem_certificate(certificates(path)?),
        None => TrustStore::default(),
    };
    TlsContext::builder().with_trust_store(trust).build().map_err(Error::wrapping)
}

/// The certificates of a file. The SDK's client panics over one that it can't use.
fn certificates(path: &Path) -> crate::Result<Vec<u8>> {
    let unusable = || {
        Error::new(format!("cannot use AWS_CA_BUNDLE={}", path.display()))
            .hint("it is a file of certificates in PEM form; without the variable the system's own are used")
    };
    let pem = whole_file::read(path, MOST, Links::Follow).map_err(|error| unusable().because(error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| unusable().because(error))?;
        roots.add(certificate).map_err(|error| unusable().because(error))?;
    }
    if roots.is_empty() { Err(unusable().because(Error::new("it holds no certificate"))) } else { Ok(pem) }
}

/// A client for each scheme: each has a proxy of its own.
#[derive(Debug)]
struct ByScheme<T> {
    http: T,
    https: T,
}

impl HttpClient for ByScheme<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(ByScheme {
            http: self.http.http_connector(settings, components),
            https: self.https.http_connector(settings, components),
        })
    }
}

impl HttpConnector for ByScheme<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.uri().starts_with("http:") { self.http.call(request) } else { self.https.call(request) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn proxies_are_named_as_people_write_them() {
        for url in
            ["http://proxy.example.com:3128", "proxy.example.com:3128", "https://user:pass@proxy:8080", "10.0.0.1:80"]
        {
            assert!(proxy("HTTPS_PROXY", url).is_ok(), "{url}");
        }
        for url in ["socks5://user:secret@proxy:1080", "http://", "http://user:secret@ :1"] {
            let error = proxy("HTTPS_PROXY", url).expect_err(url);
            assert_eq!(error.to_string(), "HTTPS_PROXY is not the address of an HTTP proxy");
        }
    }

    #[test]
    fn a_bundle_that_cannot_be_used_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bundle.pem");
        for content in ["", "no certificates", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            fs::write(&path, content).expect("written");
            let error = tls(Some(&path)).expect_err(content);
            assert!(error.to_string().starts_with("cannot use AWS_CA_BUNDLE="), "{error}");
        }
        assert!(tls(Some(&folder.path().join("missing"))).is_err());
    }
}
