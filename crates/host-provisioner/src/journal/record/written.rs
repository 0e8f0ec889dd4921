//! A record as it is written: version 1, which every version of sdocker reads.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use studio_discovery::{AccountId, DomainId, OwnerName, Region, VpcId};

use super::{Record, RecordState, RecordedInstance, Step, Stops};
use crate::{CloudName, HostId, InstanceType, Place, journal::RECORD_VERSION};

/// The fields by their names in the file, in their order.
#[derive(Serialize, Deserialize)]
pub(super) struct Written {
    version: u32,
    host: HostId,
    state: RecordState,
    created: Timestamp,
    expires: Timestamp,
    /// The first releases recorded the Region only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cloud: Option<CloudName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    region: Region,
    domain: DomainId,
    owner: OwnerName,
    vpc: VpcId,
    instance_type: InstanceType,
    daemon_port: u16,
    previous_context: Option<String>,
    resources: Vec<Step>,
    instance: Option<RecordedInstance>,
    failure: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stops: Option<Stops>,
}

impl From<Written> for Record {
    fn from(written: Written) -> Self {
        let cloud = written.cloud.unwrap_or_else(|| cloud_of(&written.vpc));
        Self {
            host: written.host,
            state: written.state,
            created: written.created,
            expires: written.expires,
            place: Place { cloud, account: written.account, region: written.region },
            domain: written.domain,
            owner: written.owner,
            vpc: written.vpc,
            instance_type: written.instance_type,
            daemon_port: written.daemon_port,
            previous_context: written.previous_context,
            steps: written.resources,
            instance: written.instance,
            failure: written.failure,
            stops: written.stops,
        }
    }
}

impl From<Record> for Written {
    fn from(record: Record) -> Self {
        Self {
            version: RECORD_VERSION,
            host: record.host,
            state: record.state,
            created: record.created,
            expires: record.expires,
            cloud: Some(record.place.cloud),
            account: record.place.account,
            region: record.place.region,
            domain: record.domain,
            owner: record.owner,
            vpc: record.vpc,
            instance_type: record.instance_type,
            daemon_port: record.daemon_port,
            previous_context: record.previous_context,
            resources: record.steps,
            instance: record.instance,
            failure: record.failure,
            stops: record.stops,
        }
    }
}

/// The cloud of a record that does not name it: the sandbox, where its VPC is one that AWS can't have. Ids there are hexadecimal (EC2 user
/// guide, "Resource IDs"), and the sandbox's VPC is called `vpc-studio`.
fn cloud_of(vpc: &VpcId) -> CloudName {
    let id = vpc.as_str().strip_prefix("vpc-").unwrap_or_default();
    let of_aws = !id.is_empty() && id.chars().all(|c| c.is_ascii_hexdigit());
    if of_aws { CloudName::Aws } else { CloudName::Sandbox }
}
