//! Which Region and whose account it is.

use async_trait::async_trait;
use aws_sdk_ec2::types::{Filter, SecurityGroup};
use studio_discovery::{Region, VpcId};

use super::{Ec2, filter};
use crate::{CloudError, CloudName, Place, Seen, Territory};

#[async_trait]
impl Territory for Ec2 {
    fn place(&self) -> Place {
        Place { cloud: CloudName::Aws, account: None, region: Region::new(self.classifier.region()) }
    }

    async fn seen(&self, vpc: &VpcId) -> Result<Seen, CloudError> {
        let own = self.groups(filter("group-name", ["default"]), vpc).await?;
        let account = own.iter().find_map(|group| group.owner_id()?.parse().ok());
        if account.is_some() {
            return Ok(Seen { account, sees_vpc: own.iter().any(|group| group.vpc_id() == Some(vpc.as_str())) });
        }
        // An account without a VPC of its own, whose domain is in a VPC that another one shares with it.
        let sees_vpc = !self.groups(filter("vpc-id", [vpc.as_str()]), vpc).await?.is_empty();
        Ok(Seen { account: None, sees_vpc })
    }
}

impl Ec2 {
    async fn groups(&self, wanted: Filter, about: &VpcId) -> Result<Vec<SecurityGroup>, CloudError> {
        let mut pages = self.client.describe_security_groups().filters(wanted).into_paginator().items().send();
        let mut groups = Vec::new();
        while let Some(found) = pages.next().await {
            groups.push(
                found.map_err(|error| self.classifier.classify("ec2:DescribeSecurityGroups", about.as_str(), error))?,
            );
        }
        Ok(groups)
    }
}
