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

/// What the SDK takes for the host of its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdkHost {
    /// The host of the current context.
    Named(String),
    /// `localhost`.
    Localhost {
        /// What made it so.
        because: String,
    },
    /// It ends with an error.
    Fails {
        /// What made it so.
        because: String,
    },
}

/// What the SDK's `get_docker_host()` makes of what `docker context inspect` prints: anything on standard error is `localhost` for it, and what
/// is no `tcp://` as well. Source: sagemaker and sagemaker-core, `local/utils.py`.
pub fn sdk_host(stdout: &str, stderr: &str) -> SdkHost {
    if !stderr.is_empty() {
        let first = stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        return SdkHost::Localhost { because: format!("docker says: {}", first.trim()) };
    }
    let contexts: serde_json::Value = serde_json::from_str(stdout).unwrap_or_default();
    let Some(endpoint) = contexts[0]["Endpoints"]["docker"]["Host"].as_str() else {
        return SdkHost::Fails { because: "`docker context inspect` prints no context".to_owned() };
    };
    let address = endpoint.strip_prefix("tcp://").map(|rest| rest.split('/').next().unwrap_or_default());
    let name = address.and_then(|address| match address.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map(|(name, _)| name),
        None => address.split(':').next(),
    });
    match name.filter(|name| !name.is_empty()) {
        // As Python's `urlparse` gives it.
        Some(name) => SdkHost::Named(name.to_lowercase()),
        None => SdkHost::Localhost { because: format!("the current context leads to {endpoint}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_takes_localhost_for_what_it_does_not_understand() {
        let inspected = |host: &str| format!(r#"[{{"Name": "c5", "Endpoints": {{"docker": {{"Host": "{host}"}}}}}}]"#);
        let named = |name: &str| SdkHost::Named(name.to_owned());
        assert_eq!(sdk_host(&inspected("tcp://ip-10-0-0-1:1111"), ""), named("ip-10-0-0-1"));
        assert_eq!(sdk_host(&inspected("tcp://[fd00::1]:1111"), ""), named("fd00::1"));
        for (stdout, stderr) in [(inspected("tcp://h:1"), "WARNING: x"), (inspected("unix:///var/run/docker.sock"), "")]
        {
            assert!(matches!(sdk_host(&stdout, stderr), SdkHost::Localhost { .. }), "{stdout} {stderr}");
        }
        for stdout in ["", "[]", "Docker Compose version v2.29.1"] {
            assert!(matches!(sdk_host(stdout, ""), SdkHost::Fails { .. }), "{stdout}");
        }
    }

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
