//! The API calls that a plan comes to, for a dry run.

use serde::Serialize;
use serde_json::{Value, json};
use studio_discovery::Tag;

use super::{HostGroups, HostPlan, Placement};
use crate::{GroupPlan, Market, PlannedRule};

/// An API call that changes something, by AWS's names of the action and its parameters. Ids that only an earlier call will give
/// stand as `<...>`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedCall {
    /// The IAM action, such as `ec2:RunInstances`.
    pub action: &'static str,
    /// The parameters.
    pub parameters: Value,
}

impl HostPlan {
    /// The calls in order, when the first placement has capacity.
    pub fn calls(&self) -> Vec<PlannedCall> {
        let mut calls = Vec::new();
        let Some(placement) = self.placements.first() else { return calls };
        let mut groups = Vec::new();
        match &self.groups {
            HostGroups::Given(given) => groups.extend(given.iter().map(ToString::to_string)),
            HostGroups::Named { docker, nfs } => {
                for plan in std::iter::once(docker).chain(nfs) {
                    self.group_calls(plan, &mut calls);
                    groups.push(group_id(plan));
                }
                if let Some(nfs) = nfs {
                    for target in &placement.mount_targets {
                        calls.push(call(
                            "elasticfilesystem:ModifyMountTargetSecurityGroups",
                            json!({
                                "MountTargetId": target.id,
                                "SecurityGroups": ["<those it has>", group_id(nfs)],
                            }),
                        ));
                    }
                }
            }
        }
        calls.push(call("ec2:RunInstances", self.launch_parameters(placement, &groups)));
        calls
    }

    fn group_calls(&self, plan: &GroupPlan, calls: &mut Vec<PlannedCall>) {
        if plan.existing.is_none() {
            let tags = json!([{"ResourceType": "security-group", "Tags": tag_parameters(&self.group_tags())}]);
            calls.push(call(
                "ec2:CreateSecurityGroup",
                json!({
                    "GroupName": plan.name,
                    "Description": plan.description,
                    "VpcId": plan.vpc,
                    "TagSpecifications": tags,
                }),
            ));
        }
        if !plan.missing_ingress.is_empty() {
            let rules = permissions(plan, &plan.missing_ingress);
            calls.push(call(
                "ec2:AuthorizeSecurityGroupIngress",
                json!({"GroupId": group_id(plan), "IpPermissions": rules}),
            ));
        }
        if let (None, Some(egress)) = (&plan.existing, &plan.egress) {
            let rules = permissions(plan, egress);
            calls.push(call(
                "ec2:AuthorizeSecurityGroupEgress",
                json!({"GroupId": group_id(plan), "IpPermissions": rules}),
            ));
            calls.push(call(
                "ec2:RevokeSecurityGroupEgress",
                json!({
                    "GroupId": group_id(plan),
                    "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
                }),
            ));
        }
    }

    fn launch_parameters(&self, placement: &Placement, groups: &[String]) -> Value {
        let specifications: Vec<Value> = ["instance", "volume", "network-interface"]
            .into_iter()
            .map(|kind| json!({"ResourceType": kind, "Tags": tag_parameters(&self.tags)}))
            .collect();
        let mut parameters = json!({
            "ClientToken": "<made and recorded right before the call>",
            "ImageId": self.image.id,
            "InstanceType": self.instance_type,
            "MinCount": 1,
            "MaxCount": 1,
            "SubnetId": placement.subnet,
            "SecurityGroupIds": groups,
            "BlockDeviceMappings": [{
                "DeviceName": self.root_volume.device,
                "Ebs": {
                    "VolumeSize": self.root_volume.size_gib,
                    "VolumeType": "gp3",
                    "Encrypted": true,
                    "DeleteOnTermination": true,
                },
            }],
            "InstanceInitiatedShutdownBehavior": "terminate",
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
            "TagSpecifications": specifications,
            "UserData": format!("<{} bytes before base64>", placement.user_data.len()),
        });
        if let Some(key) = &self.key_name {
            parameters["KeyName"] = json!(key);
        }
        if let Some(arn) = &self.instance_profile_arn {
            parameters["IamInstanceProfile"] = json!({"Arn": arn});
        }
        if self.markets.first() == Some(&Market::Spot) {
            parameters["InstanceMarketOptions"] = json!({
                "MarketType": "spot",
                "SpotOptions": {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"},
            });
        }
        parameters
    }
}

fn call(action: &'static str, parameters: Value) -> PlannedCall {
    PlannedCall { action, parameters }
}

fn group_id(plan: &GroupPlan) -> String {
    plan.existing.as_ref().map_or_else(|| format!("<id of {}>", plan.name), ToString::to_string)
}

fn permissions(plan: &GroupPlan, rules: &[PlannedRule]) -> Vec<Value> {
    let permission = |rule: &PlannedRule| {
        let peer = rule.peer.as_ref().map_or_else(|| group_id(plan), ToString::to_string);
        json!({
            "IpProtocol": "tcp",
            "FromPort": rule.port,
            "ToPort": rule.port,
            "UserIdGroupPairs": [{"GroupId": peer}],
        })
    };
    rules.iter().map(permission).collect()
}

fn tag_parameters(tags: &[Tag]) -> Vec<Value> {
    tags.iter().map(|tag| json!({"Key": tag.key, "Value": tag.value})).collect()
}
