//! Instances that are Docker daemons on this machine.

use std::{io, net::IpAddr, num::NonZeroU32, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::{addresses::Addresses, disk::Disk, instance::SandboxInstance};
use crate::{
    CloudError, CloudErrorKind, Instance, InstanceFilter, InstanceId, InstanceState, Instances, LaunchSpec,
    fake::Account,
};

pub(super) struct SandboxInstances {
    account: Arc<Account<Disk>>,
    folder: PathBuf,
}

impl SandboxInstances {
    pub(super) fn new(account: Arc<Account<Disk>>, folder: PathBuf) -> Self {
        Self { account, folder }
    }

    fn instance(&self, id: &InstanceId) -> SandboxInstance {
        SandboxInstance::new(&self.folder, id)
    }

    /// Sees which hosts have ended by themselves.
    async fn notice_ended(&self) -> Result<(), CloudError> {
        let action = "ec2:DescribeInstances";
        let live = self.account.with(|state| {
            let known: Vec<_> =
                state.instances.iter().map(|record| self.folder.join(record.instance.id.as_str())).collect();
            // While the account is held, no launch is under way.
            Addresses::of_this_machine().free_all_but(&self.folder, &known)?;
            let runs = |state: InstanceState| !state.is_ended() && state != InstanceState::Stopped;
            let records = state.instances.iter().filter(|record| runs(record.instance.state));
            Ok::<Vec<InstanceId>, io::Error>(records.map(|record| record.instance.id.clone()).collect())
        })?;
        let live = live.map_err(|error| {
            CloudError::new(action, self.folder.display().to_string(), CloudErrorKind::Other)
                .with_message("SandboxError".to_owned(), error.to_string())
        })?;
        for id in live {
            let of_sandbox = self.instance(&id);
            if of_sandbox.is_alive() {
                continue;
            }
            if of_sandbox.is_stopped() {
                self.account.with(|state| {
                    for record in state.instances.iter_mut().filter(|record| record.instance.id == id) {
                        record.instance.state = InstanceState::Stopped;
                        record.instance.state_reason = Some(ENDED_ITSELF.to_owned());
                        record.instance.state_code = Some("Client.InstanceInitiatedShutdown".to_owned());
                    }
                })?;
                continue;
            }
            of_sandbox.stop().await.map_err(|error| failed(action, &id, &error))?;
            self.account.with(|state| {
                for record in state.instances.iter_mut().filter(|record| record.instance.id == id) {
                    record.instance.end();
                    record.instance.state_reason = Some(ENDED_ITSELF.to_owned());
                    record.instance.state_code = Some("Client.InstanceInitiatedShutdown".to_owned());
                }
            })?;
        }
        Ok(())
    }
}

/// Why a host is gone or stopped that nobody ended.
const ENDED_ITSELF: &str = "Client.InstanceInitiatedShutdown: it ended itself";

fn failed(action: &'static str, id: &InstanceId, error: &io::Error) -> CloudError {
    CloudError::new(action, id.as_str(), CloudErrorKind::Other)
        .with_message("SandboxError".to_owned(), error.to_string())
}

#[async_trait]
impl Instances for SandboxInstances {
    async fn run_several(&self, spec: &LaunchSpec, at_most: NonZeroU32) -> Result<Vec<Instance>, CloudError> {
        let action = "ec2:RunInstances";
        let instances = self.account.with(|state| {
            let mut instances = state.run(spec, at_most.get())?;
            for instance in &mut instances {
                let known =
                    matches!(instance.private_address, Some(IpAddr::V4(address)) if Addresses::contains(address));
                if !instance.state.is_ended() && !known {
                    let address = Addresses::of_this_machine().lease(&self.folder.join(instance.id.as_str()));
                    let address = address.map_err(|error| failed(action, &instance.id, &error))?;
                    instance.private_address = Some(IpAddr::V4(address));
                }
                for record in state.instances.iter_mut().filter(|record| record.instance.id == instance.id) {
                    record.instance.private_address = instance.private_address;
                    // Nothing here resolves names.
                    record.private_dns = None;
                }
            }
            Ok::<_, CloudError>(instances)
        })??;
        for instance in &instances {
            if let (Some(IpAddr::V4(address)), false) = (instance.private_address, instance.state.is_ended()) {
                let of_sandbox = self.instance(&instance.id);
                let started = of_sandbox.start(&instance.id, &instance.instance_type, address, &spec.bootstrap);
                started.map_err(|error| failed(action, &instance.id, &error))?;
            }
        }
        Ok(instances)
    }

    async fn describe(&self, id: &InstanceId) -> Result<Option<Instance>, CloudError> {
        let filter = InstanceFilter { ids: vec![id.clone()], ..InstanceFilter::default() };
        Ok(self.list(&filter).await?.pop())
    }

    async fn list(&self, filter: &InstanceFilter) -> Result<Vec<Instance>, CloudError> {
        self.notice_ended().await?;
        self.account.list(filter).await
    }

    async fn terminate_all(&self, ids: &[InstanceId]) -> Result<(), CloudError> {
        self.account.terminate_all(ids).await?;
        let stopped = ids.iter().map(|id| async {
            self.instance(id).stop().await.map_err(|error| failed("ec2:TerminateInstances", id, &error))
        });
        try_join_all(stopped).await.map(drop)
    }

    async fn start(&self, id: &InstanceId) -> Result<(), CloudError> {
        self.notice_ended().await?;
        let is_stopped = |state: &crate::fake::State| {
            state
                .instances
                .iter()
                .any(|known| known.instance.id == *id && known.instance.state == InstanceState::Stopped)
        };
        let was_stopped = self.account.with(|state| is_stopped(state))?;
        self.account.start(id).await?;
        if was_stopped {
            self.instance(id).start_again().map_err(|error| failed("ec2:StartInstances", id, &error))?;
        }
        Ok(())
    }
}
