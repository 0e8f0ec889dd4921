//! New hosts, as programs read them.

use jiff::Timestamp;
use serde::Serialize;

use super::{FailedHost, NewHost, NewHosts};
use crate::{
    Observer, Surroundings, clients,
    cost::Cost,
    detours::{self, Client},
};

/// A new host, as `create-host --output json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Created {
    /// `<instance-type>_<instance-id>`.
    pub name: String,
    /// Its instance.
    pub instance_id: String,
    /// The instance's type.
    pub instance_type: String,
    /// Where its daemon listens, as `DOCKER_HOST` takes it.
    pub endpoint: String,
    /// Its Docker context; `None` while the host is not ready.
    pub context: Option<String>,
    /// Docker's version; `None` while the host is not ready.
    pub docker_version: Option<String>,
    /// The folder of the client's certificates.
    pub cert_path: String,
    /// When it was created (RFC 3339).
    pub created: String,
    /// When it ends itself at the latest (RFC 3339).
    pub expires: String,
    /// How long it may be without use before it ends itself, in seconds; `None`: idleness does not end it.
    pub idle_timeout_seconds: Option<u64>,
    /// What it costs; `None` where that was not found out meanwhile.
    pub cost: Option<Cost>,
    /// What is not as it should be, and did not keep the host from coming up.
    pub warnings: Vec<String>,
    /// What was done beside the host.
    pub notes: Vec<String>,
}

/// Hosts that were created together, as `create-host --count --output json` prints them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AllCreated {
    /// Those that were; the first is the current one.
    pub hosts: Vec<Created>,
    /// Those that were not, where enough others were.
    pub failed: Vec<NotCreated>,
    /// What is not as it should be, and did not keep the hosts from coming up.
    pub warnings: Vec<String>,
    /// What was done beside the hosts.
    pub notes: Vec<String>,
}

/// A host that was not created, while enough others were.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NotCreated {
    /// Which one, from 1.
    pub number: usize,
    /// Why.
    pub error: String,
}

impl NewHost {
    /// What there is to say of it by now.
    pub fn created(&self) -> Created {
        let name = self.record.name().unwrap_or_default();
        let mut warnings = self.warnings.clone();
        warnings.extend(self.refused.iter().map(|refused| refused.what.clone()));
        warnings.extend(self.obstacles.iter().map(|obstacle| obstacle.what.clone()));
        let docker_version = self.answered.as_ref().map(|answered| answered.version().to_owned());
        Created {
            instance_id: self.record.instance.as_ref().map(|instance| instance.id.to_string()).unwrap_or_default(),
            instance_type: self.record.instance_type.to_string(),
            endpoint: self.endpoint.to_string(),
            context: docker_version.as_ref().map(|_| name.clone()),
            docker_version,
            cert_path: self.certs.display().to_string(),
            created: self.record.created.to_string(),
            expires: self.record.expires.to_string(),
            idle_timeout_seconds: self.idle_timeout.map(|timeout| timeout.as_secs()),
            cost: self.hourly.map(|hourly| hourly.cost(self.record.created, self.record.expires, Timestamp::now())),
            warnings,
            notes: self.notes.clone(),
            name,
        }
    }
}

impl NewHost {
    /// Tells the observer which clients do not get to it once it is the current host. Returns whether the Docker CLI does.
    pub fn warn_of_detours(&self, surroundings: &Surroundings, observer: &dyn Observer) -> bool {
        if let Some(refused) = &self.refused {
            observer.warn(refused.what.clone());
            observer.hint(refused.fix.clone());
        }
        detours::warn(&self.blocked, surroundings.in_notebook, observer);
        clients::warn(&self.obstacles, observer);
        self.answered.is_some()
            && self.refused.is_none()
            && !self.obstacles.iter().any(|obstacle| obstacle.misleads_cli)
            && self.blocked.iter().all(|blocked| blocked.client != Client::Cli)
    }
}

impl NewHosts {
    /// What there is to say of them by now.
    pub fn created(&self) -> AllCreated {
        let failed = |failed: &FailedHost| NotCreated { number: failed.number, error: format!("{:#}", failed.error) };
        AllCreated {
            hosts: self.hosts.iter().map(NewHost::created).collect(),
            failed: self.failed.iter().map(failed).collect(),
            warnings: self.warnings.clone(),
            notes: self.notes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs read it: the names of its fields stay.
    #[test]
    fn its_json_is_what_programs_read() {
        let host = Created {
            name: "c5.xlarge_i-1".to_owned(),
            instance_id: "i-1".to_owned(),
            instance_type: "c5.xlarge".to_owned(),
            endpoint: "tcp://10.0.0.1:1111".to_owned(),
            context: None,
            docker_version: None,
            cert_path: "/certs".to_owned(),
            created: "2026-01-01T00:00:00Z".to_owned(),
            expires: "2026-01-01T12:00:00Z".to_owned(),
            idle_timeout_seconds: Some(3600),
            cost: None,
            warnings: vec!["w".to_owned()],
            notes: vec!["n".to_owned()],
        };
        let failed = vec![NotCreated { number: 2, error: "no capacity".to_owned() }];
        let all = AllCreated { hosts: vec![host], failed, warnings: Vec::new(), notes: Vec::new() };
        let json = r#"{"hosts":[{"name":"c5.xlarge_i-1","instance_id":"i-1","instance_type":"c5.xlarge","endpoint":"tcp://10.0.0.1:1111","context":null,"docker_version":null,"cert_path":"/certs","created":"2026-01-01T00:00:00Z","expires":"2026-01-01T12:00:00Z","idle_timeout_seconds":3600,"cost":null,"warnings":["w"],"notes":["n"]}],"failed":[{"number":2,"error":"no capacity"}],"warnings":[],"notes":[]}"#;
        assert_eq!(serde_json::to_string(&all).expect("JSON"), json);
    }
}
