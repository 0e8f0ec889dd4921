//! Programs that tests put in the place of real ones.

use std::{path::Path, process::Command};

/// Puts a shell script into a folder, as a program of this name.
///
/// Another process writes it: what this one writes can't be run while a test beside this one starts a program (execve(2), ETXTBSY).
pub(crate) fn program(folder: &Path, name: &str, script: &str) {
    let write = r#"printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod 755 "$1""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", write, "sh"]).arg(folder.join(name)).arg(script);
    assert!(shell.status().expect("it runs").success(), "{name} can't be written");
}
