//! The command line.

use clap::{Parser, Subcommand};

use crate::{commands, options::Global};

/// A real Docker host for SageMaker Studio.
///
/// `sdocker create-host` launches an EC2 instance in Studio's own subnet, mounts your EFS home on it at the same paths, runs a
/// Docker daemon there behind mutual TLS, makes a Docker context current and configures the SageMaker Python SDK's Local Mode.
/// The host ends itself when it is idle or too old.
#[derive(Debug, Parser)]
#[command(name = "sdocker", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 failed and resources may remain, 130 stopped by Ctrl-C and nothing remains."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a Docker host, and make it the current one.
    #[command(visible_alias = "create")]
    CreateHost(Box<commands::create_host::Args>),
    /// Get a Docker socket whose host is launched when it is needed.
    Up(commands::up::Args),
    /// Take the socket of `sdocker up` away.
    Down(commands::up::DownArgs),
    /// Answer the socket in the background: started by sdocker itself.
    #[command(hide = true)]
    Socket(commands::up::SocketArgs),
    /// Terminate the current host.
    TerminateCurrentHost(commands::terminate::CurrentArgs),
    /// Terminate hosts.
    #[command(visible_alias = "rm")]
    TerminateHost(commands::terminate::Args),
    /// List the hosts that this home knows.
    #[command(visible_alias = "ls")]
    ListHosts(commands::list_hosts::Args),
    /// Show the state of a host: health, use, and when it terminates itself.
    Status(commands::status::Args),
    /// Print a log of a host.
    Logs(commands::logs::Args),
    /// Make a host the current one.
    Use(commands::use_host::Args),
    /// Clean up after interrupted commands, and find hosts without a record.
    Recover(commands::recover::Args),
    /// Look at the Docker Swarm of your hosts, or change its nodes.
    #[command(subcommand_required = true)]
    Swarm(commands::swarm::Args),
    /// Print the environment variables for tools that ignore Docker contexts.
    Env(commands::env::Args),
    /// Show and change the settings of sdocker.conf.
    Config(commands::config::Args),
    /// Configure the SageMaker Python SDK's Local Mode.
    Configure(commands::configure::Args),
    /// Check that a host can be created, before any money is spent.
    Doctor(commands::doctor::Args),
    /// Install docker, compose and the SageMaker SDK if they are missing.
    Setup(commands::setup::Args),
    /// Keep a host running longer.
    Keep(commands::keep::Args),
    /// Make ports of a host available on localhost.
    Forward(commands::forward::Args),
    /// Share folders of this app with a host, live and at the same paths.
    Share(commands::share::Args),
    /// The other end of `share`, on the host.
    #[command(hide = true)]
    ShareAgent(commands::share_agent::Args),
    /// Serve files and ports in the background: started by sdocker itself.
    #[command(hide = true)]
    Link(commands::link::Args),
    /// Log the Docker CLI in to the account's Amazon ECR.
    EcrLogin(commands::ecr_login::Args),
    /// Print or register a script that installs sdocker at app start.
    LifecycleConfig(commands::lifecycle_config::Args),
    /// Print the smallest IAM policy that each command needs.
    Policy(commands::policy::Args),
    /// Finish what a process that was ended left of a host: started by sdocker itself.
    #[command(hide = true)]
    Finish(commands::finish::Args),
    /// Print a completion script for a shell.
    Completions(commands::manual::CompletionsArgs),
    /// Write the man pages into a folder.
    Manpages(commands::manual::ManpagesArgs),
}
