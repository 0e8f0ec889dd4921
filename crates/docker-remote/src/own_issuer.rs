//! Hosts that make a key of their own.
//!
//! What a host is given in its user data can be read by others, for as long as there is the host. So it uses that once: at its first boot
//! it makes keys of its own, certified by the issuer that its client trusts, and from then on it shows the certificate of its own issuer
//! as the last of its chain. A client that has seen it trusts that one, and no longer the issuer of the user data.

use std::sync::{Arc, Mutex, PoisonError};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// The issuer that a host showed as its own, once it was trusted.
#[derive(Debug, Default)]
pub(crate) struct OwnIssuer(Mutex<Option<CertificateDer<'static>>>);

impl OwnIssuer {
    /// It, PEM; `None` where the host showed none.
    pub(crate) fn pem(&self) -> Option<String> {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.as_ref().map(|certificate| pem(certificate))
    }

    fn note(&self, certificate: &CertificateDer<'_>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificate.clone().into_owned());
    }
}

fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

/// Decides as rustls does, and notes what was shown by a host that is trusted.
#[derive(Debug)]
pub(crate) struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    shown: Arc<OwnIssuer>,
}

impl Verifier {
    pub(crate) fn new(roots: RootCertStore, shown: Arc<OwnIssuer>) -> Result<Self, Error> {
        Ok(Self { inner: trusting(roots)?, shown })
    }
}

fn trusting(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, Error> {
    WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::new(ring::default_provider()))
        .build()
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}

/// Whether a certificate alone proves a host's: then trusting it is enough from now on.
fn proves(issuer: &CertificateDer<'_>, host: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(issuer.clone().into_owned()).is_ok()
        && trusting(roots).is_ok_and(|alone| alone.verify_server_cert(host, &[], name, &[], now).is_ok())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        host: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(host, chain, name, ocsp, now)?;
        if let Some(last) = chain.last().filter(|last| proves(last, host, name, now)) {
            self.shown.note(last);
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
