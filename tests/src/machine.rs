//! A virtual machine that boots a host's user data, in a subnet of its own.
//!
//! Linux, root and the packages that `scripts/test` installs. All traffic stays in a network namespace that ends with the thread.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::IpAddr,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use nix::{
    sched::{CpuSet, sched_getaffinity},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::network;

/// The subnet, in which `10.83.0.1` is the router and the resolver.
const ROUTER: &str = "10.83.0.1";
/// The registry that the machine's Docker takes for a mirror of Docker Hub, at port 5000, and for Amazon's public one, at port 80.
const REGISTRY: &str = "10.83.0.20";
const PROXY_PORT: &str = "3128";
/// Whom the user's folder belongs to: a profile's HomeEfsFileSystemUid, and the group that Studio gives such folders.
const OWNER: (u32, u32) = (200_005, 1001);
const METADATA: &str = "169.254.169.254";
const MAC: &str = "02:00:0a:53:00:32";

/// What a machine is asked when a test has failed.
const WHAT_HAPPENED: &str = "tail -n 15 /var/lib/sdocker/status; cat /proc/uptime /proc/loadavg; \
    journalctl -n 40 --no-pager -o short-monotonic -u docker -u containerd -u 'sdocker-*'; timeout 20 docker logs -t --tail 30 sdocker 2>&1";

/// A subnet with what a host finds in a VPC: DHCP and names, EFS, a registry, instance metadata.
#[derive(Debug)]
pub struct Subnet {
    folder: TempDir,
    cache: PathBuf,
    services: Vec<Child>,
}

/// A booted machine; ends with the value. Its kernel is a program here, User Mode Linux, and its programs run on the processor itself.
#[derive(Debug)]
pub struct Machine {
    cache: PathBuf,
    processor: usize,
    kernel: Child,
    shell: UnixStream,
    /// What has been written to its disk: all else is the image's.
    disk: PathBuf,
    console: PathBuf,
}

impl Subnet {
    /// The address at which EFS is mounted.
    pub const EFS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 83, 0, 10));
    /// The machine's address.
    pub const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 83, 0, 50));
    /// The machine's name, as the VPC resolves it.
    pub const HOST_NAME: &str = "ip-10-83-0-50.ec2.internal";
    /// The instance's id.
    pub const INSTANCE: &str = "i-0aaaaaaaaaaaaaaaa";

    /// Moves this thread into a new network namespace and makes the subnet there; `None` where it can't be, which is said.
    ///
    /// # Panics
    /// A service does not start.
    pub fn open() -> Option<Self> {
        let Some(cache) = std::env::var_os("SDOCKER_MACHINE").map(PathBuf::from) else {
            crate::skip("SDOCKER_MACHINE names what tests/machine/prepare made: use scripts/test machine");
            return None;
        };
        if let Err(error) = network::of_its_own() {
            crate::skip(&format!("a machine needs a network namespace of its own: {error}"));
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut subnet = Self { folder, cache, services: Vec::new() };
        for command in [
            "link add subnet type bridge",
            "address add 10.83.0.1/24 dev subnet",
            "address add 10.83.0.10/24 dev subnet",
            "address add 10.83.0.20/24 dev subnet",
            "address add 169.254.169.254/32 dev subnet",
            "link set subnet up",
            "tuntap add machine mode tap",
            "link set machine master subnet up",
        ] {
            run(Command::new("ip").args(command.split(' ')));
        }
        let lease = format!("--dhcp-host={MAC},{}", Self::HOST);
        let leases = format!("--dhcp-leasefile={}", subnet.file("leases").display());
        let pid = format!("--pid-file={}", subnet.file("dnsmasq.pid").display());
        subnet.serve(
            "dnsmasq",
            &[
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--interface=subnet",
                "--bind-interfaces",
                "--user=root",
                "--dhcp-range=10.83.0.0,static",
                "--dhcp-authoritative",
                "--synth-domain=ec2.internal,10.83.0.0/24,ip-",
                "--address=/public.ecr.aws/10.83.0.20",
                &lease,
                &leases,
                &pid,
            ],
        );
        fs::create_dir_all(subnet.efs().join(".docker")).expect("a folder");
        // What a user may have at home, and what no host may follow: a context of another host, a proxy that is not there.
        for (name, text) in
            [(".docker/config.json", r#"{"currentContext": "gone"}"#), (".curlrc", "proxy = 127.0.0.1:9\n")]
        {
            fs::write(subnet.efs().join(name), text).expect("written");
        }
        subnet.give_to_owner();
        fs::create_dir(subnet.file("recovery")).expect("a folder");
        let settings =
            include_str!("../machine/ganesha.conf").replace("FOLDER", &subnet.folder.path().display().to_string());
        fs::write(subnet.file("ganesha.conf"), settings).expect("written");
        let file = |name: &str| subnet.file(name).display().to_string();
        let (config, log, pid) = (file("ganesha.conf"), file("ganesha.log"), file("ganesha.pid"));
        subnet.serve("ganesha.nfsd", &["-F", "-f", &config, "-L", &log, "-p", &pid]);
        for port in ["5000", "80"] {
            let registry = include_str!("../machine/image/registry.yml")
                .replace("FOLDER", &subnet.cache.join("registry").display().to_string())
                .replace("ADDRESS", &format!("{REGISTRY}:{port}"));
            let path = subnet.file(&format!("registry-{port}.yml"));
            fs::write(&path, registry).expect("written");
            subnet.serve("docker-registry", &["serve", &path.display().to_string()]);
        }
        let script =
            |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("machine").join(name).display().to_string();
        let (imds, proxy) = (script("imds.py"), script("proxy.py"));
        let own = subnet.folder.path().display().to_string();
        subnet.serve("python3", &[&imds, METADATA, Self::INSTANCE, MAC, &own]);
        subnet.serve("python3", &[&proxy, ROUTER, PROXY_PORT, &own]);
        for address in [
            format!("{ROUTER}:53"),
            format!("{}:2049", Self::EFS),
            format!("{REGISTRY}:5000"),
            format!("{REGISTRY}:80"),
            format!("{METADATA}:80"),
            format!("{ROUTER}:{PROXY_PORT}"),
        ] {
            eventually(Duration::from_secs(30), &address, || std::net::TcpStream::connect(&address).ok());
        }
        Some(subnet)
    }

    /// The user's folder of the file system: what `/200005` of EFS is.
    pub fn efs(&self) -> PathBuf {
        self.file("efs/200005")
    }

    /// Gives the user's folder, with all that is in it, to the user: EFS goes by numbers, and has files of theirs only.
    ///
    /// # Panics
    /// It can't be given.
    pub fn give_to_owner(&self) {
        run(Command::new("chown").args(["-hR", &format!("{}:{}", OWNER.0, OWNER.1)]).arg(self.efs()));
    }

    /// What of the user's folder does not belong to the user, whom the app is on the file system: nothing that it could remove.
    ///
    /// # Panics
    /// It can't be looked at.
    pub fn not_the_owners(&self) -> String {
        let found = Command::new("find").arg(self.efs()).args(["!", "-user", &OWNER.0.to_string()]).output();
        String::from_utf8_lossy(&found.expect("it runs").stdout).into_owned()
    }

    /// A proxy for plain HTTP.
    pub fn proxy() -> String {
        format!("http://{ROUTER}:{PROXY_PORT}")
    }

    /// What went through the proxy.
    pub fn proxied(&self) -> String {
        fs::read_to_string(self.file("proxied")).unwrap_or_default()
    }

    /// An image that containers on the machine run, `busybox:test`, as `docker load` takes it.
    pub fn busybox(&self) -> PathBuf {
        self.cache.join("busybox.tar")
    }

    /// What instance metadata says of the Spot instance's end.
    ///
    /// # Panics
    /// It can't be written.
    pub fn take_spot_back(&self, action: &str) {
        fs::write(self.file("spot-action"), action).expect("written");
    }

    /// The Docker CLI that the machine has.
    pub fn docker(&self) -> PathBuf {
        self.cache.join("docker-cli")
    }

    /// Boots a machine with this user data.
    ///
    /// # Panics
    /// It can't be started.
    pub fn boot(&self, user_data: impl AsRef<[u8]>) -> Machine {
        fs::write(self.file("user-data"), user_data).expect("written");
        let (disk, console) = (self.file("disk"), self.file("console.log"));
        let processor = a_processor();
        let (kernel, shell) = start(&self.cache, processor, &disk, &console);
        Machine { cache: self.cache.clone(), processor, kernel, shell, disk, console }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn serve(&mut self, program: &str, arguments: &[&str]) {
        let log = fs::File::create(self.file(&format!("{program}.out"))).expect("a file");
        let mut command = ending_with_us(program);
        command.args(arguments).stdout(log.try_clone().expect("a file")).stderr(log);
        self.services.push(command.spawn().unwrap_or_else(|error| panic!("{program}: {error}")));
    }
}

impl Drop for Subnet {
    fn drop(&mut self) {
        for service in &mut self.services {
            end(service);
        }
    }
}

impl Machine {
    /// What a command prints in a root shell of the machine, without what it writes to standard error.
    ///
    /// # Panics
    /// There is no answer within five minutes, or the command fails.
    #[track_caller]
    pub fn shell(&self, command: &str) -> String {
        let mut shell = self.terminal();
        shell.set_read_timeout(Some(Duration::from_secs(300))).expect("set");
        // The terminal echoes what is typed; what is sought must not be in it. Ctrl-C ends a line of which a part was lost before.
        let script = format!("\x03\necho BEG''IN; {{ {command}\n}} 2>/run/stderr; echo E''ND $?\n");
        shell.write_all(script.as_bytes()).expect("written");
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&heard).replace('\r', "");
            if let Some((_, output)) = text.split_once("BEGIN\n")
                && let Some((output, code)) = output.rsplit_once("END ")
                && let Some((code, _)) = code.split_once('\n')
            {
                assert_eq!(code, "0", "`{command}` printed: {output}");
                return output.to_owned();
            }
            let count = shell.read(&mut buffer).unwrap_or_else(|error| panic!("`{command}`: {error}: {text}"));
            assert!(count > 0, "the machine ended during `{command}`: {text}");
            heard.extend_from_slice(&buffer[..count]);
        }
    }

    /// Whether a root shell answers within a few seconds.
    pub fn has_shell(&self) -> bool {
        self.says("true", Duration::from_secs(5)).is_some()
    }

    /// What a command prints, where a root shell answers within that time. The terminal's echo of what is typed comes first, perhaps long
    /// before the answer.
    fn says(&self, command: &str, within: Duration) -> Option<String> {
        let mut shell = self.terminal();
        let until = Instant::now() + within;
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        shell.write_all(format!("\x03\necho SA''YS \"$({command})\" AN''D\n").as_bytes()).ok()?;
        loop {
            let text = String::from_utf8_lossy(&heard);
            if let Some((said, _)) = text.split_once("SAYS ").and_then(|(_, said)| said.split_once("AND")) {
                return Some(said.trim().to_owned());
            }
            let left = until.saturating_duration_since(Instant::now());
            // A timeout of zero is an error.
            shell.set_read_timeout(Some(left)).ok()?;
            match shell.read(&mut buffer) {
                Ok(count) if count > 0 => heard.extend_from_slice(&buffer[..count]),
                _ => return None,
            }
        }
    }

    /// Starts the machine anew, and waits until it has begun to: what answers from then on is of the new boot.
    ///
    /// # Panics
    /// It does not come back within that time.
    pub fn reboot(&self, within: Duration) {
        let boot = || {
            let said = self.says("cat /proc/sys/kernel/random/boot_id", Duration::from_secs(5));
            said.filter(|boot| boot.len() == 36)
        };
        let before = eventually(within, "the machine's boot", boot);
        // The shell answers before it goes.
        self.shell("systemd-run -q --on-active=1 systemctl reboot");
        eventually(within, "another boot", || boot().filter(|boot| *boot != before));
    }

    /// Its second serial port, without what was said there before.
    fn terminal(&self) -> &UnixStream {
        let mut shell = &self.shell;
        shell.set_nonblocking(true).expect("set");
        while shell.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
        shell.set_nonblocking(false).expect("set");
        shell
    }

    /// Whether it still runs: one that has powered itself off does not.
    pub fn runs(&mut self) -> bool {
        self.kernel.try_wait().expect("a child").is_none()
    }

    /// Boots one that has powered itself off from its disk, as an instance that was stopped.
    ///
    /// # Panics
    /// It runs.
    pub fn boots_again(&mut self) {
        assert!(!self.runs(), "it is not off");
        (self.kernel, self.shell) = start(&self.cache, self.processor, &self.disk, &self.console);
    }
}

/// One of the processors that this process may use, in turn.
fn a_processor() -> usize {
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("the processors");
    let allowed: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    allowed[TAKEN.fetch_add(1, Ordering::Relaxed) % allowed.len()]
}

/// Starts a machine with this disk; the kernel, and the machine's second serial port. Each of its system calls is a switch between two processes,
/// which takes a quarter less on a single processor.
fn start(cache: &Path, processor: usize, disk: &Path, console: &Path) -> (Child, UnixStream) {
    let (ours, shell) = UnixStream::pair().expect("sockets");
    let console = fs::OpenOptions::new().create(true).append(true).open(console).expect("a file");
    // In a PID namespace of its own, with whose first process all others end. For a reboot it ends, to be started again (machine/user-mode-linux.c).
    let starts = r#"while LD_PRELOAD=$0 linux.uml "$@"; [ $? = 75 ]; do :; done"#;
    let mut kernel = ending_with_us("taskset");
    kernel
        .args(["--cpu-list", &processor.to_string()])
        .args(["unshare", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", starts])
        .arg(cache.join("user-mode-linux.so"))
        .args(["mem=3072M", "root=/dev/ubda", "rw"])
        .arg(format!("ubd0={},{}", disk.display(), cache.join("root.img").display()))
        .arg(format!("eth0=tuntap,machine,{MAC}"))
        .args(["con=null", "con0=null,fd:1", "console=tty0", "ssl=null", "ssl1=fd:0"])
        .args(["net.ifnames=0", "audit=0", "quiet"])
        .arg(format!("uml_dir={}", disk.with_file_name("").display()))
        // Its memory is a file, in /dev/shm where nothing else is said.
        .env_remove("TMPDIR")
        .stdin(OwnedFd::from(shell))
        .stdout(console.try_clone().expect("a handle"))
        .stderr(console);
    (kernel.spawn().expect("User Mode Linux starts"), ours)
}

impl Drop for Machine {
    #[expect(clippy::print_stdout, reason = "why a test failed is on the machine")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let console = fs::read(&self.console).unwrap_or_default();
            let text = String::from_utf8_lossy(&console[console.len().saturating_sub(6000)..]).into_owned();
            let state = if self.runs() { "runs" } else { "has ended" };
            println!("the machine {state}; the end of what its console says:\n{text}");
            let said = self.says(WHAT_HAPPENED, Duration::from_secs(60)).unwrap_or_default();
            println!("what it says itself:\n{}", said.replace('\r', ""));
        }
        end(&mut self.kernel);
    }
}

/// Looks until there is something.
///
/// # Panics
/// There is nothing, in that time.
#[track_caller]
pub fn eventually<T>(within: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A command that the kernel ends with this thread, even where no destructor runs.
fn ending_with_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]).stdin(Stdio::null());
    command
}

fn end(child: &mut Child) {
    // One that has ended already is what is wanted.
    drop(child.kill());
    drop(child.wait());
}

#[track_caller]
fn run(command: &mut Command) {
    let status = command.status().expect("it runs");
    assert!(status.success(), "{command:?}: {status}");
}
