//! Which Docker Compose an SDK accepts.

/// Whether Local Mode finds a Docker Compose that it accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComposeVerdict {
    /// It takes `docker compose`.
    Plugin,
    /// It takes the `docker-compose` program.
    Program,
    /// It takes neither; why.
    Refused(&'static str),
}

/// What an SDK makes of `docker compose version`'s output (`None` where the plugin is missing) and of a `docker-compose` on `PATH`.
///
/// SDKs before 2.176 look only for the program. Later ones accept the plugin when its version contains `v2`, as Compose v5's does
/// not, else the program. Source: sagemaker `local/image.py`, `_SageMakerContainer._get_compose_cmd_prefix`.
pub fn compose_accepted(sdk: (u32, u32), plugin_version: Option<&str>, has_program: bool) -> ComposeVerdict {
    let knows_plugin = sdk >= (2, 176);
    match plugin_version {
        Some(version) if knows_plugin && version.contains("v2") => ComposeVerdict::Plugin,
        _ if has_program => ComposeVerdict::Program,
        Some(_) if knows_plugin => ComposeVerdict::Refused(
            "this SDK accepts `docker compose` only in version 2, else it needs a `docker-compose` program",
        ),
        Some(_) => ComposeVerdict::Refused("this SDK knows only the `docker-compose` program"),
        None => ComposeVerdict::Refused("there is neither the compose plugin nor a `docker-compose` program"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sdk_accepts_what_it_looks_for() {
        let (v2, v5) = (Some("Docker Compose version v2.29.1"), Some("Docker Compose version v5.0.0"));
        assert_eq!(compose_accepted((2, 257), v2, false), ComposeVerdict::Plugin);
        assert_eq!(compose_accepted((2, 257), v5, true), ComposeVerdict::Program);
        assert!(matches!(compose_accepted((2, 257), v5, false), ComposeVerdict::Refused(_)));
        assert!(matches!(compose_accepted((2, 80), v2, false), ComposeVerdict::Refused(_)));
        assert_eq!(compose_accepted((2, 80), v2, true), ComposeVerdict::Program);
        assert!(matches!(compose_accepted((3, 2), None, false), ComposeVerdict::Refused(_)));
    }
}
