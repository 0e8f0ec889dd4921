//! `sdocker list-hosts`.

use std::collections::HashMap;

use host_provisioner::{Instance, InstanceFilter, InstanceId, RecordState};
use serde::Serialize;
use studio_discovery::Region;

use crate::{
    columns,
    lookup::{KnownHost, Lookup},
    printer::Printer,
    session,
    waiting::Waiting,
    world::World,
};

/// List the hosts that this home knows.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not ask the cloud: print what this home has recorded.
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
    /// EC2's name of the instance's state, `unknown` where it was not asked, `terminated` where EC2 knows it no more.
    state: String,
    created: Option<String>,
    expires: Option<String>,
}

#[derive(Debug, Serialize)]
struct List {
    hosts: Vec<Listed>,
}

pub(crate) async fn run(args: &Args, world: &World, printer: &Printer) -> anyhow::Result<()> {
    let lookup = Lookup::new(world);
    let hosts = lookup.hosts()?;
    let states = if args.offline || hosts.is_empty() {
        HashMap::new()
    } else {
        let _asking = Waiting::visibly(printer, "asking EC2 about the hosts");
        match states(&hosts, world, printer).await {
            Ok(states) => states,
            Err(error) => {
                printer.warn(format!("the states of the hosts are not known: {error:#}"));
                HashMap::new()
            }
        }
    };
    let asked = !states.is_empty();
    let listed: Vec<Listed> = hosts
        .into_iter()
        .enumerate()
        .map(|(position, host)| {
            let state = match states.get(&host.instance) {
                Some(instance) => instance.state.as_str(),
                None if asked => "terminated",
                None => "unknown",
            };
            let recorded = host.record.as_ref().map(|record| record.state);
            Listed {
                endpoint: format!("tcp://{}:{}", host.address, host.port),
                current: position == 0,
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
    printer.result(&list, || human(&list.hosts))
}

fn human(hosts: &[Listed]) -> String {
    if hosts.is_empty() {
        return "no hosts; `sdocker create-host --instance-type c5.xlarge` makes one".to_owned();
    }
    let header = ["", "INSTANCE", "TYPE", "STATE", "ENDPOINT", "CREATED", "EXPIRES"].into();
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
        ]
    });
    columns::align(Some(header), rows)
}

/// A time to the minute: `2026-01-31 12:00Z`.
fn minutes(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%MZ").to_string(),
        Err(_) => time.to_owned(),
    }
}

async fn states(
    hosts: &[KnownHost],
    world: &World,
    printer: &Printer,
) -> anyhow::Result<HashMap<InstanceId, Instance>> {
    let mut by_region: HashMap<Option<Region>, Vec<InstanceId>> = HashMap::new();
    for host in hosts {
        let region = host.record.as_ref().map(|record| record.region.clone());
        by_region.entry(region).or_default().push(host.instance.clone());
    }
    let mut states = HashMap::new();
    for (region, ids) in by_region {
        let clouds = session::clouds_for(world, region.as_ref(), printer).await?;
        let found = clouds.cloud.instances.list(&InstanceFilter { ids, ..InstanceFilter::default() }).await?;
        states.extend(found.into_iter().map(|instance| (instance.id.clone(), instance)));
    }
    Ok(states)
}
