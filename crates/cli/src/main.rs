//! The `sdocker` command: arguments, output, signals and exit codes over the library.

mod args;
mod commands;
mod completion;
#[cfg(test)]
mod documented;
mod environment;
mod options;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::{CommandFactory as _, Parser as _};
use clap_complete::CompleteEnv;
use sdocker::{
    Surroundings,
    hangup::{self, Ended},
    permission::Caller,
};
use sdocker_console::{Interrupt, Printer, Waiting, failure, logging, successor};

use crate::{args::Command, completion::COMPLETE};

fn main() -> ExitCode {
    match CompleteEnv::with_factory(args::Args::command).var(COMPLETE).try_complete(std::env::args_os(), None) {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(answer) => return failure::usage(&answer, false),
    }
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(answer) => return failure::usage(&answer, wants_json()),
    };
    if matches!(args.command, Command::Finish(_) | Command::Link(_) | Command::Socket(_)) && !successor::detach() {
        return ExitCode::SUCCESS;
    }
    let (global, creates) = (args.global.clone(), matches!(args.command, Command::CreateHost(_)));
    let printer = Arc::new(Printer::new(global.output, global.quiet, environment::in_notebook()));
    let surroundings = environment::surroundings(&global);
    let mut interrupt = None;
    let outcome = match &surroundings {
        Ok(surroundings) => run(args, surroundings, &printer, &mut interrupt),
        Err(error) => match error.downcast_ref() {
            Some(answer) => return failure::usage(answer, printer.is_json()),
            None => Err(anyhow::anyhow!("{error:#}")),
        },
    };
    let code = match outcome {
        Ok(code) => code,
        // What only the settings could tell to be missing.
        Err(error) if error.is::<clap::Error>() => {
            return error.downcast_ref().map_or(ExitCode::FAILURE, |answer| failure::usage(answer, printer.is_json()));
        }
        Err(error) => {
            let caller = surroundings.as_ref().map(Caller::of);
            failure::report(&printer, &error, &caller.unwrap_or_default())
        }
    };
    let hung_up = interrupt.as_ref().is_some_and(Interrupt::hung_up);
    let code = interrupt.map_or(code, |interrupt| interrupt.final_code(code));
    let code = printer.final_code(code);
    if let Ok(surroundings) = &surroundings {
        // There is no terminal to say it on.
        if creates && hung_up && code != ExitCode::SUCCESS {
            let remains = code == ExitCode::from(3);
            hangup::remember(surroundings, if remains { Ended::Remaining } else { Ended::Undone });
        }
        logging::ended(surroundings, code);
    }
    code
}

/// Whether a command line that can't be understood asks for JSON nevertheless.
fn wants_json() -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    arguments.iter().any(|argument| argument == "--output=json")
        || arguments.windows(2).any(|pair| pair == ["--output", "json"])
}

fn run(
    args: args::Args,
    surroundings: &Surroundings,
    printer: &Arc<Printer>,
    heard: &mut Option<Interrupt>,
) -> anyhow::Result<ExitCode> {
    logging::start(surroundings, args.global.verbose);
    logging::command(surroundings, std::env::args_os().skip(1));
    let interrupt = Interrupt::start(printer.clone(), args.global.to_repeat(), logging::file(surroundings))?;
    *heard = Some(interrupt.clone());
    sdocker_console::speak_of(printer);
    // What runs for long by itself has nobody who waits for it.
    let in_background =
        matches!(args.command, Command::Finish(_) | Command::Link(_) | Command::Socket(_) | Command::ShareAgent(_));
    let _command = (!in_background).then(|| Waiting::silently(printer, "working"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let error = tokio::select! {
            biased;
            outcome = commands::run(args.command, surroundings, printer, &interrupt) => return outcome,
            error = interrupt.left() => error,
        };
        // The command was dropped here.
        tasks_end().await;
        Err(error)
    });
    // Reads of standard input and files can't be cancelled; nobody waits for them.
    runtime.shutdown_background();
    outcome
}

/// Waits a moment for the tasks that a dropped command left behind, such as the removal of a container from the host.
async fn tasks_end() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let ended = async {
        while metrics.num_alive_tasks() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // Some, such as idle connections, may have no end of their own.
    let _ = tokio::time::timeout(Duration::from_secs(1), ended).await;
}
