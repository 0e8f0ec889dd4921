//! The server, asked as the kernel asks: over a stream, without root and without a mount.

mod changes;
mod hostile;
mod peer;
mod posix;
mod streams;
