//! How a command of sdocker speaks and is stopped.
//!
//! [`Printer`] owns standard output and standard error: results, progress, and what is waited for, on a terminal, in a notebook and in a pipe.
//! [`Interrupt`] hears signals. [`shown`] words results, [`failure::report`] an error with its hints and what remains.
//!
//! # Guarantees
//! - Printing never ends a command, nor changes what it does: a terminal that is gone, a full disk and a closed pipe are remembered, and decide
//!   nothing but the exit code.
//! - Work that was announced with [`Interrupt::begin`] is never dropped at a signal. Where the process is ended nevertheless, a process of its
//!   own finishes it.
//! - Nothing that is printed is obeyed by a terminal, but for colours: whatever other people's text holds, its control characters are not shown.
//! - It knows no command and no option: [`shown`] words the results of the library, whatever printed them.

pub mod attached;
mod columns;
pub mod failure;
mod interrupt;
pub mod logging;
mod plain;
mod printer;
mod progress;
mod raw_terminal;
pub mod shown;
mod stopping;
pub mod successor;
mod terminal;
mod waiting;

pub use columns::align;
pub use interrupt::{Interrupt, Work};
pub use printer::{Output, Printer};
pub use progress::Progress;
pub use stopping::Stopping;
pub use waiting::{Waiting, speak_of};
