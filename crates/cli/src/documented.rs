//! What the documentation says to run is understood, and run by a test.

use std::{collections::BTreeSet, fs, path::Path};

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

use crate::args::Args;

/// A command line of the documentation.
struct Documented {
    file: String,
    line: usize,
    words: Vec<String>,
    /// In a block of its own: it is whole then. In a sentence it may be no more than a command's name.
    is_whole: bool,
}

/// The repository; `None` in a package, which has no documentation.
fn root() -> Option<&'static Path> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    root.join("docs/usage.md").exists().then_some(root)
}

fn files(root: &Path, folder: &str, ends: &str) -> Vec<(String, String)> {
    let listed = fs::read_dir(root.join(folder)).expect("a folder");
    let mut files: Vec<_> = listed
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().ends_with(ends))
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).expect("read")))
        .collect();
    files.sort();
    files
}

fn documented(root: &Path) -> Vec<Documented> {
    let mut found = Vec::new();
    let readme = ("README.md".to_owned(), fs::read_to_string(root.join("README.md")).expect("read"));
    for (file, text) in files(root, "docs", ".md").into_iter().chain([readme]) {
        let mut is_fenced = false;
        for (number, line) in text.lines().enumerate() {
            let mut add = |command: &str, is_whole| {
                found.extend(words(command).map(|words| Documented {
                    file: file.clone(),
                    line: number + 1,
                    words,
                    is_whole,
                }));
            };
            is_fenced ^= line.starts_with("```");
            if is_fenced || line.starts_with("    ") {
                for part in line.split(" # ").next().unwrap_or_default().split(['|', ';']) {
                    add(part.trim().trim_start_matches("$ ").trim_start_matches("sudo "), true);
                }
            } else {
                line.split('`').skip(1).step_by(2).for_each(|code| add(code, false));
            }
        }
    }
    found
}

/// The words of a command line of sdocker, without what a shell does with it.
fn words(command: &str) -> Option<Vec<String>> {
    let command = command.split([';', '|', '>', '<']).next()?.split(" && ").next()?.trim().trim_end_matches(" &");
    let rest = command.strip_prefix("sdocker ")?;
    // A form, and no command.
    if rest.contains(['[', '…', '*']) || rest.contains("...") {
        return None;
    }
    let sum = "a".repeat(64);
    let meant =
        rest.replace("$sum", &sum).replace("SUM", &sum).replace("COMMAND", "status").replace("TYPE", "c5.xlarge");
    shlex::split(&meant).filter(|words| !words.is_empty())
}

#[test]
fn every_documented_command_is_understood() {
    let Some(root) = root() else { return };
    let all = documented(root);
    assert!(all.iter().filter(|one| one.is_whole).count() > 30, "too few were found");
    let mut wrong = Vec::new();
    for Documented { file, line, words, is_whole } in all {
        let Err(error) = Args::try_parse_from(["sdocker"].into_iter().chain(words.iter().map(String::as_str))) else {
            continue;
        };
        let is_part = matches!(
            error.kind(),
            ErrorKind::MissingRequiredArgument
                | ErrorKind::MissingSubcommand
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        );
        if !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) && (is_whole || !is_part) {
            wrong.push(format!("{file}:{line}: sdocker {}\n  {error}", words.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each command and each of its options that the documentation names is in a test that runs the program.
#[test]
fn every_documented_command_is_run() {
    let Some(root) = root() else { return };
    let tests: Vec<_> = ["tests/tests", "tests/tests/wire", "tests/tests/sandbox", "tests/src", "crates/cli/tests"]
        .into_iter()
        .flat_map(|folder| files(root, folder, ".rs"))
        .chain(files(root, "tests/package", ""))
        .map(|(_, text)| text)
        .collect();
    let command = Args::command();
    let mut unrun = BTreeSet::new();
    for one in documented(root) {
        let Some(known) = one.words.iter().find_map(|word| command.find_subcommand(word)) else { continue };
        let names: Vec<_> = std::iter::once(known.get_name()).chain(known.get_all_aliases()).collect();
        let runs =
            |text: &str, name: &str| text.contains(&format!("\"{name}\"")) || text.contains(&format!("sdocker {name}"));
        let own: Vec<&String> = tests.iter().filter(|text| names.iter().any(|name| runs(text, name))).collect();
        if own.is_empty() {
            unrun.insert(known.get_name().to_owned());
        }
        for option in one.words.iter().filter_map(|word| word.split('=').next()).filter(|word| word.starts_with("--")) {
            if option.len() > 2 && !own.iter().any(|text| text.contains(option)) {
                unrun.insert(format!("{} {option}", known.get_name()));
            }
        }
    }
    assert!(unrun.is_empty(), "no test runs {unrun:#?}");
}
