//! A registry that the Docker CLI gets at.

use sdocker::ecr::Login;

/// The registry, and for how long.
pub fn login(login: &Login) -> String {
    match login {
        Login::Helper { registry } => format!("a credential helper is configured for {registry}"),
        Login::LoggedIn { registry } => format!("logged in to {registry} for twelve hours"),
    }
}
