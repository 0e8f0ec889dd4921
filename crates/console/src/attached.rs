//! This process's terminal or pipes as those of a program on a host.

use std::{
    io::{self, Read as _, Write as _},
    process::ExitCode,
    thread,
    time::Duration,
};

use docker_remote::{HostInput, HostProcess, LogLine};
use tokio::{
    io::AsyncWriteExt as _,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::{Interrupt, Printer, Work, raw_terminal::RawTerminal};

/// How long a program has to end after the signal that ended this one.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// What a shell makes of a reader that is gone (SIGPIPE).
const NOBODY_READS: i64 = 128 + 13;

/// The terminal to run a program on: its rows and columns; `None` where input or output is none.
pub fn terminal() -> Option<(u16, u16)> {
    RawTerminal::is_there().then(|| RawTerminal::size().unwrap_or((24, 80)))
}

/// Gives a program this process's input, and takes its output, until it ends; returns its exit code. On a terminal it is sent every key, and the
/// terminal's size; else, at a signal, that signal, and ten seconds to end.
///
/// # Cancel safety
/// Not to be dropped at a signal, which it hears itself; dropped, the program is ended, in a task that goes on for as long as the runtime does.
///
/// # Errors
/// The connection broke; the program may run on, unless it was seen to end.
pub async fn attach(
    mut process: HostProcess,
    host: &str,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    let _quiet = printer.waits().pause();
    let _working = interrupt.begin(Work {
        stopping: format!("the program on {host} was told"),
        leaves: format!("the program on {host}, which may run on"),
        hosts: Vec::new(),
    })?;
    let terminal = RawTerminal::is_there().then(RawTerminal::enter).transpose()?;
    let input = process.take_input().map(pass_on);
    let passed = pass(&mut process, interrupt).await;
    // Its half of the connection goes with it.
    if let Some(input) = input {
        input.abort();
        let _ = input.await;
    }
    drop(terminal);
    let ended = process.end().await;
    let code = passed?;
    ended?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// Passes output on until the program has ended, or nobody reads it any more; its exit code, or what a shell makes of that.
async fn pass(process: &mut HostProcess, interrupt: &Interrupt) -> anyhow::Result<i64> {
    let mut has_output = true;
    let mut resized = signal(SignalKind::window_change())?;
    let mut stopped: Option<Instant> = None;
    loop {
        let given_up = async {
            match stopped {
                Some(stopped) => sleep_until(stopped + ENDS_WITHIN).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            next = next(process, &mut has_output) => match next? {
                Next::Said(piece) => {
                    if !write(piece).await? {
                        return Ok(NOBODY_READS);
                    }
                }
                Next::Ended(code) => return Ok(code),
            },
            _ = resized.recv() => {
                if let Some(size) = RawTerminal::size() {
                    process.resize(size).await;
                }
            }
            () = interrupt.stop().cancelled(), if stopped.is_none() => {
                stopped = Some(Instant::now());
                // One that has ended hears nothing.
                let _ = process.signal(interrupt.signal().unwrap_or("SIGTERM")).await;
            }
            () = given_up => {
                let _ = process.signal("SIGKILL").await;
                stopped = Some(Instant::now());
            }
        }
    }
}

/// What a program does next.
enum Next {
    Said(LogLine),
    Ended(i64),
}

/// Waits for it. A program may end much later than what it says, and never by itself.
async fn next(process: &mut HostProcess, has_output: &mut bool) -> anyhow::Result<Next> {
    if *has_output {
        match process.output().await? {
            Some(piece) => return Ok(Next::Said(piece)),
            None => *has_output = false,
        }
    }
    Ok(Next::Ended(process.exited().await?))
}

/// Writes a piece where it may block; `false` where nobody reads.
async fn write(piece: LogLine) -> anyhow::Result<bool> {
    let written = tokio::task::spawn_blocking(move || match piece {
        LogLine::Stdout(bytes) => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&bytes).and_then(|()| stdout.flush())
        }
        LogLine::Stderr(bytes) => io::stderr().lock().write_all(&bytes),
    });
    match written.await? {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Passes this process's input on to its end. A read can't be cancelled: its thread ends with the process.
fn pass_on(mut input: HostInput) -> JoinHandle<()> {
    let (sender, mut pieces) = mpsc::channel(1);
    let reading = thread::Builder::new().name("input".to_owned()).spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut piece = [0; 8 << 10];
        while let Ok(count @ 1..) = stdin.read(&mut piece) {
            if sender.blocking_send(piece[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    if let Err(error) = reading {
        tracing::warn!("input is not passed on: {error}");
    }
    tokio::spawn(async move {
        while let Some(piece) = pieces.recv().await {
            if input.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = input.shutdown().await;
    })
}
