//! What a command waits for: a spinner on a terminal; elsewhere a line, as soon as there has been silence for a while.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{plain::plain, printer::Printer};

/// Silence after which it is said what is waited for; a line about the same comes again after each of the next.
const SILENCE: [Duration; 4] =
    [Duration::from_millis(1500), Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(60)];

/// How long something is waited for before it is named.
const SETTLED: Duration = Duration::from_millis(500);

/// How often it is looked whether there is something to say.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What is waited for right now, and since when nothing has been said.
#[derive(Debug)]
pub(crate) struct Waits(Mutex<State>);

#[derive(Debug)]
struct State {
    last_number: u64,
    /// The newest last.
    current: Vec<Wait>,
    /// When something was printed last.
    heard: Instant,
    /// The wait that was named last, and how often in a row.
    named: (u64, usize),
    /// Nothing more is to be said: the result is there.
    over: bool,
    /// Nothing is to be said now: the user is asked something.
    paused: bool,
}

#[derive(Debug)]
struct Wait {
    number: u64,
    what: String,
    since: Instant,
    has_bar: bool,
}

impl Waits {
    pub(crate) fn new() -> Self {
        let state = State {
            last_number: 0,
            current: Vec::new(),
            heard: Instant::now(),
            named: (0, 0),
            over: false,
            paused: false,
        };
        Self(Mutex::new(state))
    }

    /// Something was printed.
    pub(crate) fn heard(&self) {
        self.state().heard = Instant::now();
    }

    /// The result was printed: what goes on after it, such as a forward, is no wait.
    pub(crate) fn end(&self) {
        self.state().over = true;
    }

    /// Nothing is said until the result is dropped.
    pub(crate) fn pause(&self) -> Pause<'_> {
        self.state().paused = true;
        Pause(self)
    }

    /// The line to print by now, if any.
    fn due(&self, now: Instant) -> Option<String> {
        let mut state = self.state();
        if state.over || state.paused || state.current.iter().any(|wait| wait.has_bar) {
            return None;
        }
        let (number, age, line) = {
            let wait = state.current.last()?;
            let age = now.saturating_duration_since(wait.since);
            (wait.number, age, format!("… {} ({} s)", wait.what, age.as_secs()))
        };
        let times = if state.named.0 == number { state.named.1 } else { 0 };
        let silence = now.saturating_duration_since(state.heard);
        if age < SETTLED || silence < SILENCE[times.min(SILENCE.len() - 1)] {
            return None;
        }
        state.named = (number, times + 1);
        Some(line)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing is said meanwhile.
pub(crate) struct Pause<'w>(&'w Waits);

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.state().paused = false;
    }
}

/// Something that is waited for until this is dropped.
#[derive(Debug)]
pub struct Waiting<'p> {
    waits: &'p Waits,
    number: u64,
    since: Instant,
    bar: Option<ProgressBar>,
}

impl<'p> Waiting<'p> {
    /// Waits for this from now on, with a spinner where the printer has bars.
    pub fn visibly(printer: &'p Printer, what: &str) -> Self {
        let bar = printer.bars().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg} {elapsed:.dim}") {
                bar.set_style(style);
            }
            bar.set_message(plain(what).into_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self::new(printer, what, bar)
    }

    /// Waits for this from now on, without a spinner: named only where nothing else is waited for.
    pub fn silently(printer: &'p Printer, what: &str) -> Self {
        Self::new(printer, what, None)
    }

    fn new(printer: &'p Printer, what: &str, bar: Option<ProgressBar>) -> Self {
        let waits = printer.waits();
        let since = Instant::now();
        let mut state = waits.state();
        state.last_number += 1;
        let number = state.last_number;
        state.current.push(Wait { number, what: what.to_owned(), since, has_bar: bar.is_some() });
        drop(state);
        Self { waits, number, since, bar }
    }

    /// How long it has been waited.
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let number = self.number;
        self.waits.state().current.retain(|wait| wait.number != number);
    }
}

/// Says what is waited for, as long as the printer is there: from a thread of its own, because what is waited for may be a call that
/// blocks.
pub fn speak_of(printer: &Arc<Printer>) {
    let printer: Weak<Printer> = Arc::downgrade(printer);
    // Without the thread nothing is said; the work is the same.
    let _ = std::thread::Builder::new().name("waiting".to_owned()).spawn(move || {
        while let Some(printer) = printer.upgrade() {
            if let Some(line) = printer.waits().due(Instant::now()) {
                printer.info(console::style(line).for_stderr().dim());
            }
            drop(printer);
            std::thread::sleep(LOOK_EVERY);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Output;

    #[test]
    fn silence_is_broken_within_two_seconds_and_then_less_and_less_often() {
        let printer = Printer::new(Output::Human, false, true);
        let waits = printer.waits();
        let _command = Waiting::silently(&printer, "working");
        let began = waits.state().heard;
        let at = |seconds: f32| began + Duration::from_secs_f32(seconds);
        assert_eq!(waits.due(at(1.0)), None);
        assert!(waits.due(at(1.8)).is_some_and(|line| line.starts_with("… working (1 s)")));

        // As `info` does with the line.
        let said = |seconds: f32| waits.state().heard = at(seconds);
        said(1.8);
        assert_eq!(waits.due(at(11.0)), None);
        assert!(waits.due(at(12.0)).is_some());
        said(12.0);
        assert_eq!(waits.due(at(40.0)), None);

        let call = Waiting::visibly(&printer, "asking EC2");
        assert!(waits.due(at(40.0)).is_some_and(|line| line.starts_with("… asking EC2")), "something else is news");
        drop(call);
        said(40.0);
        assert!(waits.due(at(42.0)).is_some_and(|line| line.starts_with("… working")));
        let asking = waits.pause();
        assert_eq!(waits.due(at(60.0)), None, "the user is asked");
        drop(asking);
        assert!(waits.due(at(60.0)).is_some());
        waits.end();
        assert_eq!(waits.due(at(500.0)), None);
    }
}
