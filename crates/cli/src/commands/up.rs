//! `sdocker up` and `sdocker down`: a Docker socket whose host is launched when it is needed.

use std::{process::Command, sync::Arc};

use host_provisioner::InstanceType;
use sdocker::{
    Home, Surroundings,
    on_demand::{self, Wish},
};
use sdocker_console::{Interrupt, Printer, Progress, Work, shown};
use serde_json::json;

use super::{
    host_options::{Ends, Lends, Spot},
    link,
};

/// Start a Docker socket that launches a host when one is needed.
///
/// Nothing is launched yet. `docker run`, `docker pull`, `docker build` and `docker compose up` launch the host; `docker ps` and other commands
/// that only read do not. The host terminates itself when it is idle, and the next command that needs one launches another. Images, volumes and
/// stopped containers are lost with the host. With --on-idle stop they are kept: the next command that needs the host starts it again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The EC2 instance type.
    /// [default: InstanceType in sdocker.conf]
    #[arg(value_name = "TYPE", value_parser = str::parse::<InstanceType>)]
    type_of_instance: Option<InstanceType>,
    /// The same as TYPE, as in create-host.
    #[arg(long, value_name = "TYPE", value_parser = str::parse::<InstanceType>, conflicts_with = "type_of_instance")]
    instance_type: Option<InstanceType>,
    #[command(flatten)]
    ends: Ends,
    #[command(flatten)]
    spot: Spot,
    #[command(flatten)]
    lends: Lends,
}

impl Args {
    fn wish(&self, home: &Home) -> anyhow::Result<Wish> {
        let asked = self.type_of_instance.as_ref().or(self.instance_type.as_ref()).cloned();
        let instance_type = match asked {
            Some(asked) => asked,
            None => home.settings()?.instance_type.ok_or_else(|| {
                anyhow::anyhow!(
                    "name an instance type, as in `sdocker up c5.xlarge`, or set InstanceType in sdocker.conf"
                )
            })?,
        };
        Ok(Wish {
            instance_type: instance_type.to_string(),
            idle_timeout: self.ends.idle_timeout.map(|timeout| timeout.0.map_or_else(|| "never".to_owned(), seconds)),
            on_idle: self.ends.on_idle,
            max_lifetime: self.ends.max_lifetime.map(seconds),
            market: self.spot.market(),
            files: self.lends.files,
            shares: self.lends.shares.clone(),
        })
    }
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{}s", duration.as_secs())
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer) -> anyhow::Result<()> {
    let surroundings = home.surroundings();
    let wish = args.wish(home)?;
    let up = on_demand::up(surroundings, &wish, command(surroundings), &Progress::new(printer)).await?;
    let variable = format!("export DOCKER_HOST=unix://{}", up.socket.display());
    printer.result(&up, || shown::up(&up))?;
    if up.linked.is_none() {
        printer.hint(format!("clients that do not support contexts need `{variable}`"));
    }
    Ok(())
}

/// Remove the socket of `sdocker up`.
///
/// If a host is running, it keeps running, and its own context becomes current.
#[derive(Debug, clap::Args)]
pub(crate) struct DownArgs {}

pub(crate) async fn down(home: &Home, printer: &Printer) -> anyhow::Result<()> {
    let was_up = on_demand::down(home.surroundings(), &Progress::new(printer)).await?;
    let host = home.hosts()?.into_iter().find(|host| host.current).map(|host| host.name);
    printer.result(&json!({"was_up": was_up, "host": host}), || match &host {
        _ if !was_up => "there was no socket".to_owned(),
        Some(host) => format!("the socket is removed; {host} keeps running, and is the current host"),
        None => "the socket is removed".to_owned(),
    })?;
    if host.is_some() && was_up {
        printer.hint("`sdocker terminate-current-host` ends it; it ends itself when it is idle");
    }
    Ok(())
}

/// Answer the socket: started by sdocker itself.
#[derive(Debug, clap::Args)]
pub(crate) struct SocketArgs {}

pub(crate) async fn serve(surroundings: &Surroundings, interrupt: &Interrupt) -> anyhow::Result<()> {
    let means = link::means()?;
    let _working = interrupt.begin(Work {
        stopping: "the socket is being closed; a host that is being launched is undone".to_owned(),
        leaves: "a host that was being launched: `sdocker recover` settles it".to_owned(),
        hosts: Vec::new(),
    })?;
    let again = surroundings.clone();
    let link = Arc::new(move |host: &str| link::command(&again, host));
    on_demand::serve(surroundings, means, link, interrupt.stop().clone()).await?;
    Ok(())
}

/// Starts the process again, where a socket is wanted and nobody answers it. Nothing waits for it, and nothing fails for it.
pub(crate) fn again(surroundings: &Surroundings) {
    if on_demand::is_missing(surroundings)
        && let Err(error) = on_demand::again(surroundings, command(surroundings))
    {
        tracing::warn!("{error:#}");
    }
}

/// This program again, as the process.
fn command(surroundings: &Surroundings) -> Command {
    let mut command = link::background(surroundings, &["socket"]);
    // It is what these lead to.
    command.env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT");
    command
}
