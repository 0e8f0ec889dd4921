//! `sdocker list-hosts`.

use host_provisioner::RecordState;
use sdocker::{
    Home, Look,
    cost::{Cost, dollars},
    disk::Disk,
};
use sdocker_console::{Printer, Progress, align};
use serde::Serialize;

/// List the hosts of this home.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Make no AWS calls: print what is recorded in this home.
    #[arg(long)]
    offline: bool,
}

/// A host, as `--output json` prints it.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    instance_id: String,
    instance_type: String,
    endpoint: String,
    current: bool,
    /// EC2's name of the instance's state; `unknown` where it was not asked or can't be told, `terminated` where EC2 has forgotten it since.
    state: String,
    created: Option<String>,
    expires: Option<String>,
    /// Of a host that stops instead of being terminated.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<Disk>,
    /// By the price that was known when it was created; `null`: none was.
    cost: Option<Cost>,
}

#[derive(Debug, Serialize)]
struct List {
    hosts: Vec<Listed>,
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer) -> anyhow::Result<()> {
    let hosts = home.hosts()?;
    let mut looks: Vec<Option<Look>> = hosts.iter().map(|_| None).collect();
    if !args.offline {
        looks = home.look(&hosts, &Progress::new(printer)).await.into_iter().map(Some).collect();
    }
    let costs = home.costs(&hosts);
    let disks = home.disks(&hosts, &looks);
    let listed: Vec<Listed> = hosts
        .into_iter()
        .zip(looks)
        .zip(costs)
        .zip(disks)
        .map(|(((host, look), cost), disk)| {
            let state = match look {
                Some(Look::Alive(instance)) => instance.state.as_str(),
                Some(Look::Ended(instance)) => instance.map_or("terminated", |instance| instance.state.as_str()),
                Some(Look::Unknown(why)) => {
                    printer.warn(format!("{}: {why:#}", host.name));
                    "unknown"
                }
                None => "unknown",
            };
            let recorded = host.record.as_ref().map(|record| record.state);
            Listed {
                cost,
                disk,
                endpoint: format!("tcp://{}:{}", host.address, host.port),
                current: host.current,
                state: match recorded {
                    Some(RecordState::Creating | RecordState::Undoing) => format!("{state} (unfinished)"),
                    Some(RecordState::Terminating) => format!("{state} (terminating)"),
                    _ => state.to_owned(),
                },
                created: host.record.as_ref().map(|record| record.created.to_string()),
                expires: host.record.as_ref().map(|record| record.expires.to_string()),
                name: host.name,
                instance_id: host.instance.to_string(),
                instance_type: host.instance_type.to_string(),
            }
        })
        .collect();
    let list = List { hosts: listed };
    printer.result(&list, || human(&list.hosts))?;
    for host in list.hosts.iter().filter(|host| host.state == "stopped") {
        let Some(disk) = &host.disk else { continue };
        let (instance, words, date) = (&host.instance_id, disk.in_words(), minutes(&disk.decide_by));
        printer.info(format!(
            "{instance} is stopped: {words}; `sdocker use {instance}` starts it, `sdocker rm {instance}` deletes it; decide by {date}"
        ));
    }
    Ok(())
}

fn human(hosts: &[Listed]) -> String {
    if hosts.is_empty() {
        return "no hosts; `sdocker create c5.xlarge` creates one".to_owned();
    }
    let header = ["", "INSTANCE", "TYPE", "STATE", "ENDPOINT", "CREATED", "EXPIRES", "AN HOUR", "SO FAR"].into();
    let rows = hosts.iter().map(|host| {
        let time = |time: &Option<String>| time.as_deref().map_or_else(|| "-".to_owned(), minutes);
        [
            if host.current { "*" } else { "" }.to_owned(),
            host.instance_id.clone(),
            host.instance_type.clone(),
            host.state.clone(),
            host.endpoint.clone(),
            time(&host.created),
            time(&host.expires),
            host.cost.as_ref().map_or_else(|| "unknown".to_owned(), |cost| dollars(cost.hourly_usd.total())),
            host.cost.as_ref().map_or_else(|| "unknown".to_owned(), |cost| dollars(cost.so_far_usd)),
        ]
    });
    align(Some(header), rows)
}

/// A time to the minute: `2026-01-31 12:00Z`.
fn minutes(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%MZ").to_string(),
        Err(_) => time.to_owned(),
    }
}
