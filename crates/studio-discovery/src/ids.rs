//! Identifiers as types, so that a subnet can't be passed where a security group belongs.

/// Declares newtypes around a string, one per kind of identifier. The caller's crate needs `serde` with `derive`.
#[macro_export]
macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps an identifier as AWS spelled it; nothing is checked or changed.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The identifier as AWS spells it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self::new(id)
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }
    )*};
}

identifiers! {
    /// An AWS Region's code, such as `eu-west-1`.
    Region;
    /// A twelve-digit AWS account id.
    AccountId;
    /// A SageMaker domain, `d-...`.
    DomainId;
    /// The name of a user profile in a SageMaker domain.
    UserProfileName;
    /// The name of a space in a SageMaker domain.
    SpaceName;
    /// A VPC, `vpc-...`.
    VpcId;
    /// A subnet, `subnet-...`.
    SubnetId;
    /// A security group, `sg-...`.
    SecurityGroupId;
    /// An EFS file system, `fs-...`.
    FileSystemId;
    /// An EFS access point, `fsap-...`.
    AccessPointId;
    /// An IAM role's ARN.
    RoleArn;
}
