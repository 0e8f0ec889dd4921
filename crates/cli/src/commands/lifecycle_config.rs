//! `sdocker lifecycle-config`: a script that installs sdocker when an app starts.

use host_provisioner::InstanceType;
use sdocker::{Surroundings, lifecycle_config::LifecycleConfig, setup::Source};
use sdocker_console::{Printer, Progress};
use serde_json::json;
use studio_discovery::AppKind;

/// Print or register a script that installs sdocker at app start.
///
/// The script installs the binary into ~/.local/bin if it is missing, and runs `sdocker setup` and `sdocker configure` in the background,
/// with their output in ~/.sdocker/lifecycle.log.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The type of app to write the script for, instead of this app's type.
    #[arg(long, value_enum, value_name = "TYPE")]
    app_type: Option<AppKind>,
    /// Where apps download the binary, an https:// or s3:// URL with its checksum. Without this, it must already be in ~/.local/bin.
    #[arg(long, value_name = "URL#sha256=SUM")]
    binary_from: Option<Source>,
    /// The SDK that `sdocker setup` installs if it is missing.
    #[arg(long, value_name = "REQUIREMENT", default_value = "sagemaker>=2.80.0")]
    sdk: String,
    /// Run `sdocker up` with this instance type when the app starts.
    #[arg(long, value_name = "TYPE", value_parser = str::parse::<InstanceType>)]
    up: Option<InstanceType>,
    /// Register the script with SageMaker under this name.
    #[arg(long, value_name = "NAME")]
    create: Option<String>,
}

pub(crate) async fn run(args: &Args, surroundings: &Surroundings, printer: &Printer) -> anyhow::Result<()> {
    let config =
        LifecycleConfig::new(args.app_type, args.binary_from.as_ref(), &args.sdk, args.up.as_ref(), surroundings)?;
    let Some(name) = &args.create else {
        printer.stdout(config.script());
        return Ok(());
    };
    let arn = config.register(name, surroundings, &Progress::new(printer)).await?;
    printer.result(&json!({"name": name, "arn": arn}), || arn.clone())?;
    printer.hint("attach it to the domain, the user profile or the space; it then runs whenever an app starts");
    Ok(())
}
