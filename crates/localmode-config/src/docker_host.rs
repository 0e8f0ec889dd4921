//! What the SDK takes for the Docker host.

/// Whether clients reach the host that a context is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DockerHostCheck {
    /// They do.
    Right,
    /// A variable of the environment overrides the context, and leads elsewhere.
    Overridden {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// The context's endpoint is no `tcp://`, where the SDK takes `localhost` for the host of its endpoints.
    NotTcp {
        /// The endpoint.
        endpoint: String,
    },
}

/// What clients make of an endpoint and of the environment's `DOCKER_HOST` and `DOCKER_CONTEXT`.
///
/// The Docker CLI lets both override the current context. The SDK's `get_docker_host()` runs `docker context inspect`, takes the
/// endpoint only where it begins with `tcp://`, and `localhost` otherwise. Source: sagemaker `local/utils.py`.
pub fn check_docker_host(
    context: &str,
    endpoint: &str,
    docker_host: Option<&str>,
    docker_context: Option<&str>,
) -> DockerHostCheck {
    if let Some(value) = docker_host.filter(|value| *value != endpoint) {
        return DockerHostCheck::Overridden { variable: "DOCKER_HOST", value: value.to_owned() };
    }
    if let Some(value) = docker_context.filter(|value| *value != context) {
        return DockerHostCheck::Overridden { variable: "DOCKER_CONTEXT", value: value.to_owned() };
    }
    if !endpoint.starts_with("tcp://") {
        return DockerHostCheck::NotTcp { endpoint: endpoint.to_owned() };
    }
    DockerHostCheck::Right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_overrides_contexts() {
        let check = |host, context| check_docker_host("c5", "tcp://h:1111", host, context);
        assert_eq!(check(None, None), DockerHostCheck::Right);
        assert_eq!(check(Some("tcp://h:1111"), None), DockerHostCheck::Right);
        let overridden = |variable, value: &str| DockerHostCheck::Overridden { variable, value: value.to_owned() };
        assert_eq!(check(Some("unix:///x"), None), overridden("DOCKER_HOST", "unix:///x"));
        assert_eq!(check(None, Some("other")), overridden("DOCKER_CONTEXT", "other"));
        let socket = check_docker_host("x", "unix:///x", None, None);
        assert_eq!(socket, DockerHostCheck::NotTcp { endpoint: "unix:///x".to_owned() });
    }
}
