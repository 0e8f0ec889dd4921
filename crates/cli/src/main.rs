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
mod places;
mod printer;
mod progress;
mod readiness;
mod session;
mod successor;
mod terminal;
mod waiting;
mod world;
mod writable;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser as _;

use crate::{args::Command, interrupt::Interrupt, printer::Printer, waiting::Waiting, world::World};

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(answer) => return usage(&answer),
    };
    if matches!(args.command, Command::Finish(_)) && !successor::detach() {
        return ExitCode::SUCCESS;
    }
    let global = args.global.clone();
    let printer = Arc::new(Printer::new(global.output, global.quiet, world::in_notebook()));
    let world = World::read(&global);
    let outcome = match &world {
        Ok(world) => run(args, world, &printer),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    };
    let code = match outcome {
        Ok(code) => code,
        Err(error) => {
            let caller = world.map(|world| permission::Caller::of(&world));
            failure::report(&printer, &error, &caller.unwrap_or_default())
        }
    };
    printer.final_code(code)
}

/// Help and version, or what is wrong with the command line.
fn usage(answer: &clap::Error) -> ExitCode {
    let printed = answer.print().and_then(|()| io::stdout().flush());
    match (answer.exit_code(), printed) {
        (0, Err(_)) => ExitCode::FAILURE,
        (code, _) => ExitCode::from(u8::try_from(code).unwrap_or(2)),
    }
}

fn run(args: args::Args, world: &World, printer: &Arc<Printer>) -> anyhow::Result<ExitCode> {
    logging::start(world, args.global.verbose);
    let interrupt = Interrupt::start(printer.clone(), args.global, logging::file(world))?;
    waiting::speak_of(printer);
    let _command = Waiting::silently(printer, "working");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased;
            outcome = commands::run(args.command, world, printer, &interrupt) => outcome,
            error = interrupt.left() => Err(error),
        }
    });
    // Reads of standard input and files can't be cancelled; nobody waits for them.
    runtime.shutdown_background();
    outcome
}
