//! The command line.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::commands;

/// A real Docker host for SageMaker Studio.
///
/// `sdocker create-host` launches an EC2 instance in Studio's own subnet, mounts your EFS home on it at the same paths, runs a
/// Docker daemon there behind mutual TLS, makes a Docker context current and configures the SageMaker Python SDK's Local Mode.
/// The host ends itself when it is idle or too old.
#[derive(Debug, Parser)]
#[command(name = "sdocker", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 failed and resources may remain.")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// How to print the result on standard output.
    #[arg(long, global = true, value_enum, default_value_t = Output::Human, value_name = "FORMAT")]
    pub(crate) output: Output,

    /// The AWS Region, instead of the app's own; AWS_REGION and REGION_NAME count only outside Studio.
    #[arg(long, global = true, value_name = "REGION", value_parser = region)]
    pub(crate) region: Option<String>,

    /// Where hosts run: in AWS, or in the sandbox on this machine. The sandbox is the default on a machine without AWS.
    #[arg(long, global = true, env = "SDOCKER_CLOUD", value_enum, value_name = "CLOUD")]
    pub(crate) cloud: Option<CloudChoice>,

    /// Say more on standard error; twice: much more.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Say nothing but results, warnings and errors.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// The code of a Region, which becomes a part of host names.
fn region(text: &str) -> Result<String, String> {
    let is_label = !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if is_label { Ok(text.to_owned()) } else { Err("a Region's code is like eu-west-1".to_owned()) }
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Human,
    /// One JSON document.
    Json,
}

/// Where hosts run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum CloudChoice {
    /// Amazon EC2.
    Aws,
    /// Docker daemons on this machine.
    Sandbox,
}

impl From<CloudChoice> for sdocker::CloudChoice {
    fn from(choice: CloudChoice) -> Self {
        match choice {
            CloudChoice::Aws => Self::Aws,
            CloudChoice::Sandbox => Self::Sandbox,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a Docker host, and make it the current one.
    CreateHost(Box<commands::create_host::Args>),
    /// Terminate the current host.
    TerminateCurrentHost(commands::terminate::CurrentArgs),
    /// Terminate one host, or all.
    TerminateHost(commands::terminate::Args),
    /// List the hosts that this home knows.
    ListHosts(commands::list_hosts::Args),
    /// Show how a host is: state, health, use, and when it ends itself.
    Status(commands::status::Args),
    /// Make a host the current one.
    Use(commands::use_host::Args),
    /// Settle what interrupted commands left, and find hosts without a record.
    Recover(commands::recover::Args),
    /// Print the environment variables for tools that ignore Docker contexts.
    Env(commands::env::Args),
    /// Configure the SageMaker Python SDK's Local Mode.
    Configure(commands::configure::Args),
    /// Prove that a host could be created, before any money is spent.
    Doctor(commands::doctor::Args),
    /// Put docker, compose and the SageMaker SDK where they are missing.
    Setup(commands::setup::Args),
    /// Put off the end of a host.
    Keep(commands::keep::Args),
    /// Bring a port of a host to localhost.
    Forward(commands::forward::Args),
    /// Share folders of this app with a host, live and at the same paths.
    Share(commands::share::Args),
    /// The other end of `share`, on the host.
    #[command(hide = true)]
    ShareAgent(commands::share_agent::Args),
    /// Log the Docker CLI in to the account's Amazon ECR.
    EcrLogin(commands::ecr_login::Args),
    /// Print or register a script that installs sdocker at app start.
    LifecycleConfig(commands::lifecycle_config::Args),
    /// Print the least IAM policy that each command needs.
    Policy(commands::policy::Args),
    /// Finish what a process that was ended left of a host: started by sdocker itself.
    #[command(hide = true)]
    Finish(commands::finish::Args),
    /// Print a completion script for a shell.
    Completions(commands::manual::CompletionsArgs),
    /// Write the man pages into a folder.
    Manpages(commands::manual::ManpagesArgs),
}
