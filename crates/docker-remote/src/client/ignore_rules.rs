//! `.dockerignore`: which files of a folder are not part of its build context.
//!
//! The rules are Docker's own, which are not those of `.gitignore` (hence no crate for the latter): every pattern is anchored at
//! the context's root, the last one that matches wins, `!` makes an exception, and a pattern that matches a folder matches everything
//! below it. The Dockerfile and `.dockerignore` are always sent. Source: Docker's documentation, "Build context", and
//! moby/patternmatcher, which translates each pattern into a regular expression, as this module does: so matching takes time that is
//! linear in the length of a path, whatever the pattern.

use std::{
    fmt::Write as _,
    io,
    iter::Peekable,
    path::{Component, Path, PathBuf},
    str::Chars,
};

use regex::Regex;
use whole_file::Links;

/// The largest file of rules that is read.
const MOST: u64 = 1 << 20;

/// The rules of one build context.
#[derive(Debug, Default)]
pub(crate) struct IgnoreRules {
    rules: Vec<Rule>,
    always: Vec<PathBuf>,
}

#[derive(Debug)]
struct Rule {
    /// Matches the paths that the pattern matches, and all that is below them.
    matcher: Regex,
    /// Whether it makes an exception.
    keeps: bool,
}

impl IgnoreRules {
    /// Reads `<Dockerfile>.dockerignore`, or `.dockerignore`. A missing one ignores nothing.
    ///
    /// # Errors
    /// A file that can't be read, or a pattern that Docker does not accept either.
    pub(super) fn read(folder: &Path, dockerfile: &Path) -> io::Result<Self> {
        let mut own = dockerfile.as_os_str().to_owned();
        own.push(".dockerignore");
        for name in [PathBuf::from(own), PathBuf::from(".dockerignore")] {
            let failed = |kind, why: &dyn std::fmt::Display| io::Error::new(kind, format!("{}: {why}", name.display()));
            match whole_file::read_text(&folder.join(&name), MOST, Links::Follow) {
                Ok(text) => {
                    let rules = Self::parse(&text, &[dockerfile, &name]);
                    return rules.map_err(|why| failed(io::ErrorKind::InvalidData, &why));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error.kind(), &error)),
            }
        }
        Ok(Self::default())
    }

    pub(crate) fn parse(text: &str, always: &[&Path]) -> Result<Self, String> {
        let mut rules = Vec::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let rule =
                rule(line).ok_or_else(|| format!("line {}: `{}` is not a valid pattern", index + 1, line.trim()));
            rules.extend(rule?);
        }
        Ok(Self { rules, always: always.iter().map(|path| path.to_path_buf()).collect() })
    }

    /// Whether a path, relative to the root, is left out.
    pub(crate) fn ignores(&self, path: &Path) -> bool {
        if self.always.iter().any(|kept| kept == path) {
            return false;
        }
        let path = path.to_string_lossy();
        let last = self.rules.iter().rev().find(|rule| rule.matcher.is_match(&path));
        last.is_some_and(|rule| !rule.keeps)
    }

    /// Whether something below an ignored folder may be kept nevertheless.
    pub(super) fn may_except_below(&self, folder: &Path) -> bool {
        self.rules.iter().any(|rule| rule.keeps) || self.always.iter().any(|kept| kept.starts_with(folder))
    }
}

/// The rule of a line: `Some(None)` for a line without one, `None` for one that Docker refuses.
fn rule(line: &str) -> Option<Option<Rule>> {
    let trimmed = line.trim();
    // Only a line that begins with `#` is a comment.
    if line.starts_with('#') || trimmed.is_empty() {
        return Some(None);
    }
    let (keeps, pattern) = match trimmed.strip_prefix('!') {
        Some("") => return None,
        Some(pattern) => (true, pattern.trim()),
        None => (false, trimmed),
    };
    let pattern = cleaned(pattern);
    if pattern.is_empty() {
        return Some(None);
    }
    let expression = format!("^(?s:{})(?:/|$)", expression(&pattern)?);
    Some(Some(Rule { matcher: Regex::new(&expression).ok()?, keeps }))
}

/// As Go's `filepath.Clean`: `./a`, `a/`, `/a` and `b/../a` are all `a`. What leads out of the root stays, and matches nothing.
fn cleaned(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for component in Path::new(pattern).components() {
        match component {
            Component::Normal(part) => parts.extend(part.to_str()),
            Component::ParentDir if !pattern.starts_with('/') && parts.last().is_none_or(|part| *part == "..") => {
                parts.push("..");
            }
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    parts.join("/")
}

/// A pattern as a regular expression: `*`, `?`, `[a-z]`, `[^a-z]` and `\` as in Go's `filepath.Match`, and `**` for any number of
/// folders. `None` for a pattern that `filepath.Match` calls malformed.
fn expression(pattern: &str) -> Option<String> {
    let mut expression = String::with_capacity(pattern.len() * 2);
    let mut rest = pattern.chars().peekable();
    let is_literal = |text: &str| !text.contains(['*', '?', '[', ']', '\\']);
    let mut first = true;
    while let Some(character) = rest.next() {
        match character {
            '*' if rest.next_if_eq(&'*').is_some() => {
                let slash = rest.next_if_eq(&'/').is_some();
                let ends_with = first && !slash && is_literal(&pattern[2..]);
                // moby takes `**.go` for "ends with .go", and `**.g?` for a name that begins with `.g`.
                expression.push_str(if rest.peek().is_none() || ends_with { ".*" } else { "(?:.*/)?" });
            }
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            '[' => class(&mut rest, &mut expression)?,
            '\\' => literal(rest.next()?, &mut expression),
            other => literal(other, &mut expression),
        }
        first = false;
    }
    Some(expression)
}

fn literal(character: char, expression: &mut String) {
    // By its number, so that nothing has a meaning of its own, whether in a class or outside.
    let _ = write!(expression, "\\x{{{:x}}}", u32::from(character));
}

/// The class after a `[`, by the grammar of `filepath.Match`; `None` where it has no end, or a range without one.
fn class(rest: &mut Peekable<Chars<'_>>, expression: &mut String) -> Option<()> {
    expression.push('[');
    if rest.next_if_eq(&'^').is_some() {
        expression.push('^');
    }
    let mut is_empty = true;
    loop {
        if !is_empty && rest.next_if_eq(&']').is_some() {
            expression.push(']');
            return Some(());
        }
        let low = member(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { member(rest)? } else { low };
        if low > high {
            return None;
        }
        literal(low, expression);
        expression.push('-');
        literal(high, expression);
        is_empty = false;
    }
}

fn member(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(rules: &str, path: &str) -> bool {
        let always = [Path::new("Dockerfile"), Path::new(".dockerignore")];
        IgnoreRules::parse(rules, &always).expect(rules).ignores(Path::new(path))
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
    }

    #[test]
    fn two_stars_are_what_moby_takes_them_for() {
        for (rules, path, expected) in [
            ("**/a", "a", true),
            ("**/a", "x/y/a", true),
            ("**/a", "xa", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b/below", true),
            ("**.go", "main.go", true),
            ("**", "any/thing", true),
            ("../a", "a", false),
        ] {
            assert_eq!(ignored(rules, path), expected, "{rules} {path}");
        }
    }

    #[test]
    fn a_pattern_that_docker_refuses_fails_with_its_line() {
        for wrong in ["[", "[]", "[a", "[a-]", "[-a]", "[z-a]", "a\\", "!"] {
            let error = IgnoreRules::parse(&format!("ok\n{wrong}"), &[]).expect_err(wrong);
            assert_eq!(error, format!("line 2: `{wrong}` is not a valid pattern"));
        }
    }

    #[test]
    fn no_pattern_takes_more_than_linear_time() {
        // With a matcher that backtracks each of these takes longer than the universe is old.
        let name = "a".repeat(200);
        for pattern in ["a*".repeat(100) + "b", "**/a/".repeat(50) + "b", "*a*".repeat(60) + "/b"] {
            assert!(!ignored(&pattern, &name), "{pattern}");
            assert!(!ignored(&pattern, &format!("{}x", "a/".repeat(200))), "{pattern}");
        }
    }
}
