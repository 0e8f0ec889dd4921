use std::{fs, os::unix::fs::PermissionsExt as _};

use x509_parser::prelude::*;

use super::*;

fn credentials() -> HostCredentials {
    let names = HostNames {
        dns: vec!["ip-10-0-0-1.ec2.internal".to_owned(), "*.compute.internal".to_owned()],
        addresses: vec!["10.0.0.1".parse().expect("an address")],
    };
    HostCredentials::generate(&names, SystemTime::now(), Duration::from_secs(3600)).expect("made")
}

fn certificate(pem: &str) -> Vec<u8> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).expect("PEM");
    pem.contents
}

#[test]
fn certificates_say_what_they_are_for() {
    let credentials = credentials();
    let (ca, server, client) = (
        certificate(credentials.ca_certificate()),
        certificate(credentials.server_certificate()),
        certificate(&credentials.client().certificate),
    );
    let (_, ca) = X509Certificate::from_der(&ca).expect("a certificate");
    assert!(ca.is_ca());
    for (der, serves) in [(&server, true), (&client, false)] {
        let (_, leaf) = X509Certificate::from_der(der).expect("a certificate");
        assert!(!leaf.is_ca());
        leaf.verify_signature(Some(ca.public_key())).expect("signed by the CA");
        let usage = leaf.extended_key_usage().expect("readable").expect("there").value;
        assert_eq!((usage.server_auth, usage.client_auth), (serves, !serves));
        assert!(leaf.validity().is_valid());
    }
    let (_, server) = X509Certificate::from_der(&server).expect("a certificate");
    let names = server.subject_alternative_name().expect("readable").expect("there").value.general_names.clone();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    for expected in ["ip-10-0-0-1.ec2.internal", "*.compute.internal", "localhost"] {
        assert!(names.iter().any(|name| name.contains(expected)), "{expected} in {names:?}");
    }
    assert_eq!(names.iter().filter(|name| name.contains("IPAddress")).count(), 3, "{names:?}");
}

#[test]
fn what_is_written_can_be_loaded_and_is_private() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certs = folder.path().join("certs");
    let credentials = credentials();
    credentials.write(&certs, WriteServerKey::Yes).expect("written");
    assert_eq!(ClientCredentials::load(&certs.join("client")).expect("loaded"), *credentials.client());
    let mode = |path: &str| fs::metadata(certs.join(path)).expect(path).permissions().mode() & 0o777;
    for file in
        ["ca/cert.pem", "client/ca.pem", "client/cert.pem", "client/key.pem", "server/cert.pem", "server/key.pem"]
    {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    assert_eq!((mode("client"), mode("server")), (0o700, 0o700));
    let other = folder.path().join("other");
    credentials.write(&other, WriteServerKey::No).expect("written");
    assert!(!other.join("server/key.pem").exists());
}

#[test]
fn debug_shows_no_key() {
    let credentials = credentials();
    let shown = format!("{credentials:?} {:?}", credentials.client());
    assert!(!shown.contains("PRIVATE") && shown.contains("CERTIFICATE"));
}

#[test]
fn what_is_no_certificate_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = ClientCredentials::load(folder.path()).expect_err("nothing there");
    assert!(missing.to_string().starts_with("cannot read "), "{missing}");
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        fs::write(folder.path().join(name), "nonsense").expect("written");
    }
    let broken = ClientCredentials::load(folder.path()).expect_err("no PEM").to_string();
    assert!(broken.ends_with("key.pem: expected a private key in PEM"), "{broken}");
}

#[test]
fn a_lifetime_without_an_end_is_no_panic() {
    for lifetime in [Duration::MAX, Duration::from_secs(400_000_000_000)] {
        HostCredentials::generate(&HostNames::default(), SystemTime::now(), lifetime).expect("made");
    }
}

#[test]
fn a_name_that_is_none_is_an_error() {
    let names = HostNames { dns: vec!["ü".to_owned()], addresses: Vec::new() };
    assert!(HostCredentials::generate(&names, SystemTime::now(), Duration::from_secs(1)).is_err());
}

/// Whoever could write the CA could be the host.
#[test]
fn what_others_can_write_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    credentials().write(folder.path(), WriteServerKey::No).expect("written");
    let client = folder.path().join("client");
    ClientCredentials::load(&client).expect("as it was written");
    for (path, mode, sound) in
        [(client.join("ca.pem"), 0o666, 0o600), (client.join("key.pem"), 0o620, 0o600), (client.clone(), 0o777, 0o700)]
    {
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        set(mode);
        let error = ClientCredentials::load(&client).expect_err("others can write it");
        assert_eq!(
            error.to_string(),
            format!("{} is not to be trusted: others than its owner may write it (mode {mode:o})", path.display())
        );
        set(sound);
    }
    ClientCredentials::load(&client).expect("it is sound again");
}

/// Whoever owns the CA can change it.
#[test]
fn what_belongs_to_another_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    credentials().write(folder.path(), WriteServerKey::No).expect("written");
    let client = folder.path().join("client");
    // Only root can give files away.
    if std::os::unix::fs::chown(client.join("ca.pem"), Some(12_345), None).is_err() {
        return;
    }
    let error = ClientCredentials::load(&client).expect_err("another's").to_string();
    assert_eq!(error, format!("{} is not to be trusted: it belongs to user 12345", client.join("ca.pem").display()));
    std::os::unix::fs::chown(client.join("ca.pem"), Some(0), None).expect("given back");
    std::os::unix::fs::chown(&client, Some(12_345), None).expect("given away");
    let error = ClientCredentials::load(&client).expect_err("another's folder").to_string();
    assert!(error.ends_with("it belongs to user 12345"), "{error}");
}
