//! Files that were copied.

use sdocker::copy::Copied;

/// How much was copied, and where to.
pub fn copied(done: &Copied) -> String {
    let files = if done.amount.files == 1 { "1 file".to_owned() } else { format!("{} files", done.amount.files) };
    format!("copied {files}, {} bytes, to {}", done.amount.bytes, done.to)
}
