use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;

use crate::{
    ClientCredentials, HostCredentials, HostNames, ProbeError, WriteServerKey,
    client::tests::{answer, serve_with},
    probe_once,
};

/// The script that hosts run at their first boot.
const CERTIFY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../host-provisioner/src/user_data/certify.sh");

const WITHIN: Duration = Duration::from_secs(20);

/// What travels in user data, as a host finds it; and what its client has.
fn given() -> (TempDir, HostCredentials) {
    let names = HostNames { dns: vec!["*.compute.internal".to_owned()], addresses: Vec::new() };
    let made = HostCredentials::generate_with_issuer(&names, SystemTime::now(), Duration::from_secs(3600));
    let made = made.expect("made");
    let folder = tempfile::tempdir().expect("a folder");
    let (issuer, issuer_key) = made.issuer().expect("there");
    for (name, pem) in [
        ("ca", made.ca_certificate()),
        ("cert", made.server_certificate()),
        ("key", made.server_key()),
        ("issuer", issuer),
        ("issuer-key", issuer_key),
    ] {
        fs::write(folder.path().join(name).with_extension("pem"), pem).expect("written");
    }
    (folder, made)
}

fn boots(tls: &Path) {
    let certified = Command::new("bash").arg(CERTIFY).arg(tls).arg("127.0.0.1").output().expect("it runs");
    assert!(certified.status.success(), "{}", String::from_utf8_lossy(&certified.stderr));
}

fn daemon(tls: &Path) -> crate::Endpoint {
    serve_with(&tls.join("cert.pem"), &tls.join("key.pem"), |_, stream| {
        answer(stream, "200 OK", r#"{"Version": "29.0.0", "ApiVersion": "1.52"}"#)
    })
}

/// Who reads user data later has what this host was given; it is not what its client trusts any more.
#[tokio::test]
async fn what_user_data_holds_is_good_for_the_first_contact_only() {
    let (host, made) = given();
    let (stolen, _) = (tempfile::tempdir().expect("a folder"), ());
    for entry in fs::read_dir(host.path()).expect("listed").flatten() {
        fs::copy(entry.path(), stolen.path().join(entry.file_name())).expect("read by another");
    }
    boots(host.path());
    assert!(!host.path().join("issuer-key.pem").exists());
    assert_ne!(fs::read_to_string(host.path().join("key.pem")).expect("there"), made.server_key(), "a key of its own");

    let folder = tempfile::tempdir().expect("a folder");
    made.write(folder.path(), WriteServerKey::No).expect("written");
    let client = folder.path().join("client");
    let loaded = || ClientCredentials::load(&client).expect("loaded");
    let endpoint = daemon(host.path());
    let answered = probe_once(&endpoint, &loaded(), WITHIN).await.expect("trusted by its issuer");
    answered.credentials().write_trust(&client).expect("written");
    let pinned = loaded();
    assert_ne!(pinned, *made.client(), "the host's own issuer from now on");
    probe_once(&endpoint, &pinned, WITHIN).await.expect("trusted by its own issuer");

    // Another makes a host of what user data holds, as this one did.
    boots(stolen.path());
    let impostor = daemon(stolen.path());
    probe_once(&impostor, made.client(), WITHIN).await.expect("a client that has seen no host would take it for one");
    let refused = probe_once(&impostor, &pinned, WITHIN).await.expect_err("another host");
    assert!(matches!(refused, ProbeError::Tls { .. }), "{refused}");
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

/// What OpenSSL and Go ask of a trust anchor: docker-py, compose 1 and the Docker CLI read the same `ca.pem`.
#[test]
fn openssl_takes_the_hosts_own_issuer_for_a_root() {
    let (host, _) = given();
    boots(host.path());
    let chain = fs::read_to_string(host.path().join("cert.pem")).expect("there");
    let certificates: Vec<&str> = chain.split_inclusive("-----END CERTIFICATE-----\n").collect();
    assert_eq!(certificates.len(), 3, "its own, its issuer's by the issuer that was given, and by itself");
    for (position, name) in [(0, "leaf"), (1, "cross"), (2, "root")] {
        fs::write(host.path().join(name), certificates[position]).expect("written");
    }
    let verifies = |root: &str, chain: &[&str]| {
        let mut openssl = Command::new("openssl");
        openssl.current_dir(host.path()).args([
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-verify_ip",
            "127.0.0.1",
        ]);
        openssl.args(["-CAfile", root]).args(chain).arg("leaf");
        let verified = openssl.output().expect("it runs");
        (verified.status.success(), String::from_utf8_lossy(&verified.stderr).into_owned())
    };
    for (root, chain) in [("root", &[][..]), ("issuer.pem", &["-untrusted", "cross"])] {
        let (verified, why) = verifies(root, chain);
        assert!(verified, "{root}: {why}");
    }
}
