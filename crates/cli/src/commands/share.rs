//! `sdocker share`: folders of this app appear live on a host, at the same paths.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use docker_remote::{Client, ClientCredentials, Endpoint};
use host_files::{Event, Program, Share, Sharing};
use host_provisioner::InstanceId;
use serde::Serialize;

use sdocker::{Error, Surroundings, durations, lookup::Lookup};

use crate::{
    interrupt::{Interrupt, Work},
    printer::Printer,
    progress::Progress,
};

/// Below these a path of the app can't hide what the host itself needs.
const SHAREABLE: [&str; 5] = ["/home", "/root", "/tmp", "/opt/ml", "/mnt"];

/// How long the host has to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Descriptors that are not for files that containers open.
const OWN_DESCRIPTORS: u64 = 128;

/// Share folders of this app with a host, live and at the same paths, until Ctrl-C.
///
/// Containers on the host see them with `docker run -v FOLDER:...`, like on this machine; what they write belongs to you here. Nothing
/// is needed for it but the connection to the daemon: no EFS, no port.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folders. With `:ro` containers can only read them.
    #[arg(value_name = "FOLDER[:ro]", required = true)]
    folders: Vec<String>,
    /// The host, instead of the current one.
    #[arg(long, value_name = "ID", value_parser = str::parse::<InstanceId>)]
    instance_id: Option<InstanceId>,
    /// How long containers wait for files while this command is not running or not reaching the host, before they get errors.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = durations::parse_wait)]
    give_up_after: Duration,
}

#[derive(Debug, Serialize)]
struct Shared {
    host: String,
    folders: Vec<PathBuf>,
}

pub(crate) async fn run(
    args: &Args,
    surroundings: &Surroundings,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    let lookup = Lookup::new(surroundings);
    let shares: Vec<Share> =
        args.folders.iter().map(|text| share(text, surroundings)).collect::<anyhow::Result<_>>()?;
    let host = lookup.find(args.instance_id.as_ref(), &Progress::new(printer))?;
    let credentials = ClientCredentials::load(&lookup.layout.client_certs(&host.name))?;
    let client = Client::connect(&Endpoint::new(&host.address, host.port), &credentials, ANSWERS_WITHIN).await;
    let shared = Shared { host: host.name.clone(), folders: shares.iter().map(|share| share.path.clone()).collect() };
    let sharing = Sharing {
        client: client.with_context(|| format!("cannot reach {}", host.name))?,
        program: Program::running()?,
        command: ["-v", "share-agent"].map(str::to_owned).to_vec(),
        owner: owner(surroundings),
        shares,
        give_up_after: args.give_up_after,
        max_open: open_files()?,
    };
    let _working = interrupt.begin(Work {
        stopping: "the folders are being unmounted".to_owned(),
        leaves: format!("folders that are mounted on {} until --give-up-after", host.name),
        host: None,
    })?;
    let mut said = Ok(());
    let events = |event: Event| {
        match event {
        Event::Ready => {
            said = printer.result(&shared, || {
                let folders: Vec<String> = shared.folders.iter().map(|path| path.display().to_string()).collect();
                format!("{} on {}: live until Ctrl-C", folders.join(", "), shared.host)
            });
        }
        Event::Reconnecting { path, reason } => tracing::warn!("{}: {reason}; connecting again", path.display()),
        Event::AgentReplaced => printer.warn(
            "the container that shares the folders was removed, and is back; containers that use them must be started again",
        ),
        _ => {}
    }
    };
    sharing.serve(interrupt.stop().cancelled(), events).await?;
    said?;
    printer.info(format!("nothing is shared with {} any more", host.name));
    Ok(ExitCode::FAILURE)
}

/// A folder that may be shared, by its true path.
fn share(text: &str, surroundings: &Surroundings) -> anyhow::Result<Share> {
    let (path, read_only) = match text.strip_suffix(":ro") {
        Some(path) => (path, true),
        None => (text, false),
    };
    let path = fs::canonicalize(path).with_context(|| format!("cannot share {path}"))?;
    if !path.is_dir() {
        return Err(Error::new(format!("{} is no folder", path.display()))
            .hint("share the folder that it is in")
            .into());
    }
    if !SHAREABLE.iter().any(|root| path.starts_with(root) && path != Path::new(root)) {
        let roots = SHAREABLE.join(", ");
        return Err(Error::new(format!("{} can't be shared", path.display()))
            .hint(format!("folders below {roots} can"))
            .into());
    }
    let keys = fs::canonicalize(&surroundings.sdocker_home).unwrap_or_else(|_| surroundings.sdocker_home.clone());
    if path.starts_with(&keys) || keys.starts_with(&path) {
        let error = Error::new(format!("{} can't be shared: the keys to your hosts are in it", path.display()));
        return Err(error.hint("share folders beside them").into());
    }
    Ok(Share { path, read_only })
}

/// Whose folders they are, in words that another app's user understands.
fn owner(surroundings: &Surroundings) -> String {
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} of {}", surroundings.home.display(), machine.trim())
}

/// How many files containers may have open: as many as the system lets this process.
fn open_files() -> anyhow::Result<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(1 << 20).min(1 << 20);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum })
        .context("cannot raise the limit of open files to what the system lets it be")?;
    Ok(usize::try_from(most.saturating_sub(OWN_DESCRIPTORS))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args as CommandLine, Command};
    use clap::Parser as _;

    #[test]
    fn folders_are_shared_by_what_they_are() {
        let line = CommandLine::parse_from(["sdocker", "share", "x"]);
        assert!(matches!(line.command, Command::Share(_)));
        let home = tempfile::tempdir().expect("made");
        let mut surroundings = crate::environment::surroundings(&line.global).expect("read");
        surroundings.sdocker_home = home.path().join("home/.sdocker");
        for folder in ["home/work", "home/.sdocker/hosts"] {
            fs::create_dir_all(home.path().join(folder)).expect("made");
        }
        fs::write(home.path().join("home/f"), "").expect("written");
        std::os::unix::fs::symlink("work", home.path().join("home/link")).expect("linked");
        let at = |name: &str| home.path().join("home").join(name).display().to_string();
        let work = fs::canonicalize(at("work")).expect("there");
        assert_eq!(share(&at("work"), &surroundings).expect("shared"), Share { path: work.clone(), read_only: false });
        assert_eq!(share(&(at("link") + ":ro"), &surroundings).expect("shared"), Share { path: work, read_only: true });
        for (wrong, why) in [
            (at("none"), "cannot share"),
            (at("f"), "is no folder"),
            (at(""), "keys"),
            (at(".sdocker/hosts"), "keys"),
            ("/tmp".to_owned(), "can't be shared"),
            ("/usr/bin".to_owned(), "can't be shared"),
            ("/".to_owned(), "can't be shared"),
        ] {
            let error = share(&wrong, &surroundings).expect_err(&wrong).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
