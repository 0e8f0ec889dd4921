//! Ctrl-C and SIGTERM: the first asks to stop and clean up, the second gives up at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels the token at the first signal. At the second the process ends with exit code 3: what it made may remain.
pub(crate) fn watch() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        let mut signals = 0;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            signals += 1;
            if signals > 1 {
                eprint_line("stopped at once: resources may remain; `sdocker recover` finds them");
                std::process::exit(3);
            }
            eprint_line("stopping: what was made is being undone (once more to stop at once)");
            told.cancel();
        }
    });
    Ok(stop)
}

/// Cancels the token at the first signal, for commands that leave nothing behind.
pub(crate) fn quietly() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        told.cancel();
    });
    Ok(stop)
}

/// A line on standard error from outside the command, which owns the printer.
fn eprint_line(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
