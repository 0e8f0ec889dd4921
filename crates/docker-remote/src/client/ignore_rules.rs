//! `.dockerignore`: which files of a folder are no part of its build context.
//!
//! The rules are Docker's own, which are not those of `.gitignore` (hence no crate for the latter): every pattern is anchored at
//! the context's root, the last one that matches wins, `!` makes an exception, a pattern that matches a folder matches everything
//! below it, and the Dockerfile and `.dockerignore` are always sent. Source: Docker's documentation, "Build context", and
//! moby/patternmatcher.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Component, Path, PathBuf},
};

/// The rules of one build context.
#[derive(Debug, Default)]
pub(super) struct IgnoreRules {
    rules: Vec<Rule>,
    always: Vec<PathBuf>,
}

#[derive(Debug)]
struct Rule {
    /// The pattern, a part for each level; `**` is any number of levels.
    parts: Vec<String>,
    /// Whether it makes an exception.
    keeps: bool,
}

impl IgnoreRules {
    /// Reads `<Dockerfile>.dockerignore`, or `.dockerignore`. A missing one ignores nothing.
    pub(super) fn read(folder: &Path, dockerfile: &str) -> io::Result<Self> {
        for name in [format!("{dockerfile}.dockerignore"), ".dockerignore".to_owned()] {
            match fs::read_to_string(folder.join(&name)) {
                Ok(text) => return Ok(Self::parse(&text, &[dockerfile, &name])),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io::Error::new(error.kind(), format!("{name}: {error}"))),
            }
        }
        Ok(Self::default())
    }

    fn parse(text: &str, always: &[&str]) -> Self {
        let rules = text.trim_start_matches('\u{feff}').lines().filter_map(rule).collect();
        Self { rules, always: always.iter().map(PathBuf::from).collect() }
    }

    /// Whether a path, relative to the root, is left out.
    pub(super) fn ignores(&self, path: &Path) -> bool {
        if self.always.iter().any(|kept| kept == path) {
            return false;
        }
        let names: Vec<&OsStr> = path.iter().collect();
        let last = self.rules.iter().rev().find(|rule| rule.matches_or_contains(&names));
        last.is_some_and(|rule| !rule.keeps)
    }

    /// Whether something below an ignored folder may be kept nevertheless.
    pub(super) fn may_except_below(&self, folder: &Path) -> bool {
        self.rules.iter().any(|rule| rule.keeps) || self.always.iter().any(|kept| kept.starts_with(folder))
    }
}

fn rule(line: &str) -> Option<Rule> {
    // Only a line that begins with `#` is a comment.
    if line.starts_with('#') {
        return None;
    }
    let line = line.trim();
    let (keeps, pattern) = match line.strip_prefix('!') {
        Some(pattern) => (true, pattern.trim()),
        None => (false, line),
    };
    // As Go's filepath.Clean: `./a`, `a/`, `/a` and `b/../a` are all `a`.
    let mut parts: Vec<String> = Vec::new();
    for component in Path::new(pattern).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    (!parts.is_empty()).then_some(Rule { parts, keeps })
}

impl Rule {
    /// Whether the pattern matches the path, or a folder that it lies in.
    fn matches_or_contains(&self, names: &[&OsStr]) -> bool {
        (1..=names.len()).any(|depth| matches(&self.parts, &names[..depth]))
    }
}

fn matches(parts: &[String], names: &[&OsStr]) -> bool {
    match (parts.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((part, rest)), _) if part == "**" => {
            matches(rest, names) || names.split_first().is_some_and(|(_, below)| matches(parts, below))
        }
        (Some((part, rest)), Some((name, below))) => {
            let name: Vec<char> = name.to_string_lossy().chars().collect();
            let part: Vec<char> = part.chars().collect();
            matches_name(&part, &name) && matches(rest, below)
        }
        _ => false,
    }
}

/// One level, by the rules of Go's `filepath.Match`: `*`, `?`, `[a-z]`, `[^a-z]` and `\`.
fn matches_name(pattern: &[char], name: &[char]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some('*'), _) => matches_name(&pattern[1..], name) || (!name.is_empty() && matches_name(pattern, &name[1..])),
        (Some('?'), Some(_)) => matches_name(&pattern[1..], &name[1..]),
        (Some('['), Some(character)) => match class(&pattern[1..], *character) {
            Some((true, rest)) => matches_name(rest, &name[1..]),
            _ => false,
        },
        (Some('\\'), Some(character)) if pattern.len() > 1 => {
            pattern[1] == *character && matches_name(&pattern[2..], &name[1..])
        }
        (Some(expected), Some(character)) => expected == character && matches_name(&pattern[1..], &name[1..]),
        _ => false,
    }
}

/// Whether a character is in the class that begins after `[`, and the pattern after it; `None` for a class without an end.
fn class(pattern: &[char], character: char) -> Option<(bool, &[char])> {
    let negated = pattern.first() == Some(&'^');
    let mut rest = if negated { &pattern[1..] } else { pattern };
    let mut found = false;
    let mut first = true;
    loop {
        match rest {
            [']', after @ ..] if !first => return Some((found != negated, after)),
            [low, '-', high, after @ ..] if *high != ']' => {
                found |= (*low..=*high).contains(&character);
                rest = after;
            }
            [one, after @ ..] => {
                found |= *one == character;
                rest = after;
            }
            [] => return None,
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(rules: &str, path: &str) -> bool {
        IgnoreRules::parse(rules, &["Dockerfile", ".dockerignore"]).ignores(Path::new(path))
    }

    #[test]
    fn documented_patterns() {
        // From "Build context" in Docker's documentation.
        assert!(ignored("*/temp*", "somedir/temporary.txt"));
        assert!(ignored("*/temp*", "somedir/temp"));
        assert!(!ignored("*/temp*", "temp"));
        assert!(ignored("*/*/temp*", "somedir/subdir/temporary.txt"));
        assert!(ignored("temp?", "tempa"));
        assert!(!ignored("temp?", "temp"));
        assert!(ignored("**/*.go", "main.go"));
        assert!(ignored("**/*.go", "a/b/main.go"));
        assert!(ignored("*.md\n!README.md", "NOTES.md"));
        assert!(!ignored("*.md\n!README.md", "README.md"));
        assert!(ignored("*.md\n!README*.md\nREADME-secret.md", "README-secret.md"));
        assert!(ignored("!README*.md\n*.md", "README-secret.md"));
    }

    #[test]
    fn a_folder_is_ignored_with_everything_below() {
        for rules in ["node_modules", "/node_modules", "./node_modules/", "a/../node_modules"] {
            assert!(ignored(rules, "node_modules/x/y.js"), "{rules}");
        }
        assert!(!ignored("node_modules", "web/node_modules/x"), "patterns are anchored at the root");
        assert!(!ignored("data\n!data/keep", "data/keep/this"));
    }

    #[test]
    fn what_the_daemon_needs_is_always_sent() {
        assert!(!ignored("*\n", "Dockerfile"));
        assert!(!ignored("**", ".dockerignore"));
        assert!(ignored("*", "src"));
    }

    #[test]
    fn comments_blank_lines_and_classes() {
        assert!(!ignored("# a comment\n\n", "a comment"));
        assert!(ignored(" #x", "#x"), "only at the beginning of a line");
        assert!(ignored("file[0-9].txt", "file7.txt"));
        assert!(!ignored("file[^0-9].txt", "file7.txt"));
        assert!(ignored(r"\*", "*") && !ignored(r"\*", "a"));
        assert!(!ignored("[", "a"), "a class without an end matches nothing");
    }
}
