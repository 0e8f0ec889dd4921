//! The log file, `$SDOCKER_HOME/sdocker.log`, and what `-v` shows of it.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
};

use sdocker::Surroundings;
use tracing_subscriber::{
    EnvFilter, Layer as _, fmt::MakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::plain::plain;

/// A larger log is renamed to `sdocker.log.1` before it is written to.
const MAX_BYTES: u64 = 5 * 1024 * 1024;

/// The log file.
pub fn file(surroundings: &Surroundings) -> PathBuf {
    surroundings.sdocker_home.join("sdocker.log")
}

/// Starts logging. A log file that can't be written is no reason to fail.
pub fn start(surroundings: &Surroundings, verbose: u8) {
    let log = LogFile { path: file(surroundings), file: Arc::default() };
    let ours = "sdocker=debug,aws_answers=debug,host_provisioner=debug,docker_remote=debug,host_agent=debug,host_files=debug,host_ports=debug,host_link=debug,file_share=debug,studio_discovery=debug,localmode_config=debug";
    let to_file = tracing_subscriber::fmt::layer()
        .with_writer(log)
        .with_ansi(false)
        .with_filter(EnvFilter::new(format!("warn,{ours}")));
    // What the printer logs it has printed as well.
    let spoken = match verbose {
        0 => "off".to_owned(),
        1 => format!("{ours},sdocker_console=off"),
        _ => format!("debug,{},sdocker_console=off", ours.replace("debug", "trace")),
    };
    let to_stderr =
        tracing_subscriber::fmt::layer().with_writer(|| Spoken).with_ansi(false).with_filter(EnvFilter::new(spoken));
    // Only fails when a subscriber is set already, which a second start in one process would do.
    let _ = tracing_subscriber::registry().with(to_file).with(to_stderr).try_init();
    // A panic ends the process at once, and where the terminal is gone nothing else says why.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("{panic}");
        print(panic);
    }));
}

/// Logs which command this is, with its arguments; but for what a URL holds before its host, which may be a password. Where nothing is kept
/// of any host yet, no folder is made for it.
pub fn command(surroundings: &Surroundings, arguments: impl IntoIterator<Item = OsString>) {
    if surroundings.sdocker_home.is_dir() {
        let arguments: Vec<String> = arguments.into_iter().map(|argument| shown(&argument)).collect();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            pid = std::process::id(),
            "command: sdocker {}",
            arguments.join(" ")
        );
    }
}

/// Logs with which code the command ends.
pub fn ended(surroundings: &Surroundings, code: ExitCode) {
    if surroundings.sdocker_home.is_dir() {
        let number = (0..=u8::MAX).find(|number| code == ExitCode::from(*number));
        tracing::info!("ended with code {}", number.unwrap_or_default());
    }
}

/// An argument as a shell would take it, in one line.
fn shown(argument: &OsStr) -> String {
    let text = argument.to_string_lossy();
    let text = match text.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('@'))) {
        Some((scheme, Some((secret, rest)))) if !secret.contains('/') => format!("{scheme}://***@{rest}"),
        _ => text.into_owned(),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+#*".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("{text:?}") }
}

/// Standard error for lines whose loss is no reason to stop: tracing-subscriber would report a failed write with a macro that panics
/// when it fails as well.
struct Spoken;

impl Write for Spoken {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().lock().write_all(plain(&String::from_utf8_lossy(line)).as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opened at the first line, so that a command with nothing to say leaves no file.
#[derive(Clone)]
struct LogFile {
    path: PathBuf,
    file: Arc<Mutex<Option<File>>>,
}

impl LogFile {
    fn open(&self) -> io::Result<File> {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        if let Some(folder) = self.path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        if fs::metadata(&self.path).is_ok_and(|log| log.len() > MAX_BYTES) {
            fs::rename(&self.path, self.path.with_added_extension("1"))?;
        }
        File::options().append(true).create(true).mode(0o600).open(&self.path)
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let Ok(mut file) = self.file.lock() else { return Ok(line.len()) };
        if file.is_none() {
            *file = self.open().ok();
        }
        if let Some(file) = file.as_mut() {
            let _ = file.write_all(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for LogFile {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_one_line_without_passwords() {
        for (argument, expected) in [
            ("--instance-type", "--instance-type"),
            ("c5.xlarge", "c5.xlarge"),
            ("", "\"\""),
            ("my folder\n", "\"my folder\\n\""),
            ("https://me:secret@example.com/docker.tgz#sha256=00", "https://***@example.com/docker.tgz#sha256=00"),
            ("https://example.com/a@b", "https://example.com/a@b"),
        ] {
            assert_eq!(shown(OsStr::new(argument)), expected);
        }
    }
}
