//! The `sdocker` command: arguments, output, signals and exit codes over the library.

mod args;
mod commands;
mod environment;
mod options;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser as _;
use sdocker::{Surroundings, permission::Caller};
use sdocker_console::{Interrupt, Printer, Waiting, failure, logging, successor};

use crate::args::Command;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(answer) => return usage(&answer),
    };
    if matches!(args.command, Command::Finish(_) | Command::Link(_)) && !successor::detach() {
        return ExitCode::SUCCESS;
    }
    let global = args.global.clone();
    let printer = Arc::new(Printer::new(global.output, global.quiet, environment::in_notebook()));
    let surroundings = environment::surroundings(&global);
    let outcome = match &surroundings {
        Ok(surroundings) => run(args, surroundings, &printer),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    };
    let code = match outcome {
        Ok(code) => code,
        // What only the settings could tell to be missing.
        Err(error) if error.is::<clap::Error>() => return error.downcast_ref().map_or(ExitCode::FAILURE, usage),
        Err(error) => {
            let caller = surroundings.map(|surroundings| Caller::of(&surroundings));
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

fn run(args: args::Args, surroundings: &Surroundings, printer: &Arc<Printer>) -> anyhow::Result<ExitCode> {
    logging::start(surroundings, args.global.verbose);
    let interrupt = Interrupt::start(printer.clone(), args.global.to_repeat(), logging::file(surroundings))?;
    sdocker_console::speak_of(printer);
    // What runs for long by itself has nobody who waits for it.
    let in_background = matches!(args.command, Command::Finish(_) | Command::Link(_) | Command::ShareAgent(_));
    let _command = (!in_background).then(|| Waiting::silently(printer, "working"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased;
            outcome = commands::run(args.command, surroundings, printer, &interrupt) => outcome,
            error = interrupt.left() => Err(error),
        }
    });
    // Reads of standard input and files can't be cancelled; nobody waits for them.
    runtime.shutdown_background();
    outcome
}
