//! Hosts that stop instead of being terminated: what their disks cost, and until when nobody has to decide about them.

use host_provisioner::{InstanceId, Record, RecordState};
use jiff::Timestamp;
use serde::Serialize;

use crate::{cost::dollars, durations::minute, history::History, layout::Layout};

/// The disk of a host that stops when it ends itself, which is paid for until somebody terminates the host.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Disk {
    /// Its size in GiB; `None` where it is not known.
    pub gib: Option<u32>,
    /// What a month of it costs, by the price that was known when the host was created; `None`: none was.
    pub usd_a_month: Option<f64>,
    /// When the host's maximum lifetime is over (RFC 3339). From then on it is for its user to decide what becomes of it.
    pub decide_by: String,
    /// Whether that time has come.
    pub is_due: bool,
}

impl Disk {
    /// The disk of a host that is stopped, or that stops; `None` for one that is terminated when it ends itself.
    pub(crate) fn of(record: &Record, is_stopped: bool, history: &History) -> Option<Self> {
        let stops = record.stops.clone().or_else(|| is_stopped.then(Default::default))?;
        let hourly = record.name().and_then(|name| history.hourly(&name));
        Some(Self {
            gib: stops.volume_gib,
            usd_a_month: hourly.map(|hourly| hourly.volume_a_month()),
            decide_by: record.expires.to_string(),
            is_due: record.expires <= Timestamp::now(),
        })
    }

    /// What it is, and what it costs.
    pub fn in_words(&self) -> String {
        let size = self.gib.map(|gib| format!(" of {gib} GiB")).unwrap_or_default();
        match self.usd_a_month {
            Some(0.0) => format!("its disk{size} costs nothing: it is on this machine"),
            Some(usd) => format!("its disk{size} costs {} a month", dollars(usd)),
            None => format!("its disk{size} is paid for, at a price that is not known"),
        }
    }
}

/// What can be done about a host that is stopped.
pub(crate) fn choices(instance: &InstanceId) -> String {
    format!(
        "`sdocker use {instance}` starts it, for half an hour at least, in which `sdocker keep` keeps it longer; `sdocker rm {instance}` terminates it \
         and deletes its disk"
    )
}

/// What every command says of hosts of this home whose maximum lifetime is over, and whose disks may be paid for nevertheless.
pub(crate) fn due(layout: &Layout, records: &[Record]) -> Vec<String> {
    let now = Timestamp::now();
    let is_due = |record: &&Record| {
        record.state == RecordState::Ready
            && record.stops.is_some()
            && record.expires <= now
            && record.instance.is_some()
    };
    let due: Vec<&Record> = records.iter().filter(is_due).collect();
    if due.is_empty() {
        return Vec::new();
    }
    let history = History::read(layout);
    let line = |record: &&Record| {
        let (name, instance) = (record.name()?, &record.instance.as_ref()?.id);
        let disk = Disk::of(record, false, &history)?.in_words();
        let since = minute(record.expires);
        Some(format!(
            "decide what becomes of {name}: its maximum lifetime was over at {since}, and {disk} while it is stopped; `sdocker rm {instance}` terminates \
             it and deletes its disk, `sdocker use {instance}` starts it for half an hour at least"
        ))
    };
    due.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_says_what_it_costs() {
        let disk = |gib, usd_a_month| Disk { gib, usd_a_month, decide_by: String::new(), is_due: false };
        assert_eq!(disk(Some(400), Some(35.2)).in_words(), "its disk of 400 GiB costs $35.20 a month");
        assert_eq!(disk(Some(400), None).in_words(), "its disk of 400 GiB is paid for, at a price that is not known");
        assert_eq!(disk(None, Some(0.0)).in_words(), "its disk costs nothing: it is on this machine");
    }
}
