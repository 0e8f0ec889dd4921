//! `sdocker configure`: everything that the SageMaker Python SDK's Local Mode needs on this side.

use std::path::PathBuf;

use localmode_config::{Request, Undone, apply as apply_plan, plan, undo, visible_on_host};
use serde::Serialize;
use studio_discovery::StudioEnvironment;

use crate::{
    commands::create_host,
    lookup::Lookup,
    printer::Printer,
    session::{self, Session},
    world::World,
};

/// Configure the SageMaker Python SDK's Local Mode: `~/.sagemaker/config.yaml` and the temporary folder that containers share.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Put back what was there before.
    #[arg(long, conflicts_with = "dry_run")]
    undo: bool,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    actions: Vec<String>,
    done: bool,
}
