//! HTTP over mutual TLS.
//!
//! bollard's own TLS set-up would trust every CA of the machine beside the host's, and read the keys anew for each connection; so
//! the connection is made here: it trusts the host's own CA and nothing else.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client as HttpClient, Error as HttpError,
        connect::{Connect, HttpConnector, proxy::Tunnel},
    },
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::{
    ClientCredentials, ClientProxy, Endpoint, Error,
    client::with_causes,
    own_issuer::{OwnIssuer, Verifier},
};

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(60);

/// The largest answer about a daemon itself that is read; `/info` of a large host has some kilobytes.
const MOST: usize = 4 << 20;

pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// A connector for one host.
pub(crate) fn connector(credentials: &ClientCredentials) -> Result<Connector, Error> {
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(tls(credentials)?)
        .https_only()
        .enable_http1()
        .wrap_connector(tcp()))
}

/// The same, through a proxy; `None` where it is none that plain HTTP reaches.
pub(crate) fn connector_through(
    proxy: &ClientProxy,
    credentials: &ClientCredentials,
) -> Result<Option<HttpsConnector<Tunnel<HttpConnector>>>, Error> {
    let Some(uri) = proxy.uri() else { return Ok(None) };
    let mut tunnel = Tunnel::new(uri, tcp());
    // The password of a URL is percent-encoded, as few have to be.
    let basic = proxy.user().map(|user| format!("Basic {}", STANDARD.encode(user)));
    if let Some(Ok(basic)) = basic.map(TryInto::try_into) {
        tunnel = tunnel.with_auth(basic);
    }
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls(credentials)?).https_only().enable_http1();
    Ok(Some(builder.wrap_connector(tunnel)))
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp
}

/// A connector that notes the host's own issuer, too.
pub(crate) fn noting_connector(credentials: &ClientCredentials, own: Arc<OwnIssuer>) -> Result<Connector, Error> {
    let mut tls = tls(credentials)?;
    let verifier = Verifier::new(roots(credentials)?, own).map_err(Error::Tls)?;
    tls.dangerous().set_certificate_verifier(Arc::new(verifier));
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(tcp()))
}

fn roots(credentials: &ClientCredentials) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let bad = || Error::NotPem { path: "the client's credentials".into(), expected: "a CA certificate in PEM" };
    for ca in CertificateDer::pem_slice_iter(credentials.ca.as_bytes()) {
        roots.add(ca.map_err(|_| bad())?).map_err(Error::Tls)?;
    }
    Ok(roots)
}

pub(crate) fn tls(credentials: &ClientCredentials) -> Result<ClientConfig, Error> {
    let bad = |expected| Error::NotPem { path: "the client's credentials".into(), expected };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(credentials.certificate.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(credentials.key.as_bytes());
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .with_root_certificates(roots(credentials)?)
        .with_client_auth_cert(
            chain.map_err(|_| bad("a certificate in PEM"))?,
            key.map_err(|_| bad("a private key in PEM"))?,
        )
        .map_err(Error::Tls)
}

/// A daemon's answer to a GET request: its status, and what it holds or why that can't be had. Whoever rules the host may answer without an
/// end: no more than [`MOST`] is read.
pub(crate) async fn get<C>(
    connector: &C,
    endpoint: &Endpoint,
    path: &str,
) -> Result<(u16, Result<Bytes, String>), HttpError>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    get_by(&client(connector), endpoint, path).await
}

/// A client that keeps connections open for the next request.
pub(crate) fn client<C>(connector: &C) -> HttpClient<C, Full<Bytes>>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    HttpClient::builder(TokioExecutor::new()).build(connector.clone())
}

/// The same as [`get`], by a client.
pub(crate) async fn get_by<C>(
    client: &HttpClient<C, Full<Bytes>>,
    endpoint: &Endpoint,
    path: &str,
) -> Result<(u16, Result<Bytes, String>), HttpError>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let uri = format!("https://{}{path}", endpoint.authority());
    let uri = uri.parse().unwrap_or_else(|_| hyper::Uri::from_static("https://invalid.invalid/"));
    let response = client.get(uri).await?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MOST).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).map_err(|error| {
        let too_much = error.is::<LengthLimitError>();
        if too_much { format!("the answer has more than {} MiB", MOST >> 20) } else { error.to_string() }
    });
    Ok((status, body))
}

/// What a path or query can hold of any text.
pub(crate) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The lines of an answer that need not have an end, each of no more than [`MOST`] bytes.
pub(crate) fn lines<C>(
    client: HttpClient<C, Full<Bytes>>,
    endpoint: &Endpoint,
    path: &str,
) -> impl Stream<Item = Result<Bytes, String>> + Send + use<C>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let uri = format!("https://{}{path}", endpoint.authority());
    async_stream::try_stream! {
        let uri: hyper::Uri = uri.parse().map_err(|error: hyper::http::uri::InvalidUri| error.to_string())?;
        let response = client.get(uri).await.map_err(|error| with_causes(&error))?;
        if response.status() != 200 {
            Err(format!("HTTP status {}", response.status().as_u16()))?;
        }
        let mut body = response.into_body();
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| with_causes(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            let seen = read.len();
            read.extend_from_slice(&data);
            let mut next = seen;
            while let Some(end) = read[next..].iter().position(|byte| *byte == b'\n') {
                let line = read.split_to(next + end + 1).freeze();
                next = 0;
                if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                    yield line;
                }
            }
            if read.len() > MOST {
                Err(format!("a line of the answer has more than {} MiB", MOST >> 20))?;
            }
        }
    }
}
