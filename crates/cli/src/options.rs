//! The options of every command.

use clap::{Args, ValueEnum as _};
use sdocker::CloudChoice;
use sdocker_console::Output;

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// How to print the result on standard output.
    #[arg(long, global = true, value_enum, default_value_t = Output::Human, value_name = "FORMAT")]
    pub(crate) output: Output,

    /// The AWS Region, instead of the app's own; AWS_REGION and REGION_NAME are used only outside Studio.
    #[arg(long, global = true, value_name = "REGION", value_parser = region)]
    pub(crate) region: Option<String>,

    /// Where hosts run: in AWS, or in the sandbox on this machine. Takes precedence over SDOCKER_CLOUD. The sandbox is the default on a
    /// machine without AWS.
    #[arg(long, global = true, value_enum, value_name = "CLOUD")]
    pub(crate) cloud: Option<CloudChoice>,

    /// Print more on standard error; repeat it for much more.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Print only results, warnings and errors.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// The code of a Region, which becomes a part of host names.
fn region(text: &str) -> Result<String, String> {
    let is_label = !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if is_label { Ok(text.to_owned()) } else { Err("expected a Region's code, such as eu-west-1".to_owned()) }
}

impl Global {
    /// Those that get another process to the same hosts.
    pub(crate) fn to_repeat(&self) -> Vec<String> {
        to_repeat(self.region.as_deref(), self.cloud)
    }
}

/// The options by which another process of this program gets to the hosts of a Region and a cloud.
pub(crate) fn to_repeat(region: Option<&str>, cloud: Option<CloudChoice>) -> Vec<String> {
    let cloud = cloud.and_then(|cloud| cloud.to_possible_value());
    let region = region.map(|region| ["--region".to_owned(), region.to_owned()]);
    let cloud = cloud.map(|cloud| ["--cloud".to_owned(), cloud.get_name().to_owned()]);
    region.into_iter().chain(cloud).flatten().collect()
}
