//! What is asked of an examination.

use host_provisioner::InstanceType;
use studio_discovery::SubnetId;

/// What an examination mends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fix {
    /// Nothing.
    #[default]
    Nothing,
    /// What is kept here of hosts that are gone.
    Leftovers,
    /// That, and what Local Mode does not find: it is installed, as [`setup`](crate::setup) does.
    All,
}

/// What is examined.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The EC2 instance type to launch.
    pub instance_type: InstanceType,
    /// The subnet, instead of the first of the domain's that has a mount target.
    pub subnet: Option<SubnetId>,
    /// What to mend. Nothing in AWS is changed.
    pub fix: Fix,
    /// What becomes of what package managers print that mend something.
    pub programs_say: crate::setup::ProgramsSay,
}
