//! Identifiers of EC2 and EFS resources, and of hosts.

studio_discovery::identifiers! {
    /// An EC2 instance, `i-...`.
    InstanceId;
    /// An EC2 instance type, such as `c5.xlarge`.
    InstanceType;
    /// An Amazon Machine Image, `ami-...`.
    ImageId;
    /// An EFS mount target, `fsmt-...`.
    MountTargetId;
    /// A network interface, `eni-...`.
    NetworkInterfaceId;
    /// An Availability Zone's name, such as `eu-west-1a`.
    Zone;
    /// The idempotence token of a `RunInstances` call: calls with the same token launch at most one instance.
    ClientToken;
    /// sdocker's own name for a host, made before anything exists in the cloud; the value of the tag `sdocker:host`.
    HostId;
}

impl HostId {
    /// A new name that no other host has.
    pub fn generate() -> Self {
        Self::new(uuid::Uuid::new_v4().simple().to_string())
    }
}

impl ClientToken {
    /// A new token, never used before. EC2 takes up to 64 ASCII characters.
    pub fn generate() -> Self {
        Self::new(uuid::Uuid::new_v4().to_string())
    }
}
