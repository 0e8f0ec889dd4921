//! Prints what Local Mode lacks in a home, and changes nothing.
//!
//!     cargo run -p localmode-config --example configure -- HOME

use std::{env, io::Write as _, path::PathBuf};

use localmode_config::{Request, SharedFolder, plan};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let home: PathBuf = env::args_os().nth(1).ok_or("usage: configure HOME")?.into();
    let record = home.join(".local-mode-before.json");
    let plan = plan(&Request { home, shared: SharedFolder::Home, record })?;
    let mut out = std::io::stdout().lock();
    for action in &plan.actions {
        writeln!(out, "{action}")?;
    }
    Ok(())
}
