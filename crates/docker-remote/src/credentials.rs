//! Certificates and keys of one host: a CA of its own, a server and a client.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::{Error, error::file};

/// Clocks of client and host may differ by this much.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);

/// The last second of the year 9999, since 1970.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// Names and addresses by which clients reach a host. `localhost`, `127.0.0.1` and `::1` are always added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNames {
    /// DNS names; `*.` stands for any one label.
    pub dns: Vec<String>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
}

/// Certificates and keys of one host.
///
/// # Guarantees
/// - The CA is made for this host alone; its private key exists only while [`generate`](Self::generate) runs, and is never
///   written anywhere. So a client's certificate opens this host and no other, and nobody can make another one for it.
/// - Keys are ECDSA P-256. The server's certificate can only serve, the client's only ask.
/// - `Debug` shows no key.
#[derive(Clone)]
pub struct HostCredentials {
    ca: String,
    server: String,
    server_key: String,
    client: ClientCredentials,
    issuer_key: Option<String>,
}

/// Whether the server's key is among what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteServerKey {
    /// For a host that picks its identity up from a folder it shares with the client.
    Yes,
    /// For a host that has it from elsewhere.
    No,
}

/// What a client needs: the CA's certificate, and its own certificate and key; PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl HostCredentials {
    /// Makes certificates and keys, valid from an hour before `now` until an hour after `lifetime` from now.
    ///
    /// # Errors
    /// A DNS name that is none.
    pub fn generate(names: &HostNames, now: SystemTime, lifetime: Duration) -> Result<Self, Error> {
        let authority = Authority::new(now, lifetime, 0)?;
        let server = authority.server(names)?;
        Self::of(&authority, &authority, server, None)
    }

    /// The same for a host whose addresses are not known yet, and which makes keys and certificates of its own once it has them.
    ///
    /// There are two CAs then: the client trusts the server's, whose key is [`issuer`](Self::issuer); the server trusts the client's,
    /// whose key is never written anywhere. So whoever gets hold of what the host is given can serve as this host, and no more; and that
    /// only towards a client that has not seen the host yet, where the host made an issuer of its own
    /// ([`DockerHost::credentials`](crate::DockerHost::credentials)).
    ///
    /// # Errors
    /// A DNS name that is none.
    pub fn generate_with_issuer(names: &HostNames, now: SystemTime, lifetime: Duration) -> Result<Self, Error> {
        // Below the servers' there is the host's own.
        let (servers, clients) = (Authority::new(now, lifetime, 1)?, Authority::new(now, lifetime, 0)?);
        let server = servers.server(names)?;
        let key = servers.issuer.key().serialize_pem();
        Self::of(&servers, &clients, server, Some(key))
    }

    fn of(
        servers: &Authority,
        clients: &Authority,
        (server, server_key): (String, String),
        issuer_key: Option<String>,
    ) -> Result<Self, Error> {
        let (certificate, key) = clients.client()?;
        let client = ClientCredentials { ca: servers.issuer.pem(), certificate, key };
        Ok(Self { ca: clients.issuer.pem(), server, server_key, client, issuer_key })
    }

    /// The CA's certificate by which the server knows its client, PEM.
    pub fn ca_certificate(&self) -> &str {
        &self.ca
    }

    /// The certificate and key of the server's own CA, PEM, where the host is to have them.
    pub fn issuer(&self) -> Option<(&str, &str)> {
        Some((&self.client.ca, self.issuer_key.as_deref()?))
    }

    /// The server's certificate, PEM.
    pub fn server_certificate(&self) -> &str {
        &self.server
    }

    /// The server's key, PEM.
    pub fn server_key(&self) -> &str {
        &self.server_key
    }

    /// The client's part.
    pub fn client(&self) -> &ClientCredentials {
        &self.client
    }

    /// Writes `ca/cert.pem`, `client/{ca,cert,key}.pem` and `server/{ca,cert,key}.pem` into a folder; `client/` is a valid
    /// `DOCKER_CERT_PATH`. Folders and files are readable by their owner only. Each file appears whole, `server/key.pem` last: a
    /// host that waits for it finds the others there.
    ///
    /// # Errors
    /// A folder or file that can't be written.
    pub fn write(&self, folder: &Path, server_key: WriteServerKey) -> Result<(), Error> {
        self.write_apart(folder, &folder.join("client"), server_key)
    }

    /// The same, with the client's part in a folder of its own, where whoever can read the others can't.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_apart(&self, folder: &Path, client_folder: &Path, server_key: WriteServerKey) -> Result<(), Error> {
        let client = &self.client;
        let files = [
            (folder.join("ca"), "cert.pem", &client.ca),
            (client_folder.to_owned(), "ca.pem", &client.ca),
            (client_folder.to_owned(), "cert.pem", &client.certificate),
            (client_folder.to_owned(), "key.pem", &client.key),
            (folder.join("server"), "ca.pem", &self.ca),
            (folder.join("server"), "cert.pem", &self.server),
            (folder.join("server"), "key.pem", &self.server_key),
        ];
        let written = match server_key {
            WriteServerKey::Yes => files.len(),
            WriteServerKey::No => files.len() - 1,
        };
        for (part, name, pem) in &files[..written] {
            let path = part.join(name);
            whole_file::replace(&path, pem.as_bytes(), 0o600).map_err(file("write", &path))?;
        }
        Ok(())
    }
}

/// A CA of one host, and what it signs.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    validity: (SystemTime, SystemTime),
}

impl Authority {
    /// A CA with so many more below it at most.
    fn new(now: SystemTime, lifetime: Duration, below: u8) -> Result<Self, Error> {
        // Not beyond what a certificate can say (RFC 5280, "Validity": years of four digits).
        let latest = SystemTime::UNIX_EPOCH + LATEST;
        let until = now.checked_add(lifetime.saturating_add(CLOCK_SKEW)).unwrap_or(latest).min(latest);
        let validity = (now.checked_sub(CLOCK_SKEW).unwrap_or(SystemTime::UNIX_EPOCH), until);
        let mut ca = valid(validity, CertificateParams::default());
        ca.distinguished_name.push(DnType::CommonName, "sdocker host CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(ca, new_key("the key of the CA")?).map_err(failed("the CA"))?;
        Ok(Self { issuer, validity })
    }

    /// A server's certificate and key.
    fn server(&self, names: &HostNames) -> Result<(String, String), Error> {
        let mut dns = names.dns.clone();
        dns.push("localhost".to_owned());
        dns.dedup();
        let mut server = CertificateParams::new(dns).map_err(failed("the server's certificate"))?;
        let own = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let addresses = names.addresses.iter().copied().chain(own);
        server.subject_alt_names.extend(addresses.map(rcgen::SanType::IpAddress));
        self.leaf(server, "sdocker host", ExtendedKeyUsagePurpose::ServerAuth, "the server's certificate")
    }

    /// A client's certificate and key.
    fn client(&self) -> Result<(String, String), Error> {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        self.leaf(CertificateParams::default(), "sdocker client", usage, "the client's certificate")
    }

    fn leaf(
        &self,
        params: CertificateParams,
        name: &str,
        usage: ExtendedKeyUsagePurpose,
        what: &'static str,
    ) -> Result<(String, String), Error> {
        let mut leaf = valid(self.validity, params);
        leaf.distinguished_name.push(DnType::CommonName, name);
        leaf.extended_key_usages = vec![usage];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.use_authority_key_identifier_extension = true;
        let key = new_key(what)?;
        let certificate = leaf.signed_by(&key, &self.issuer).map_err(failed(what))?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

fn valid((from, until): (SystemTime, SystemTime), mut params: CertificateParams) -> CertificateParams {
    params.not_before = from.into();
    params.not_after = until.into();
    params
}

fn new_key(what: &'static str) -> Result<KeyPair, Error> {
    KeyPair::generate().map_err(failed(what))
}

impl ClientCredentials {
    /// Reads `ca.pem`, `cert.pem` and `key.pem` from a folder, as `DOCKER_CERT_PATH` names one.
    ///
    /// # Errors
    /// A file that can't be read, or holds no certificate or key.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let read = |name: &str| -> Result<(PathBuf, String), Error> {
            let path = folder.join(name);
            let text = whole_file::read_text(&path, 1 << 20, whole_file::Links::Follow).map_err(file("read", &path))?;
            trusted(&path)?;
            Ok((path, text))
        };
        let certificate = |(path, text): (PathBuf, String)| match CertificateDer::from_pem_slice(text.as_bytes()) {
            Ok(_) => Ok(text),
            Err(_) => Err(Error::NotPem { path, expected: "a certificate in PEM" }),
        };
        let (key_path, key) = read("key.pem")?;
        if PrivateKeyDer::from_pem_slice(key.as_bytes()).is_err() {
            return Err(Error::NotPem { path: key_path, expected: "a private key in PEM" });
        }
        Ok(Self { ca: certificate(read("ca.pem")?)?, certificate: certificate(read("cert.pem")?)?, key })
    }

    /// Makes `ca.pem` of a folder that was loaded trust what these credentials trust. Nothing is written where it does.
    ///
    /// # Errors
    /// A file that can't be read or written.
    pub fn write_trust(&self, folder: &Path) -> Result<(), Error> {
        if Self::load(folder)?.ca == self.ca {
            return Ok(());
        }
        let path = folder.join("ca.pem");
        whole_file::replace(&path, self.ca.as_bytes(), 0o600).map_err(file("write", &path))
    }
}

/// Whether others than this user may write a file or its folder, and with it say whom this user trusts; ssh demands the same of its keys
/// (sshd_config(5), `StrictModes`: owned by the user or by root, and writable by nobody else).
fn trusted(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    for looked_at in [path, path.parent().unwrap_or(path)] {
        let found = std::fs::metadata(looked_at).map_err(file("look at", looked_at))?;
        let mode = found.permissions().mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(Error::NotTrusted { path: looked_at.to_owned(), mode });
        }
        let owner = found.uid();
        if owner != rustix::process::geteuid().as_raw() && owner != 0 && tells_owners(looked_at) {
            return Err(Error::OfAnother { path: looked_at.to_owned(), owner });
        }
    }
    Ok(())
}

/// Whether the owner that a file is shown with is who made it. On NFS it need not be: an EFS access point shows its own user as that of
/// every file (EFS user guide, "Working with Amazon EFS access points"). Nor in a user namespace, as Studio Classic's apps are in: whoever has no
/// name there is shown as the overflow user (user_namespaces(7)).
fn tells_owners(path: &Path) -> bool {
    const NFS: i64 = 0x6969;
    // One that says nothing of itself has all users.
    let whole = |map: String| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    let all_users = std::fs::read_to_string("/proc/self/uid_map").map_or(true, whole);
    all_users && rustix::fs::statfs(path).is_ok_and(|found| found.f_type != NFS)
}

impl fmt::Debug for HostCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostCredentials").field("ca", &self.ca).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

fn failed(what: &'static str) -> impl FnOnce(rcgen::Error) -> Error {
    move |source| Error::Credentials { what, source }
}

#[cfg(test)]
mod tests;
