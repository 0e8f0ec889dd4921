//! Environment variables, as a shell takes them.

use std::borrow::Cow;

/// The syntax of a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// That of POSIX: bash, zsh, sh.
    Posix,
    /// That of fish.
    Fish,
}

/// The commands that set these variables, a line each; one without a value is unset.
///
/// # Errors
/// A value that no shell can hold.
pub fn variables(variables: &[(&'static str, Option<String>)], syntax: Syntax) -> anyhow::Result<Vec<String>> {
    let line = |(name, value): &(&str, Option<String>)| {
        // Single quotes mean the same in POSIX shells and in fish, but for the backslash, which a path here does not hold.
        let value = value.as_deref().map(|value| shlex::try_quote(value).map(Cow::into_owned)).transpose()?;
        Ok(match (syntax, value) {
            (Syntax::Fish, Some(value)) => format!("set -gx {name} {value};"),
            (Syntax::Fish, None) => format!("set -e {name};"),
            (Syntax::Posix, Some(value)) => format!("export {name}={value}"),
            (Syntax::Posix, None) => format!("unset {name}"),
        })
    };
    variables.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_has_its_own_commands() {
        let known = [("DOCKER_HOST", Some("tcp://a b:1".to_owned())), ("NO_PROXY", None)];
        let posix = variables(&known, Syntax::Posix).expect("lines");
        assert_eq!(posix, ["export DOCKER_HOST='tcp://a b:1'", "unset NO_PROXY"]);
        let fish = variables(&known, Syntax::Fish).expect("lines");
        assert_eq!(fish, ["set -gx DOCKER_HOST 'tcp://a b:1';", "set -e NO_PROXY;"]);
        assert!(variables(&[("HOME", Some("\0".to_owned()))], Syntax::Posix).is_err());
    }
}
