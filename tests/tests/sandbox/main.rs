//! The real binary with real Docker daemons on this machine. One program, so that what waits in one file runs beside what computes in another.

mod client;
mod files;
mod job;
mod several;
mod shell;
mod space;
mod up;
