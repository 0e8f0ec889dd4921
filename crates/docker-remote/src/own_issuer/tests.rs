use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use crate::{
    HostCredentials, HostNames, WriteServerKey,
    client::tests::{answer, serve_with},
    probe_once,
};

const WITHIN: Duration = Duration::from_secs(20);

fn daemon(tls: &Path) -> crate::Endpoint {
    serve_with(&tls.join("cert.pem"), &tls.join("key.pem"), |_, stream| {
        answer(stream, "200 OK", r#"{"Version": "29.0.0", "ApiVersion": "1.52"}"#)
    })
}

/// An image without openssl, and a host that shares a folder with its client: nothing else is trusted than before.
#[tokio::test]
async fn a_host_without_an_issuer_of_its_own_is_trusted_as_before() {
    let names = HostNames { dns: Vec::new(), addresses: Vec::new() };
    let made = HostCredentials::generate(&names, SystemTime::now(), Duration::from_secs(3600)).expect("made");
    let folder = tempfile::tempdir().expect("a folder");
    made.write(folder.path(), WriteServerKey::Yes).expect("written");
    let answered = probe_once(&daemon(&folder.path().join("server")), made.client(), WITHIN).await.expect("it answers");
    assert_eq!(answered.credentials(), made.client());
}
