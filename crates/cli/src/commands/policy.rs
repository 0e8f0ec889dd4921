//! `sdocker policy`: the least IAM policy that each command needs.

mod forms;
mod scope;
mod statement;
mod statements;

use clap::ValueEnum;
use futures_util::future::try_join_all;
use serde_json::json;

pub(crate) use scope::Scope;
pub(crate) use statements::{Task, allowing};

use crate::{printer::Printer, session::Session, world::World};

/// Print the least IAM policy that each command needs, for the policy of an execution role.
///
/// Inside Studio it is narrowed to this domain's VPC, file system and user profile; elsewhere to what the options say.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tasks to allow, instead of all.
    #[arg(long = "for", value_enum, value_delimiter = ',', value_name = "TASKS")]
    tasks: Vec<Task>,
    /// For administrators who prepare the security groups and the mount target themselves (HostSGs in sdocker.conf): no changes to
    /// groups or mount targets at all.
    #[arg(long)]
    prepared: bool,
    /// For every user profile of the domain, instead of this one.
    #[arg(long)]
    domain_wide: bool,
    /// As a Terraform resource.
    #[arg(long, conflicts_with = "cloudformation")]
    terraform: bool,
    /// As a CloudFormation template.
    #[arg(long)]
    cloudformation: bool,
    /// Say why each statement is there.
    #[arg(long, conflicts_with_all = ["terraform", "cloudformation"])]
    explain: bool,
    /// Ask nobody: narrow by nothing but the options.
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    scope: scope::Options,
}

pub(crate) async fn run(args: &Args, world: &World, printer: &Printer) -> anyhow::Result<()> {
    let mut scope = Scope::default();
    if !args.offline {
        match discovered(world, printer).await {
            Ok(found) => scope = found,
            Err(error) => printer.warn(format!("not narrowed to a domain: {error:#}")),
        }
    }
    scope.apply(&args.scope);
    if args.domain_wide {
        scope.owner = None;
    }
    let tasks = if args.tasks.is_empty() { Task::value_variants().to_vec() } else { args.tasks.clone() };
    let statements = statements::statements(&tasks, args.prepared, &scope);
    let document = forms::document(&statements);
    if args.explain {
        let explained: Vec<_> = statements
            .iter()
            .map(|statement| json!({"statement": statement.to_json(), "why": statement.why}))
            .collect();
        return printer.result(&json!({"statements": explained}), || forms::explained(&statements));
    }
    let text = if args.terraform {
        forms::terraform(&document)
    } else if args.cloudformation {
        forms::cloudformation(&document)
    } else {
        serde_json::to_string_pretty(&document)?
    };
    printer.stdout(&text);
    Ok(())
}

async fn discovered(world: &World, printer: &Printer) -> anyhow::Result<Scope> {
    let session = Session::open(world, printer).await?;
    let environment = session.discover(printer).await?.environment;
    let scope = Scope::of(&environment);
    let mount_targets = &session.clouds.cloud.mount_targets;
    let found = try_join_all(environment.file_systems().iter().map(|id| mount_targets.list(id))).await;
    match found {
        Ok(targets) => Ok(scope.with_mount_targets(&targets.concat())),
        Err(error) => {
            printer.warn(format!("not narrowed to the mount targets: {error}"));
            Ok(scope)
        }
    }
}
