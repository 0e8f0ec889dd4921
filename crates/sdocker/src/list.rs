//! The hosts of a home, as a list.

use host_provisioner::RecordState;
use serde::Serialize;

use crate::{
    Observer, Result, Surroundings,
    cost::Cost,
    disk::Disk,
    history::History,
    lookup::{KnownHost, Lookup},
    places::{Look, Places},
};

/// The hosts of a home, as `list-hosts --output json` prints them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HostList {
    /// The hosts, the current one first.
    pub hosts: Vec<ListedHost>,
}

/// A host of a home.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ListedHost {
    /// `<instance-type>_<instance-id>`.
    pub name: String,
    /// Its instance.
    pub instance_id: String,
    /// The instance's type.
    pub instance_type: String,
    /// Where its daemon listens, as `DOCKER_HOST` takes it.
    pub endpoint: String,
    /// Whether the Docker CLI talks to it.
    pub current: bool,
    /// EC2's name of the instance's state; `unknown` where it was not asked or can't be told, `terminated` where EC2 has forgotten it since. With what
    /// its record says of work on it that is not finished.
    pub state: String,
    /// When it was created (RFC 3339).
    pub created: Option<String>,
    /// When it ends itself at the latest (RFC 3339).
    pub expires: Option<String>,
    /// The disk of a host that stops instead of being terminated, or is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    /// What it has cost and can cost, by the price that was known when it was created; `None`: none was.
    pub cost: Option<Cost>,
}

/// The hosts of this home; with `offline`, nobody is asked about them.
pub(crate) async fn list(offline: bool, surroundings: &Surroundings, observer: &dyn Observer) -> Result<HostList> {
    let lookup = Lookup::new(surroundings);
    let hosts = lookup.hosts()?;
    let mut looks: Vec<Option<Look>> = hosts.iter().map(|_| None).collect();
    if !offline {
        let _asking = (!hosts.is_empty()).then(|| observer.asking("asking EC2 about the hosts"));
        looks = Places::new(surroundings, observer).look(&hosts).await.into_iter().map(Some).collect();
    }
    let (history, now) = (History::read(&lookup.layout), jiff::Timestamp::now());
    let listed = |(host, look): (KnownHost, Option<Look>)| {
        let is_stopped = matches!(&look, Some(Look::Alive(instance)) if instance.state.is_stopped());
        let record = host.record.as_ref();
        let cost = record.zip(history.hourly(&host.name));
        ListedHost {
            endpoint: host.endpoint(),
            current: host.current,
            state: state(&host, look, observer),
            created: record.map(|record| record.created.to_string()),
            expires: record.map(|record| record.expires.to_string()),
            disk: record.and_then(|record| Disk::of(record, is_stopped, &history)),
            cost: cost.map(|(record, hourly)| hourly.cost(record.created, record.expires, now)),
            instance_id: host.instance.to_string(),
            instance_type: host.instance_type.to_string(),
            name: host.name,
        }
    };
    Ok(HostList { hosts: hosts.into_iter().zip(looks).map(listed).collect() })
}

/// What EC2 says of a host, and what its record says of work on it.
fn state(host: &KnownHost, look: Option<Look>, observer: &dyn Observer) -> String {
    let state = match look {
        Some(Look::Alive(instance)) => instance.state.as_str(),
        Some(Look::Ended(instance)) => instance.map_or("terminated", |instance| instance.state.as_str()),
        Some(Look::Unknown(why)) => {
            observer.warn(format!("{}: {why:#}", host.name));
            "unknown"
        }
        None => "unknown",
    };
    match host.record.as_ref().map(|record| record.state) {
        Some(RecordState::Creating | RecordState::Undoing) => format!("{state} (unfinished)"),
        Some(RecordState::Terminating) => format!("{state} (terminating)"),
        _ => state.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_json_is_what_programs_read() {
        let host = ListedHost {
            name: "c5.xlarge_i-1".to_owned(),
            instance_id: "i-1".to_owned(),
            instance_type: "c5.xlarge".to_owned(),
            endpoint: "tcp://10.0.0.1:1111".to_owned(),
            current: true,
            state: "running".to_owned(),
            created: None,
            expires: None,
            disk: None,
            cost: None,
        };
        assert_eq!(
            serde_json::to_string(&HostList { hosts: vec![host] }).expect("JSON"),
            r#"{"hosts":[{"name":"c5.xlarge_i-1","instance_id":"i-1","instance_type":"c5.xlarge","endpoint":"tcp://10.0.0.1:1111","current":true,"state":"running","created":null,"expires":null,"cost":null}]}"#
        );
    }
}
