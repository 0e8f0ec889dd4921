//! Addresses of hosts, shared by every sandbox of this machine.
//!
//! A lease is a file whose name is its number and whose text is the folder of the host that has it; a host's end removes it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use whole_file::Links;

/// The first address of the hosts: 198.18.0.0/15 is for tests between networks, and never routed (RFC 2544).
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

/// Each host has a network of four addresses.
const HOSTS: u32 = 0x8000;

/// How long a host may take from its lease to its folder.
const GRACE: Duration = Duration::from_secs(60);

/// The leases of a machine.
pub(super) struct Addresses {
    folder: PathBuf,
    /// Where the network namespaces of this machine have their names.
    namespaces: PathBuf,
}

impl Addresses {
    pub(super) fn of_this_machine() -> Self {
        Self { folder: PathBuf::from("/run/sdocker/addresses"), namespaces: PathBuf::from("/run/netns") }
    }

    /// Leases the first free address to the host in this folder.
    pub(super) fn lease(&self, host: &Path) -> io::Result<Ipv4Addr> {
        fs::create_dir_all(&self.folder)?;
        for number in 0..HOSTS {
            let lease = self.folder.join(number.to_string());
            if self.holder_is_gone(&lease) {
                let _ = fs::remove_file(&lease);
            }
            match OpenOptions::new().write(true).create_new(true).open(&lease) {
                Ok(mut file) => {
                    file.write_all(host.as_os_str().as_encoded_bytes())?;
                    return Ok(Self::numbered(number));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("every address of the sandbox is leased: see {}", self.folder.display())))
    }

    /// Frees what is leased to hosts in this folder other than these: it was left by a process that died before it recorded its host.
    pub(super) fn free_all_but(&self, folder: &Path, hosts: &[PathBuf]) -> io::Result<()> {
        let leases = match fs::read_dir(&self.folder) {
            Ok(leases) => leases,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for lease in leases {
            let lease = lease?.path();
            // One that is gone by now was freed by its host's end.
            let Ok(holder) = held_by(&lease) else { continue };
            if holder.parent() == Some(folder) && !hosts.contains(&holder) {
                match fs::remove_file(&lease) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The file of an address's lease.
    pub(super) fn file(&self, address: Ipv4Addr) -> PathBuf {
        self.folder.join(((address.to_bits() - FIRST.to_bits()) / 4).to_string())
    }

    /// Whether an address is one of a host's.
    pub(super) fn contains(address: Ipv4Addr) -> bool {
        address.to_bits().checked_sub(FIRST.to_bits()).is_some_and(|offset| offset / 4 < HOSTS)
    }

    /// The name of this machine's end of a host's link; interface names have at most 15 characters.
    pub(super) fn link(address: Ipv4Addr) -> String {
        format!("sd{:x}", address.to_bits() - FIRST.to_bits())
    }

    /// The name of a host's network namespace.
    pub(super) fn namespace(address: Ipv4Addr) -> String {
        format!("sdocker-{}", Self::link(address))
    }

    fn numbered(number: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(FIRST.to_bits() + number * 4 + 2)
    }

    fn holder_is_gone(&self, lease: &Path) -> bool {
        let Ok(age) = fs::metadata(lease).and_then(|file| file.modified()) else { return false };
        let Ok(holder) = held_by(lease) else { return false };
        let number = lease.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap_or_default();
        // A host may outlive its folder, if somebody removed that under it.
        // What can't be looked at may be there.
        let is_gone = |path: &Path| matches!(path.try_exists(), Ok(false));
        let namespace = self.namespaces.join(Self::namespace(Self::numbered(number)));
        is_gone(&namespace) && is_gone(&holder) && age.elapsed().is_ok_and(|age| age > GRACE)
    }
}

/// The host's folder that a lease names.
fn held_by(lease: &Path) -> io::Result<PathBuf> {
    whole_file::read_text(lease, 4096, Links::Refuse).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::fs::FileTimes;

    use super::*;

    #[test]
    fn no_two_hosts_have_an_address_and_one_that_is_gone_frees_its_own() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Namespaces of its own: other sandboxes may have hosts on this machine at the same time.
        let addresses =
            Addresses { folder: folder.path().join("addresses"), namespaces: folder.path().join("namespaces") };
        let hosts = [folder.path().join("a"), folder.path().join("b")];
        fs::create_dir(&hosts[1]).expect("made");
        let first = addresses.lease(&hosts[0]).expect("leased");
        let second = addresses.lease(&hosts[1]).expect("leased");
        assert_eq!([first, second], [Ipv4Addr::new(198, 18, 0, 2), Ipv4Addr::new(198, 18, 0, 6)]);
        assert!(Addresses::contains(second) && !Addresses::contains(Ipv4Addr::new(10, 0, 0, 4)));

        let old = FileTimes::new().set_modified(std::time::SystemTime::now() - 2 * GRACE);
        for address in [first, second] {
            let lease = OpenOptions::new().write(true).open(addresses.file(address)).expect("there");
            lease.set_times(old).expect("set");
        }
        assert_eq!(addresses.lease(&hosts[0]).expect("leased"), first, "its host never came, or is gone");
        assert_eq!(addresses.lease(&hosts[0]).expect("leased"), Ipv4Addr::new(198, 18, 0, 10), "the other is there");

        // A folder that can't be looked at is there: a link to itself is such a one, for root too.
        fs::remove_dir(&hosts[1]).expect("removed");
        std::os::unix::fs::symlink(&hosts[1], &hosts[1]).expect("linked");
        assert_eq!(
            addresses.lease(&hosts[0]).expect("leased"),
            Ipv4Addr::new(198, 18, 0, 14),
            "the other may be there"
        );
    }

    #[test]
    fn a_lease_of_a_host_that_was_never_recorded_is_freed_by_its_own_sandbox() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let addresses =
            Addresses { folder: folder.path().join("addresses"), namespaces: folder.path().join("namespaces") };
        let (ours, others) = (folder.path().join("ours"), folder.path().join("others"));
        addresses.free_all_but(&ours, &[]).expect("nothing is leased");
        let leased = [ours.join("i-1"), ours.join("i-2"), others.join("i-2")].map(|host| {
            let address = addresses.lease(&host).expect("leased");
            addresses.file(address)
        });
        addresses.free_all_but(&ours, &[ours.join("i-1")]).expect("freed");
        assert_eq!(leased.map(|lease| lease.exists()), [true, false, true]);
    }
}
