//! Prints the user data of a host, from a [`Bootstrap`] as JSON on standard input.

use std::io::{self, Write as _};

use host_provisioner::{Bootstrap, render_user_data};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bootstrap: Bootstrap = serde_json::from_reader(io::stdin().lock())?;
    io::stdout().lock().write_all(render_user_data(&bootstrap)?.script().as_bytes())?;
    Ok(())
}
