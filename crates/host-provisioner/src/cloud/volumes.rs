//! What volumes are encrypted with.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::CloudError;

/// Reads of the account's settings for EBS.
///
/// # Cancel safety
/// Every method of it only reads, and can be dropped at any time.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Volumes: Send + Sync {
    /// The key with which volumes are encrypted that name none, as hosts' do, in this account and Region (`ec2:GetEbsDefaultKmsKeyId`).
    async fn default_key(&self) -> Result<VolumeKey, CloudError>;
}

/// A key with which volumes are encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum VolumeKey {
    /// AWS's own key for EBS, which whoever may use EBS may use.
    Aws,
    /// A key of the account, by its ARN: its policy, or the caller's, must allow its use (EBS user guide, "Requirements for Amazon EBS encryption").
    Customer(String),
}

impl VolumeKey {
    /// What EC2 calls it: `alias/aws/ebs`, or the ARN of the alias, unless the account chose a key (EC2 API reference,
    /// `GetEbsDefaultKmsKeyId`).
    pub fn named(name: &str) -> Self {
        if name.ends_with("alias/aws/ebs") { Self::Aws } else { Self::Customer(name.to_owned()) }
    }
}

impl fmt::Display for VolumeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws => f.write_str("AWS's own key for EBS"),
            Self::Customer(arn) => f.write_str(arn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_own_key_is_known_by_its_alias() {
        assert_eq!(VolumeKey::named("alias/aws/ebs"), VolumeKey::Aws);
        assert_eq!(VolumeKey::named("arn:aws-cn:kms:cn-north-1:111122223333:alias/aws/ebs"), VolumeKey::Aws);
        let key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!(VolumeKey::named(key), VolumeKey::Customer(key.to_owned()));
    }
}
