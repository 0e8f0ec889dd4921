//! What `scripts/package` made, and what it does in clean systems: there each package makes a host, and ends it.
#![expect(clippy::print_stdout, reason = "size and start are said, not only checked")]

use std::{
    env::consts::ARCH,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use nix::{
    sys::wait::{Id, WaitPidFlag, WaitStatus, waitid},
    unistd::Pid,
};
use sdocker_tests::{Front, Home, Run, skip};
use tempfile::TempDir;

/// Debian 12, and the oldest Debian that can still be had: glibc 2.36 and 2.31.
const SYSTEMS: [&str; 2] = ["bookworm", "bullseye"];
const MAXIMUM_SIZE: u64 = 24_000_000;
const MAXIMUM_START: Duration = Duration::from_millis(15);
const NEWEST_SYMBOL: [u32; 2] = [2, 17];
/// The parts of glibc: what a binary may load, since anything else would have to be installed.
const GLIBC: [&str; 8] = [
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// The folder that `scripts/package` wrote.
struct Packages(PathBuf);

impl Packages {
    fn made() -> Option<Self> {
        let folder = std::env::var_os("SDOCKER_PACKAGES");
        if folder.is_none() {
            skip("SDOCKER_PACKAGES names what scripts/package made: use scripts/test package");
        }
        Some(Self(folder?.into()))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("readable");
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8")).collect()
    }

    /// The only one whose name ends so.
    fn one(&self, end: &str) -> String {
        let mut names = self.names();
        names.retain(|name| name.ends_with(end));
        assert_eq!(names.len(), 1, "{end}: {names:?}");
        names.remove(0)
    }

    /// The binaries by themselves: this machine's first, then those of other architectures.
    fn binaries(&self) -> Vec<PathBuf> {
        let mut names = vec![format!("sdocker-{ARCH}")];
        names.extend(
            self.names()
                .into_iter()
                .filter(|name| name.strip_prefix("sdocker-").is_some_and(|rest| rest != ARCH && !rest.contains('.'))),
        );
        names.iter().map(|name| self.0.join(name)).collect()
    }
}

/// A clean system, in which the home of a Studio app has the path that it has outside.
struct System<'a> {
    front: &'a Front,
    home: Home,
    root: TempDir,
}

impl<'a> System<'a> {
    /// With this package in the home.
    fn unpack(name: &str, front: &'a Front, packages: &Packages, package: &str) -> Self {
        let systems = std::env::var_os("SDOCKER_SYSTEMS").expect("SDOCKER_SYSTEMS: use scripts/test package");
        let archive = Path::new(&systems).join(format!("{name}.tar"));
        let root = tempfile::tempdir().expect("a temporary folder");
        let unpacked = Command::new("tar").arg("-C").arg(root.path()).arg("-xf").arg(archive).status();
        assert!(unpacked.expect("tar runs").success(), "{name}");

        let mut home = front.home();
        home.set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        for file in [package, &format!("sdocker-{ARCH}"), "SHA256SUMS"] {
            fs::copy(packages.0.join(file), home.join(file)).expect("copied");
        }
        Self { front, home, root }
    }

    /// Runs a script in the home. What is mounted for it goes with its namespace.
    fn run(&self, script: &str) -> Run {
        const ENTER: &str = r#"
            mount -t proc proc "$1/proc"
            mkdir -p "$1$HOME"
            mount --bind "$HOME" "$1$HOME"
            exec chroot "$1" sh -euc 'cd; eval "$1"' sh "$2""#;
        let root = self.root.path().to_str().expect("UTF-8");
        self.home.run("unshare", &["--mount", "sh", "-euc", ENTER, "sh", root, script])
    }

    /// Every path that a package could leave behind, except in what dpkg writes for itself.
    fn paths(&self) -> String {
        let except = ["/proc/*", "/tmp/*", "/var/lib/dpkg/*", "/var/log/*"].map(|path| format!("! -path '{path}'"));
        self.run(&format!("find / -xdev {} | sort", except.join(" "))).expect(0).stdout
    }

    /// The program at this path is the binary that was made, and makes and ends a host.
    fn makes_a_host(&self, program: &str) {
        self.run(&format!("cmp sdocker-{ARCH} {program}")).expect(0);
        let version = self.run(&format!("{program} --version")).expect(0).stdout;
        assert_eq!(version, concat!("sdocker ", env!("CARGO_PKG_VERSION"), "\n"));

        let create = format!("{program} create-host --instance-type c5.xlarge --output json");
        let created = self.run(&create).expect(0).json();
        assert_eq!(self.front.live(), [created["instance_id"].as_str().expect("an id")]);
        self.run(&format!("{program} terminate-host --all")).expect(0);
        assert_eq!(self.front.live(), Vec::<String>::new());
    }
}

/// Takes the one package whose name ends so into each system.
fn in_each_system(end: &str, check: impl Fn(&System<'_>, &str)) {
    let Some(packages) = Packages::made() else { return };
    let Some(front) = Front::start() else { return };
    let package = packages.one(end);
    for name in SYSTEMS {
        check(&System::unpack(name, &front, &packages, &package), &package);
    }
}

#[test]
fn the_wheel() {
    in_each_system(&format!("_{ARCH}.whl"), |system, wheel| {
        system.run("python3 -m venv /opt/app").expect(0);
        system.run(&format!("/opt/app/bin/pip install --no-index ./{wheel}")).expect(0);
        system.makes_a_host("/opt/app/bin/sdocker");
        system.run("/opt/app/bin/pip uninstall --yes sdocker").expect(0);
        assert_eq!(system.run("find /opt/app -name '*sdocker*'").expect(0).stdout, "");
    });
}

#[test]
fn the_deb() {
    let architecture = if ARCH == "aarch64" { "arm64" } else { "amd64" };
    in_each_system(&format!("_{architecture}.deb"), |system, deb| {
        let before = system.paths();
        system.run(&format!("dpkg -i ./{deb}")).expect(0);
        system.makes_a_host("/usr/bin/sdocker");
        system.run("dpkg --verify sdocker && gzip -t /usr/share/man/man1/sdocker-create-host.1.gz").expect(0);
        let completion = ". /usr/share/bash-completion/completions/sdocker && complete -p sdocker";
        system.run(&format!("bash -c '{completion}'")).expect(0);
        system.run("dpkg -P sdocker").expect(0);
        assert_eq!(system.paths(), before);
    });
}

#[test]
fn the_tarball() {
    in_each_system(&format!("-{ARCH}-unknown-linux-gnu.tar.gz"), |system, tarball| {
        let checked = system.run("sha256sum --check --ignore-missing SHA256SUMS").expect(0).stdout;
        assert!(checked.contains(&format!("{tarball}: OK")), "{checked}");
        system.run(&format!("mkdir ~/.local && tar -xf {tarball} -C ~/.local --strip-components=1")).expect(0);
        system.makes_a_host("~/.local/bin/sdocker");
    });
}

#[test]
fn the_sums_are_those_of_all_files() {
    let Some(packages) = Packages::made() else { return };
    let sums = fs::read_to_string(packages.0.join("SHA256SUMS")).expect("readable");
    let mut listed: Vec<&str> = sums.lines().map(|line| line.split_once("  ").expect("a sum and a name").1).collect();
    listed.push("SHA256SUMS");
    let mut names = packages.names();
    listed.sort_unstable();
    names.sort();
    assert_eq!(listed, names);
    let check = Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&packages.0).output();
    let check = check.expect("it runs");
    assert!(check.status.success(), "{check:?}");
}

#[test]
fn a_binary_needs_glibc_2_17_and_nothing_else() {
    let Some(packages) = Packages::made() else { return };
    for binary in packages.binaries() {
        let read = Command::new("readelf").arg("-dVW").arg(&binary).output().expect("readelf is of binutils");
        let text = String::from_utf8(read.stdout).expect("UTF-8");
        let parts = |start: &str, end| {
            let found = text.split(start).skip(1).map(|rest| rest.split(end).next().unwrap_or_default().to_owned());
            found.collect::<Vec<String>>()
        };
        let libraries = parts("Shared library: [", ']');
        assert!(libraries.contains(&"libc.so.6".to_owned()), "{text}");
        assert!(libraries.iter().all(|library| GLIBC.contains(&library.as_str())), "{libraries:?}");

        let number = |part: &str| part.parse::<u32>().unwrap_or_else(|_| panic!("a version of glibc: {part}"));
        let versions = parts("Name: GLIBC_", ' ');
        let newest = versions.iter().map(|version| version.split('.').map(number).collect::<Vec<u32>>()).max();
        let newest = newest.expect("it needs symbols");
        assert!(newest.as_slice() < &NEWEST_SYMBOL[..] || newest.starts_with(&NEWEST_SYMBOL), "{versions:?}");
    }
}

/// How long a program runs on a processor: on the clock, others that have it would count too.
fn processor_time(command: &mut Command) -> Duration {
    let mut child = command.stdout(Stdio::null()).spawn().expect("it runs");
    let id = child.id();
    // It has ended, and its figures are there until it is waited for.
    let ended = waitid(Id::Pid(Pid::from_raw(id.cast_signed())), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    let figures = fs::read_to_string(format!("/proc/{id}/schedstat")).expect("proc(5)");
    assert!(matches!(ended, Ok(WaitStatus::Exited(_, 0))), "{ended:?}");
    child.wait().expect("it ended");
    let nanoseconds = figures.split(' ').next().and_then(|time| time.parse().ok()).expect("a time");
    Duration::from_nanos(nanoseconds)
}

#[test]
fn a_binary_is_small_and_starts_at_once() {
    let Some(packages) = Packages::made() else { return };
    for binary in packages.binaries() {
        let size = fs::metadata(&binary).expect("it is there").len();
        println!("{}: {:.1} MB", binary.display(), size as f64 / 1e6);
        assert!(size < MAXIMUM_SIZE, "{size}");
    }
    let native = &packages.binaries()[0];
    let mut times: Vec<Duration> = (0..31).map(|_| processor_time(Command::new(native).arg("--help"))).collect();
    times.sort();
    let median = times[times.len() / 2];
    println!("--help: {median:?} of a processor, the median of {}", times.len());
    assert!(median < MAXIMUM_START, "{times:?}");
}

/// What somebody sees who has never seen it: each line of the first hour, from the wheel to the end of a host.
#[test]
fn the_first_hour() {
    let Some(packages) = Packages::made() else { return };
    let Some(front) = Front::start() else { return };
    let wheel = packages.one(&format!("_{ARCH}.whl"));
    let mut system = System::unpack(SYSTEMS[0], &front, &packages, &wheel);
    // Whatever metadata service and terminal this machine has.
    system.home.set("AWS_EC2_METADATA_DISABLED", "true");
    // An app has Python with the SDK. What is downloaded is here: a clean system asks nobody.
    let prepare = r#"
        mkdir -p /opt/sdk app/docker
        printf '#!/bin/sh\necho 2.257.7\n' >/opt/sdk/python3
        cat >app/docker/docker <<'END'
#!/bin/sh
case "$*" in
    *version*) echo "Docker version 28.5.1, build e180ab8" ;;
    "context inspect"*) echo "[$(cat ~/.docker/contexts/meta/*/meta.json)]" ;;
esac
END
        chmod +x /opt/sdk/python3 app/docker/docker
        tar -C app -czf docker.tgz docker
        printf '#!/bin/sh\necho 2.40.2\n' >compose
        python3 -m venv .venv"#;
    system.run(prepare).expect(0);
    let steps = [
        (0, ".venv/bin/pip install --quiet --no-index ./*.whl"),
        (0, "sdocker --version"),
        (0, "sdocker doctor --instance-type c5.xlarge"),
        (
            0,
            "sdocker setup --docker-from docker.tgz#sha256=$(sha256sum docker.tgz | cut -c1-64) --compose-from compose#sha256=$(sha256sum compose | cut -c1-64)",
        ),
        (0, "sdocker doctor --instance-type c5.xlarge"),
        (0, "sdocker create c5.xlarge --dry-run | grep -e costs -e 'ends itself'"),
        (0, "sdocker create c5.xlarge"),
        (0, "sdocker ls"),
        (0, "sdocker status"),
        (0, "sdocker env"),
        (0, "sdocker keep --for 2h"),
        (0, "sdocker rm c5"),
        (0, "sdocker ls"),
    ];
    let mut hour = String::new();
    for (code, step) in steps {
        let run = system.run(&format!("PATH=/opt/sdk:~/.venv/bin:$PATH; {step}"));
        hour.push_str(&format!("$ {step}\n{}{}", run.stdout, run.stderr));
        assert_eq!(run.code, Some(code), "{hour}");
    }
    assert_eq!(front.live(), Vec::<String>::new());
    let home = system.home.path().to_string_lossy().into_owned();
    insta::with_settings!({filters => vec![
        (home.as_str(), "~"),
        (r"(i|vpc|subnet|fsmt|fs|ami|sg|eni)-[0-9a-f]{8,17}\b", "$1-[id]"),
        (r"user data of \d+", "user data of [n]"),
        (r"\b127\.\d+\.\d+\.\d+|\bip-[0-9-]+\.\S+?(:|\b)", "[address]"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?( UTC|Z)?", "[time]"),
        (r"\(\d+\.\d+s\)", "([seconds])"),
        (r"\b\d\d:\d\d:\d\d\b", "[time]"),
        // By how long this takes.
        (r"\$0\.\d+ so far", "[little] so far"),
        (r"(?m)\$0\.0\d+$", "[little]"),
        // Said as soon as it is known, which may be later.
        (r"(?m)^(ports|files and ports) +.*\n", ""),
        (r"(?m)^✓ host: .*\n", ""),
        (r"(?m)^ *waiting for .* \(at most \d+ s\)\n", ""),
        (r"(?m)^… .* \(\d+ s\)\n", ""),
        (r" {2,}", "  "),
    ]}, {
        insta::assert_snapshot!(hour);
    });
}
