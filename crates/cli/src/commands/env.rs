//! `sdocker env`: environment variables for tools that ignore Docker contexts, such as docker-py.

use clap::ValueEnum;
use sdocker::Home;
use sdocker_console::{Printer, Progress};
use serde_json::json;

use crate::commands::one_host::OneHost;

/// Print the environment variables for tools that ignore Docker contexts.
///
/// In bash: `eval "$(sdocker env)"`. docker-py (`docker.from_env()`) and what is built on it read nothing else. Where a proxy is set,
/// NO_PROXY and no_proxy are printed as well, with the host added to what is in them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The syntax to print.
    #[arg(long, value_enum, default_value_t = Shell::Bash)]
    shell: Shell,
    #[command(flatten)]
    host: OneHost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Fish,
    Json,
}

pub(crate) fn run(args: &Args, home: &Home, printer: &Printer) -> anyhow::Result<()> {
    let host = home.host(args.host.selector(), &Progress::new(printer))?;
    let certs = home.client_certs(&host);
    match certs.join("key.pem").try_exists() {
        Ok(true) => {}
        Ok(false) => {
            printer.warn(format!("{} holds no client certificate: the host may not be ready yet", certs.display()));
        }
        Err(error) => printer.warn(format!("{} can't be looked at: {error}", certs.display())),
    }
    let variables = home.variables(&host);
    let shell = if printer.is_json() { Shell::Json } else { args.shell };
    if shell == Shell::Json {
        let object: serde_json::Map<_, _> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        printer.stdout(&serde_json::to_string_pretty(&object)?);
        return Ok(());
    }
    for (name, value) in variables {
        // Single quotes mean the same in POSIX shells and in fish, but for the backslash, which a path here does not hold.
        let value = shlex::try_quote(&value)?;
        match shell {
            Shell::Fish => printer.stdout(&format!("set -gx {name} {value};")),
            Shell::Bash | Shell::Json => printer.stdout(&format!("export {name}={value}")),
        }
    }
    Ok(())
}
