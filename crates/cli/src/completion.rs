//! What a shell offers when a word is half typed: from this home's own files, with no call to anybody.

use std::ffi::OsStr;

use clap_complete::engine::CompletionCandidate;
use sdocker::{config::KEYS, lookup::Lookup};
use sdocker_console::Output;

use crate::{environment, options::Global};

/// The variable by which a shell's script asks this program for candidates, in place of running a command.
pub(crate) const COMPLETE: &str = "SDOCKER_COMPLETE";

/// The hosts of this home, by name and by instance: those that are known without asking anybody.
pub(crate) fn hosts(typed: &OsStr) -> Vec<CompletionCandidate> {
    // The options before this word are not known here; the home is the environment's.
    let global = Global { output: Output::Human, region: None, cloud: None, verbose: 0, quiet: true };
    let known =
        environment::surroundings(&global).ok().and_then(|surroundings| Lookup::new(&surroundings).hosts().ok());
    let hosts = known.unwrap_or_default();
    let names = hosts.iter().map(|host| host.name.clone());
    // An instance's id only once it was begun: each host is offered once.
    let ids = hosts.iter().map(|host| host.instance.to_string()).filter(|_| typed.to_string_lossy().starts_with("i-"));
    beginning_with(typed, names.chain(ids))
}

/// Instance types that people launch.
pub(crate) fn instance_types(typed: &OsStr) -> Vec<CompletionCandidate> {
    beginning_with(typed, host_provisioner::well_known_types())
}

/// The settings of `sdocker.conf`.
pub(crate) fn settings(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy().to_lowercase();
    let keys = KEYS.iter().filter(|key| key.name.to_lowercase().starts_with(&typed));
    keys.map(|key| CompletionCandidate::new(key.name).help(Some(key.about.into()))).collect()
}

fn beginning_with(typed: &OsStr, names: impl Iterator<Item = String>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    names.filter(|name| name.starts_with(&*typed)).map(CompletionCandidate::new).collect()
}
