//! The `sdocker` command: arguments, wiring and output over the libraries.

mod args;
mod client_files;
mod clouds;
mod columns;
mod commands;
mod config;
mod detours;
mod docker_cli;
mod durations;
mod failure;
mod hosts_conf;
mod interrupt;
mod layout;
mod logging;
mod lookup;
mod permission;
mod printer;
mod progress;
mod readiness;
mod session;
mod whole_file;
mod world;
mod writable;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let global = args.global.clone();
    let printer = printer::Printer::new(args.global.output, args.global.quiet, world::in_notebook());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(run(args, &printer));
            // Reads of standard input and files can't be cancelled; nobody waits for them.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            let caller = world::World::read(&global).map(|world| permission::Caller::of(&world));
            failure::report(&printer, &error, &caller.unwrap_or_default())
        }
    }
}

async fn run(args: args::Args, printer: &printer::Printer) -> anyhow::Result<ExitCode> {
    let world = world::World::read(&args.global)?;
    logging::start(&world, args.global.verbose);
    commands::run(args.command, &world, printer).await
}
