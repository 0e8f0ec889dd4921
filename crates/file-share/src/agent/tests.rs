//! Agent and server together, under a kernel that mounts what they serve.

mod bulk;
mod changes;
mod mounted;
mod places;
mod posix;
mod random;
