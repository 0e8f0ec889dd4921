//! Dry runs.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_ec2::{
    error::{ProvideErrorMetadata, SdkError},
    types::ResourceType,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{Ec2, rules, tag_specification};
use crate::{CloudError, DryRun, DryRuns};

#[async_trait]
impl DryRuns for Ec2 {
    async fn dry_run(&self, call: &DryRun) -> Result<(), CloudError> {
        match call {
            DryRun::Launch(spec) => {
                let resource = format!("{} in {}", spec.instance_type, spec.subnet);
                self.told(call, &resource, self.launch(spec).dry_run(true).send().await)
            }
            DryRun::CreateGroup { vpc, name, description, tags } => {
                let tags = tag_specification(ResourceType::SecurityGroup, tags).map(|tags| vec![tags]);
                let request = self.client.create_security_group().group_name(name).description(description);
                let request = request.vpc_id(vpc.as_str()).set_tag_specifications(tags).dry_run(true);
                self.told(call, &format!("{name} in {vpc}"), request.send().await)
            }
            DryRun::AuthorizeIngress { group, rules } => {
                let request = self.client.authorize_security_group_ingress().group_id(group.as_str());
                let request =
                    request.set_ip_permissions(Some(rules::permissions(rules, &HashMap::default()))).dry_run(true);
                self.told(call, group.as_str(), request.send().await)
            }
            DryRun::SetInterfaceGroups { interface, groups } => {
                let groups = groups.iter().map(ToString::to_string).collect();
                let request = self.client.modify_network_interface_attribute().network_interface_id(interface.as_str());
                let request = request.set_groups(Some(groups)).dry_run(true);
                self.told(call, interface.as_str(), request.send().await)
            }
            DryRun::Terminate(instance) => {
                let request = self.client.terminate_instances().instance_ids(instance.as_str()).dry_run(true);
                self.told(call, instance.as_str(), request.send().await)
            }
        }
    }
}

impl Ec2 {
    fn told<T, E>(
        &self,
        call: &DryRun,
        resource: &str,
        answer: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<(), CloudError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match answer {
            // EC2's answer to a dry run that would have succeeded (EC2 API reference, "Error codes").
            Err(error) if error.code() == Some("DryRunOperation") => Ok(()),
            Err(error) => Err(self.classifier.classify(call.action(), resource, error)),
            Ok(_) => Ok(()),
        }
    }
}
