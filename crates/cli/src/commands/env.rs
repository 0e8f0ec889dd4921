//! `sdocker env`: environment variables for tools that ignore Docker contexts, such as docker-py.

use clap::ValueEnum;
use sdocker::{Home, on_demand};
use sdocker_console::{
    Printer, Progress,
    shown::{self, Syntax},
};
use serde_json::json;

use crate::commands::one_host::OneHost;

/// Print the environment variables for tools that ignore Docker contexts.
///
/// In bash: `eval "$(sdocker env)"`, and `eval "$(sdocker env --unset)"` to undo it. docker-py (`docker.from_env()`) before 7.2 reads nothing else.
/// If a proxy is set, NO_PROXY and no_proxy are printed as well, with the host added to them.
///
/// For every notebook: `sdocker env --shell ipython > ~/.ipython/profile_default/startup/50-sdocker.py`. Kernels then start with the variables of
/// the current host, and `%sdocker_env` reloads them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The syntax to print.
    #[arg(long, value_enum, default_value_t = Shell::Bash)]
    shell: Shell,
    /// Print commands that unset these variables, so that programs use Docker's current context again.
    #[arg(long, conflicts_with_all = ["host", "instance_id"])]
    unset: bool,
    #[command(flatten)]
    host: OneHost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Sh,
    Fish,
    Json,
    /// A startup file for notebook kernels.
    Ipython,
}

/// What asks for the variables when a kernel starts: a host may come later than the file.
const STARTUP: &str = include_str!("env/startup.py");

pub(crate) fn run(args: &Args, home: &Home, printer: &Printer) -> anyhow::Result<()> {
    let shell = if printer.is_json() { Shell::Json } else { args.shell };
    if shell == Shell::Ipython && !args.unset {
        printer.stdout(STARTUP.trim_end());
        return Ok(());
    }
    if args.unset {
        return print(home.variables_without_hosts()?, shell, printer);
    }
    if let Some(variables) = on_demand::variables(home.surroundings()).filter(|_| args.host.selector().is_none()) {
        return print(variables, shell, printer);
    }
    let host = home.host(args.host.selector(), &Progress::new(printer))?;
    let certs = home.client_certs(&host);
    match certs.join("key.pem").try_exists() {
        Ok(true) => {}
        Ok(false) => {
            printer.warn(format!("{} holds no client certificate: the host may not be ready yet", certs.display()));
        }
        Err(error) => printer.warn(format!("{} can't be looked at: {error}", certs.display())),
    }
    let variables = home.variables(&host).into_iter().map(|(name, value)| (name, Some(value)));
    print(variables.collect(), shell, printer)
}

/// Prints the variables; one without a value is to go.
fn print(variables: Vec<(&'static str, Option<String>)>, shell: Shell, printer: &Printer) -> anyhow::Result<()> {
    if shell == Shell::Json {
        let object: serde_json::Map<_, _> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        printer.stdout(&serde_json::to_string_pretty(&object)?);
        return Ok(());
    }
    let syntax = if shell == Shell::Fish { Syntax::Fish } else { Syntax::Posix };
    printer.stdout(&shown::variables(&variables, syntax)?.join("\n"));
    Ok(())
}
