//! Programs on the host itself, as its root: by a container that has the host's namespaces, and the host's own programs.
//!
//! What the daemon takes for its host is meant: of a daemon that runs in a container (docker-in-docker), that container.

use std::{
    io,
    pin::Pin,
    time::{SystemTime, UNIX_EPOCH},
};

use bollard::{
    models::{ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, Mount, MountType},
    query_parameters::{CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ResizeContainerTTYOptionsBuilder},
};
use bytes::{Buf as _, BytesMut};
use futures_util::{TryStreamExt as _, stream};
use hyper::{
    StatusCode,
    header::{self, HeaderValue},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWrite, ReadHalf};

use super::{Client, LogLine, temporary::Temporary, with_causes};
use crate::{Error, transport};

/// An image of nothing but links to the host's own programs: whatever its processor, they are there, with the libraries they need.
const IMAGE: (&str, &str) = ("sdocker-host-programs", "1");

/// Where the host's root is in the container (see [`ENTER`]).
const AT: &str = "/host";

/// Where programs and libraries are: in `/usr`, and in what is beside it or leads there (file-hierarchy(7)).
const LINKS: [&str; 5] = ["usr", "bin", "sbin", "lib", "lib64"];

/// The largest piece of output that is taken at once.
const PIECE: usize = 32 << 10;

/// The label of these containers.
const LABEL: &str = "sdocker.shell";

/// A program to run on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostProgram {
    /// The program and its arguments, as they are; a login shell where there is none.
    pub command: Vec<String>,
    /// The kind of terminal to run it on (`TERM`), with its rows and columns; `None`: on none.
    pub terminal: Option<(String, (u16, u16))>,
}

/// A program that runs on the host.
pub struct HostProcess {
    client: Client,
    container: Temporary,
    has_terminal: bool,
    input: Option<HostInput>,
    output: ReadHalf<TokioIo<Upgraded>>,
    read: BytesMut,
}

/// What of root's rights a program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rights {
    All,
    /// A daemon can't give what it has not itself, and this is what a container of a CI is often refused (capabilities(7), `CAP_SYS_RESOURCE`).
    AllButResource,
}

/// The input of a program on the host. Shut down, it has an end.
pub type HostInput = Pin<Box<dyn AsyncWrite + Send>>;

/// Enters the host: its first process's files, which are what a shell on it has; else, where those are another's (a daemon that has files of its
/// own, or may not look at that process), those that the daemon has.
const ENTER: &str = r#"if nsenter -t 1 -m true 2>/dev/null; then exec nsenter -t 1 -m -- /bin/sh -c "$0" sh "$@"; fi
exec chroot /host /bin/sh -c "$0" sh "$@""#;

/// What is run before the program: its working directory is its user's.
const AT_HOME: &str = r#"cd 2>/dev/null; exec "$@""#;

/// The shell of who names no program. Nobody at its prompt for an hour, and it ends (bash(1), `TMOUT`): a forgotten one would keep its host.
const SHELL: &str =
    r#"cd 2>/dev/null; TMOUT=3600; export TMOUT; if command -v bash >/dev/null; then exec bash -l; fi; exec sh -l"#;

impl HostProgram {
    /// What the container runs: with the host's files for its own, and everything else of the host's already.
    fn arguments(&self) -> Vec<String> {
        let script = if self.command.is_empty() { SHELL } else { AT_HOME };
        // It is the daemon's to know only once the program runs, which may have asked by then.
        let size =
            self.terminal.iter().map(|(_, (rows, columns))| format!("stty rows {rows} cols {columns} 2>/dev/null\n"));
        let enter = size.chain([ENTER.to_owned()]).collect();
        let enter = ["/bin/sh".to_owned(), "-c".to_owned(), enter, script.to_owned()];
        enter.into_iter().chain(self.command.iter().cloned()).collect()
    }

    fn container(&self, rights: Rights) -> ContainerCreateBody {
        let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        let host = || Some("host".to_owned());
        let few = rights == Rights::AllButResource;
        let root = Mount {
            typ: Some(MountType::BIND),
            source: Some("/".to_owned()),
            target: Some(AT.to_owned()),
            ..Mount::default()
        };
        let term = self.terminal.iter().map(|(kind, _)| format!("TERM={kind}"));
        let environment = ["HOME=/root", "USER=root", "LOGNAME=root"].map(str::to_owned).into_iter().chain(term);
        ContainerCreateBody {
            image: Some(format!("{}:{}", IMAGE.0, IMAGE.1)),
            cmd: Some(self.arguments()),
            env: Some(environment.collect()),
            labels: Some([(LABEL.to_owned(), String::new())].into()),
            tty: Some(self.terminal.is_some()),
            open_stdin: Some(true),
            // Its input ends with this connection.
            stdin_once: Some(true),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            host_config: Some(HostConfig {
                mounts: Some(vec![root]),
                privileged: Some(!few),
                cap_add: few.then(|| words(&["ALL"])).flatten(),
                cap_drop: few.then(|| words(&["SYS_RESOURCE"])).flatten(),
                security_opt: few
                    .then(|| words(&["seccomp=unconfined", "apparmor=unconfined", "label=disable"]))
                    .flatten(),
                pid_mode: host(),
                network_mode: host(),
                ipc_mode: host(),
                uts_mode: host(),
                userns_mode: host(),
                cgroupns_mode: Some(HostConfigCgroupnsModeEnum::HOST),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }
}

impl Client {
    /// Starts a program on the host, as its root.
    ///
    /// # Cancel safety
    /// Dropped, the program is ended, in a task that goes on for as long as the runtime does.
    ///
    /// # Errors
    /// The daemon refuses, or the host has none of the programs by which it is entered (`nsenter` and `sh`).
    pub async fn start_on_host(&self, program: &HostProgram) -> Result<HostProcess, Error> {
        let attempted = "run a program on the host";
        self.ensure_host_programs(attempted).await?;
        match self.started(program, Rights::All, attempted).await {
            Err(error) if with_causes(&error).contains("unable to apply caps") => {
                self.started(program, Rights::AllButResource, attempted).await
            }
            started => started,
        }
    }

    async fn started(&self, program: &HostProgram, rights: Rights, attempted: &str) -> Result<HostProcess, Error> {
        let ticks = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        let name = format!("sdocker-shell-{ticks:x}");
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let container = Temporary::create(self, Some(options), program.container(rights), attempted).await?;
        let begun = async {
            let attached = self.attached(container.id(), attempted).await?;
            self.short.start_container(container.id(), None).await.map_err(self.failed(attempted))?;
            Ok(attached)
        };
        let (output, input) = match begun.await {
            Ok(attached) => tokio::io::split(attached),
            Err(error) => {
                // Awaited: this error may be the last that the process does. It says more than one of the removal would.
                let _ = container.remove().await;
                return Err(error);
            }
        };
        Ok(HostProcess {
            client: self.clone(),
            container,
            has_terminal: program.terminal.is_some(),
            input: Some(Box::pin(input)),
            output,
            read: BytesMut::new(),
        })
    }

    async fn ensure_host_programs(&self, attempted: &str) -> Result<(), Error> {
        let (name, tag) = IMAGE;
        if self.has_image(&format!("{name}:{tag}")).await? {
            return Ok(());
        }
        let links = links().map_err(|error| self.reported(attempted, error.to_string()))?;
        let links = stream::once(async { Ok(links.into()) });
        self.import(name, tag, links).try_for_each(|_| async { Ok(()) }).await
    }

    /// A container's input and output as the daemon sends them. bollard's reader takes some bytes of a terminal for the head of a piece.
    async fn attached(&self, container: &str, attempted: &str) -> Result<TokioIo<Upgraded>, Error> {
        let path = self.versioned(&format!("/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1"));
        let mut request = transport::request(&self.endpoint, "POST", &path, transport::empty());
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        request.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("tcp"));
        let answer = self.bounded.request(request).await;
        let answer = answer.map_err(|error| self.reported(attempted, with_causes(&error)))?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.reported(attempted, format!("HTTP status {}", answer.status().as_u16())));
        }
        let upgraded =
            hyper::upgrade::on(answer).await.map_err(|error| self.reported(attempted, with_causes(&error)))?;
        Ok(TokioIo::new(upgraded))
    }
}

impl HostProcess {
    /// Its input, once.
    pub fn take_input(&mut self) -> Option<HostInput> {
        self.input.take()
    }

    /// The next piece of its output; `None` at its end.
    ///
    /// # Cancel safety
    /// It can be dropped at any time; nothing is lost.
    ///
    /// # Errors
    /// The connection breaks.
    pub async fn output(&mut self) -> Result<Option<LogLine>, Error> {
        loop {
            if let Some(piece) = self.piece() {
                return Ok(Some(piece));
            }
            self.read.reserve(PIECE);
            let read = self.output.read_buf(&mut self.read).await;
            // Daemons before 24 end the connection without TLS's last word.
            let read = match read {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                read => read
                    .map_err(|error| self.client.reported("read what a program on the host says", error.to_string()))?,
            };
            if read == 0 {
                return Ok(None);
            }
        }
    }

    /// A whole piece of what was read. Without a terminal each has a head: its kind, and its length in the last four of eight bytes
    /// (Engine API, "Attach to a container", stream format).
    fn piece(&mut self) -> Option<LogLine> {
        if self.has_terminal {
            return (!self.read.is_empty()).then(|| LogLine::Stdout(self.read.split().freeze()));
        }
        let head: [u8; 8] = self.read.get(..8)?.try_into().ok()?;
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if self.read.len() < 8 + length {
            return None;
        }
        self.read.advance(8);
        let bytes = self.read.split_to(length).freeze();
        Some(if head[0] == 2 { LogLine::Stderr(bytes) } else { LogLine::Stdout(bytes) })
    }

    /// Tells it the size of its terminal, in rows and columns. A daemon that does not take it leaves the old one.
    ///
    /// # Cancel safety
    /// It can be dropped at any time.
    pub async fn resize(&self, (rows, columns): (u16, u16)) {
        let options = ResizeContainerTTYOptionsBuilder::new().h(rows.into()).w(columns.into()).build();
        let _ = self.client.short.resize_container_tty(self.container.id(), options).await;
    }

    /// Sends it a signal, such as `INT`.
    ///
    /// # Cancel safety
    /// It can be dropped at any time; the signal may have been sent.
    ///
    /// # Errors
    /// It has ended, or the daemon does not answer.
    pub async fn signal(&self, name: &str) -> Result<(), Error> {
        let options = KillContainerOptionsBuilder::new().signal(name).build();
        let sent = self.client.short.kill_container(self.container.id(), Some(options)).await;
        sent.map_err(self.client.failed("send a signal to a program on the host"))
    }

    /// Waits for its end, and returns its exit code. Its output may have ended long before.
    ///
    /// # Cancel safety
    /// It only waits, and can be dropped at any time.
    ///
    /// # Errors
    /// The connection breaks.
    pub async fn exited(&self) -> Result<i64, Error> {
        self.client.wait(self.container.id()).await
    }

    /// Ends it at once, unless it has ended, and removes what is left of it. Whoever took its input drops that before.
    ///
    /// # Cancel safety
    /// Dropped, it is ended in a task that goes on for as long as the runtime does.
    ///
    /// # Errors
    /// The daemon does not answer: it may run on.
    pub async fn end(self) -> Result<(), Error> {
        let Self { container, input, output, .. } = self;
        // A daemon that has output left for somebody who does not read it removes nothing (moby 20.10 waits for the attached stream).
        drop((input, output));
        container.remove().await
    }
}

/// The image's only files.
fn links() -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for name in LINKS {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        archive.append_link(&mut header, name, format!("host/{name}"))?;
    }
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_run_as_it_is() {
        let program = |command: &[&str]| {
            let command = command.iter().map(|&word| word.to_owned()).collect();
            HostProgram { command, terminal: None }.arguments()
        };
        let asked = program(&["echo", "a  b", "$HOME; rm"]);
        assert_eq!(asked[3..], [AT_HOME, "echo", "a  b", "$HOME; rm"]);
        assert_eq!(program(&[])[3..], [SHELL]);
    }
}
