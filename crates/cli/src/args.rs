//! The command line.

use clap::{Parser, Subcommand};

use crate::{commands, options::Global};

/// A real Docker host for SageMaker Studio.
///
/// `sdocker create-host` launches an EC2 instance in Studio's own subnet, makes your files available on it at the same paths, runs a
/// Docker daemon there behind mutual TLS, makes its Docker context current and configures the SageMaker Python SDK's Local Mode.
/// The host terminates itself when it is idle or reaches its maximum lifetime.
#[derive(Debug, Parser)]
#[command(name = "sdocker", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 failed and resources may remain, 130 stopped by Ctrl-C and nothing was left behind."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(visible_alias = "create")]
    CreateHost(Box<commands::create_host::Args>),
    Up(commands::up::Args),
    Down(commands::up::DownArgs),
    #[command(hide = true)]
    Socket(commands::up::SocketArgs),
    TerminateCurrentHost(commands::terminate::CurrentArgs),
    #[command(visible_alias = "rm")]
    TerminateHost(commands::terminate::Args),
    #[command(visible_alias = "ls")]
    ListHosts(commands::list_hosts::Args),
    Status(commands::status::Args),
    Logs(commands::logs::Args),
    Shell(commands::shell::Args),
    Cp(commands::cp::Args),
    Use(commands::use_host::Args),
    Recover(commands::recover::Args),
    #[command(subcommand_required = true)]
    Swarm(commands::swarm::Args),
    Build(commands::build::Args),
    Env(commands::env::Args),
    Config(commands::config::Args),
    Configure(commands::configure::Args),
    Doctor(commands::doctor::Args),
    Setup(commands::setup::Args),
    Keep(commands::keep::Args),
    Forward(commands::forward::Args),
    Share(commands::share::Args),
    #[command(hide = true)]
    ShareAgent(commands::share_agent::Args),
    #[command(hide = true)]
    Link(commands::link::Args),
    EcrLogin(commands::ecr_login::Args),
    LifecycleConfig(commands::lifecycle_config::Args),
    Policy(commands::policy::Args),
    #[command(hide = true)]
    Finish(commands::finish::Args),
    Completions(commands::manual::CompletionsArgs),
    Manpages(commands::manual::ManpagesArgs),
}
