//! How much the account may run.

use async_trait::async_trait;

use crate::{CloudError, InstanceType, Market};

/// Reads of Service Quotas.
///
/// # Cancel safety
/// Every method of it only reads, and can be dropped at any time.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Quotas: Send + Sync {
    /// How many virtual CPUs of a class may run at once in this account and Region (`servicequotas:GetServiceQuota`).
    async fn vcpus(&self, class: QuotaClass, market: Market) -> Result<u64, CloudError>;

    /// How many security groups a network interface can have in this account and Region (`servicequotas:GetServiceQuota`).
    async fn groups_per_interface(&self) -> Result<u64, CloudError>;
}

/// The code of the quota "Security groups per network interface" of service `vpc` (Amazon VPC user guide, "Amazon VPC quotas").
pub const GROUPS_PER_INTERFACE: &str = "L-2AFB9258";

/// The instance types that share a quota of virtual CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuotaClass {
    /// A, C, D, H, I, M, R, T and Z.
    Standard,
    /// G and VT.
    Graphics,
    /// P.
    P,
}

impl QuotaClass {
    /// The class of a type by its family; `None` for families of other classes.
    pub fn of(instance_type: &InstanceType) -> Option<Self> {
        let name = instance_type.as_str();
        let family = &name[..name.find(|c: char| !c.is_ascii_lowercase())?];
        match family {
            "g" | "gr" | "vt" => Some(Self::Graphics),
            "p" => Some(Self::P),
            // Of letters that stand for other classes as well: Inf, HPC, Mac, DL, Trn.
            "inf" | "hpc" | "mac" | "dl" | "trn" => None,
            _ if family.starts_with(['a', 'c', 'd', 'h', 'i', 'm', 'r', 't', 'z']) => Some(Self::Standard),
            _ => None,
        }
    }

    /// What Service Quotas calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "Standard (A, C, D, H, I, M, R, T, Z)",
            Self::Graphics => "G and VT",
            Self::P => "P",
        }
    }

    /// The code of the quota (Service Quotas, service `ec2`: "Running On-Demand ... instances", "All ... Spot Instance Requests").
    pub fn code(self, market: Market) -> &'static str {
        match (self, market) {
            (Self::Standard, Market::OnDemand) => "L-1216C47A",
            (Self::Standard, Market::Spot) => "L-34B43A08",
            (Self::Graphics, Market::OnDemand) => "L-DB2E81BA",
            (Self::Graphics, Market::Spot) => "L-3819A6DF",
            (Self::P, Market::OnDemand) => "L-417A185B",
            (Self::P, Market::Spot) => "L-7212CCBC",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_counted_by_their_family() {
        let class = |name: &str| QuotaClass::of(&InstanceType::new(name));
        for name in ["c5.xlarge", "m7g.large", "t3.medium", "im4gn.large", "d3en.xlarge", "z1d.large"] {
            assert_eq!(class(name), Some(QuotaClass::Standard), "{name}");
        }
        assert_eq!((class("g4dn.xlarge"), class("p4d.24xlarge")), (Some(QuotaClass::Graphics), Some(QuotaClass::P)));
        for name in ["inf2.xlarge", "trn1.2xlarge", "x2idn.metal", "u-6tb1.metal", "hpc7a.96xlarge", "5.large", ""] {
            assert_eq!(class(name), None, "{name}");
        }
    }
}
