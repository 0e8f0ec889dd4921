//! How long everything may take.

use std::time::Duration;

/// How long each kind of wait may take. One value, given by the program that embeds this crate; the default is the command line's.
///
/// Every bound is one of time, and a call in progress counts. A call that is cut off has an unknown outcome: nothing is concluded from it.
/// The bounds of whole pieces of work are there for the worst that a cloud can do, to answer now and then; one that never answers is
/// given up much earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// One call, with the tries that the cloud's own adapter makes.
    pub call: Duration,
    /// How long a launch is asked for again, with the same token, while it is throttled or its outcome is unknown.
    pub launch: Duration,
    /// How long after a create EC2 may still answer "not found" (EC2 API reference, "Eventual consistency": usually seconds).
    pub appears: Duration,
    /// How long an instance that is being stopped may take to be started again, until it runs.
    pub starts: Duration,
    /// How long an instance may go on running after its termination was accepted.
    pub ends: Duration,
    /// How long to wait for what is terminating to let go of its security groups; the network interface goes with the instance.
    pub releases: Duration,
    /// How long to keep trying to clean up while the cloud throttles, fails or does not answer, at each change.
    pub cleans_up: Duration,
    /// A whole creation, up to the instance's address; what it made is undone after that.
    pub creation: Duration,
    /// A whole undo of one creation.
    pub undo: Duration,
    /// The whole termination of one host.
    pub termination: Duration,
    /// The whole removal of what hosts share.
    pub purge: Duration,
    /// How long a wait goes on before the observer is told of it.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(60),
            launch: Duration::from_secs(90),
            appears: Duration::from_secs(60),
            starts: Duration::from_secs(300),
            ends: Duration::from_secs(60),
            releases: Duration::from_secs(300),
            cleans_up: Duration::from_secs(60),
            creation: Duration::from_secs(600),
            undo: Duration::from_secs(480),
            termination: Duration::from_secs(240),
            purge: Duration::from_secs(480),
            silence: Duration::from_secs(1),
        }
    }
}
