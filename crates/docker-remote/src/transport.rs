//! HTTP over mutual TLS.
//!
//! bollard's own TLS set-up would trust every CA of the machine beside the host's, and read the keys anew for each connection; so
//! the connection is made here: it trusts the host's own CA and nothing else.

mod short;

use std::{io, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt as _};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request,
    body::{Body as _, Frame, Incoming},
};
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
use serde::Deserialize;

use crate::{
    ClientCredentials, ClientProxy, Endpoint, Error,
    client::with_causes,
    own_issuer::{OwnIssuer, Verifier},
};

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(60);

pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// What a request brings.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

use short::MOST;
pub(crate) use short::Short;

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
pub(crate) fn client<C>(connector: &C) -> HttpClient<C, Body>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    HttpClient::builder(TokioExecutor::new()).build(connector.clone())
}

/// The same as [`get`], by a client.
pub(crate) async fn get_by<C>(
    client: &HttpClient<C, Body>,
    endpoint: &Endpoint,
    path: &str,
) -> Result<(u16, Result<Bytes, String>), HttpError>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let response = client.request(request(endpoint, "GET", path, empty())).await?;
    let status = response.status().as_u16();
    Ok((status, whole(response.into_body()).await))
}

/// All of an answer, or why that can't be had.
async fn whole(body: Incoming) -> Result<Bytes, String> {
    let body = Limited::new(body, MOST).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| {
        let too_much = error.is::<LengthLimitError>();
        if too_much { format!("the answer has more than {} MiB", MOST >> 20) } else { error.to_string() }
    })
}

/// A request of a daemon, by a path that its caller made.
pub(crate) fn request(endpoint: &Endpoint, method: &'static str, path: &str, body: Body) -> Request<Body> {
    let request = Request::builder().method(method).uri(format!("https://{}{path}", endpoint.authority()));
    let request = if body.is_end_stream() { request } else { request.header("content-type", "application/x-tar") };
    request.body(body).unwrap_or_else(|_| Request::new(empty()))
}

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Sends what comes, as it comes.
pub(crate) fn streamed(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync()
}

/// How a daemon refuses (docs.docker.com/reference/api/engine, "ErrorResponse").
#[derive(Deserialize)]
struct Refusal {
    message: String,
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

/// A query of these parameters, but for those without a value.
pub(crate) fn query(parameters: &[(&str, &str)]) -> String {
    let parameters = parameters.iter().filter(|(_, value)| !value.is_empty());
    parameters.map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

/// The lines of an answer that need not have an end, each of no more than [`MOST`] bytes.
pub(crate) fn lines<C>(
    client: HttpClient<C, Body>,
    request: Request<Body>,
) -> impl Stream<Item = Result<Bytes, String>> + Send + use<C>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    async_stream::try_stream! {
        let response = client.request(request).await.map_err(|error| with_causes(&error))?;
        let status = response.status();
        if status != 200 {
            let said = whole(response.into_body()).await?;
            let said: Option<Refusal> = serde_json::from_slice(&said).ok();
            Err(said.map_or_else(|| format!("HTTP status {}", status.as_u16()), |said| said.message))?;
            return;
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
        // The last one need not end.
        if read.iter().any(|byte| !byte.is_ascii_whitespace()) {
            yield read.freeze();
        }
    }
}
