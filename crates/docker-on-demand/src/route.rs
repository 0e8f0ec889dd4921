//! What a request is about, and whether it needs a host.
//!
//! | needs one, and launches it | is answered without |
//! | --- | --- |
//! | container create, image create (pull, import) and load, build, `/session`, `/grpc`, commit, network and volume create, plugin pull and create, swarm init and join | everything else: lists are empty, prunes remove nothing, objects are not found, `/_ping`, `/version`, `/info` and `/auth` have answers of their own |
//!
//! The paths are those of docs.docker.com/reference/api/engine.

use crate::ApiVersion;

/// A request's path, by what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Ping,
    Version,
    Info,
    /// Credentials of a registry.
    Auth,
    Events,
    /// Makes something that may bind files of this machine.
    Creates(Made),
    /// Needs a host, and waits for it.
    Needs,
    /// Needs a host, and has a stream in which it can be told how that comes along.
    Tells(Story),
    List(List),
    /// What was removed is in the list of this name.
    Prune(&'static [&'static str]),
    /// An object: its kind, as the daemon calls it, and its name.
    Named(&'static str, String),
    /// Of a Swarm.
    Swarm,
    /// Anything else.
    Other,
}

/// What may bind files of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    Container,
    Volume,
    /// Of a Swarm. It may be another form of one that is there.
    Service,
}

/// In which form a stream tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// `{"status": ...}` of a pull.
    Status,
    /// `{"stream": ...}` of a build or a load.
    Stream,
    /// Only that it goes on: what the client prints is a result.
    Silent,
}

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Containers,
    Images,
    Volumes,
    DiskUsage,
    /// Another one, which is an array.
    Array,
}

/// A request's target: the version of the API, the path after it, and the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target<'t> {
    pub(crate) version: Option<ApiVersion>,
    pub(crate) path: &'t str,
    pub(crate) query: &'t str,
}

impl<'t> Target<'t> {
    pub(crate) fn of(target: &'t str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let version = path.strip_prefix("/v").and_then(|rest| {
            let end = rest.find('/')?;
            Some((rest[..end].parse().ok()?, &rest[end..]))
        });
        match version {
            Some((version, path)) => Self { version: Some(version), path, query },
            None => Self { version: None, path, query },
        }
    }

    /// A parameter of the query, as it is written.
    pub(crate) fn parameter(&self, name: &str) -> Option<&'t str> {
        let mut parameters = self.query.split('&').filter_map(|pair| pair.split_once('='));
        parameters.find_map(|(known, value)| (known == name).then_some(value))
    }
}

impl Route {
    pub(crate) fn of(method: &str, target: &Target<'_>) -> Self {
        let path = target.path.trim_end_matches('/');
        let set = |name: &str| target.parameter(name).is_some_and(|value| !matches!(value, "" | "0" | "false"));
        match (method, path) {
            ("GET" | "HEAD", "/_ping") => Self::Ping,
            ("GET", "/version") => Self::Version,
            ("GET", "/info") => Self::Info,
            ("POST", "/auth") => Self::Auth,
            ("GET", "/events") => Self::Events,
            ("POST", "/containers/create") => Self::Creates(Made::Container),
            ("POST", "/volumes/create") => Self::Creates(Made::Volume),
            ("POST", "/services/create") => Self::Creates(Made::Service),
            ("POST", path) if path.starts_with("/services/") && path.ends_with("/update") => {
                Self::Creates(Made::Service)
            }
            ("POST", "/images/create") if target.parameter("fromImage").is_some_and(|image| !image.is_empty()) => {
                Self::Tells(Story::Status)
            }
            ("POST", "/images/create") => Self::Tells(Story::Silent),
            ("POST", "/images/load") if set("quiet") => Self::Tells(Story::Silent),
            ("POST", "/images/load") => Self::Tells(Story::Stream),
            // What BuildKit streams is its own, and its session comes first.
            ("POST", "/build") if target.parameter("version") == Some("2") => Self::Needs,
            ("POST", "/build") if set("q") => Self::Tells(Story::Silent),
            ("POST", "/build") => Self::Tells(Story::Stream),
            (
                "POST",
                "/session" | "/grpc" | "/commit" | "/networks/create" | "/plugins/pull" | "/plugins/create"
                | "/swarm/init" | "/swarm/join",
            ) => Self::Needs,
            ("GET", "/containers/json") => Self::List(List::Containers),
            ("GET", "/images/json") => Self::List(List::Images),
            ("GET", "/volumes") => Self::List(List::Volumes),
            ("GET", "/system/df") => Self::List(List::DiskUsage),
            ("GET", "/networks" | "/plugins" | "/images/search") => Self::List(List::Array),
            ("POST", "/containers/prune") => Self::Prune(&["ContainersDeleted"]),
            ("POST", "/images/prune") => Self::Prune(&["ImagesDeleted"]),
            ("POST", "/volumes/prune") => Self::Prune(&["VolumesDeleted"]),
            ("POST", "/networks/prune") => Self::Prune(&["NetworksDeleted"]),
            ("POST", "/build/prune") => Self::Prune(&["CachesDeleted"]),
            _ => Self::object(path),
        }
    }

    fn object(path: &str) -> Self {
        let mut parts = path.trim_start_matches('/').splitn(2, '/');
        let (collection, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let first = || decoded(rest.split('/').next().unwrap_or_default());
        match collection {
            "swarm" | "nodes" | "services" | "tasks" | "secrets" | "configs" => Self::Swarm,
            _ if rest.is_empty() => Self::Other,
            "containers" => Self::Named("container", first()),
            "exec" => Self::Named("exec instance", first()),
            "networks" => Self::Named("network", first()),
            "volumes" => Self::Named("volume", first()),
            "images" => Self::Named("image", decoded(image(rest))),
            "plugins" => Self::Named("plugin", decoded(image(rest))),
            _ => Self::Other,
        }
    }
}

/// The name of an image, which may hold slashes, without what is to be done with it.
fn image(rest: &str) -> &str {
    const DEEDS: [&str; 10] =
        ["json", "history", "push", "tag", "get", "attestations", "enable", "disable", "upgrade", "set"];
    match rest.rsplit_once('/') {
        Some((name, deed)) if DEEDS.contains(&deed) => name,
        _ => rest,
    }
}

/// Percent-decoding (RFC 3986, 2.1).
pub(crate) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        decoded.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: &str, target: &str) -> Route {
        Route::of(method, &Target::of(target))
    }

    #[test]
    fn what_launches_is_what_the_table_says() {
        let needs = [
            "/session",
            "/grpc",
            "/commit?container=c",
            "/networks/create",
            "/plugins/pull?remote=p",
            "/plugins/create?name=p",
            "/swarm/init",
            "/swarm/join",
            "/build?version=2",
        ];
        for path in needs {
            assert_eq!(route("POST", path), Route::Needs, "{path}");
            assert_eq!(route("POST", &format!("/v1.41{path}")), Route::Needs, "{path}");
        }
        for (path, made) in [
            ("/v1.41/containers/create?name=a", Made::Container),
            ("/volumes/create", Made::Volume),
            ("/v1.44/services/create", Made::Service),
            ("/services/web/update?version=7", Made::Service),
        ] {
            assert_eq!(route("POST", path), Route::Creates(made), "{path}");
        }
        for (path, story) in [
            ("/images/create?fromImage=busybox&tag=1", Story::Status),
            ("/images/create?fromSrc=-&repo=a", Story::Silent),
            ("/images/load?quiet=1", Story::Silent),
            ("/images/load?quiet=0", Story::Stream),
            ("/build?t=a", Story::Stream),
            ("/build?t=a&q=1", Story::Silent),
        ] {
            assert_eq!(route("POST", path), Route::Tells(story), "{path}");
        }
    }

    #[test]
    fn what_only_asks_launches_nothing() {
        let named = |kind, name: &str| Route::Named(kind, name.to_owned());
        for (method, path, expected) in [
            ("HEAD", "/_ping", Route::Ping),
            ("GET", "/v1.41/version", Route::Version),
            ("GET", "/v1.41/info", Route::Info),
            ("POST", "/auth", Route::Auth),
            ("GET", "/events?since=1", Route::Events),
            ("GET", "/containers/json?all=1", Route::List(List::Containers)),
            ("GET", "/networks?filters={}", Route::List(List::Array)),
            ("POST", "/volumes/prune", Route::Prune(&["VolumesDeleted"])),
            ("GET", "/containers/web/json", named("container", "web")),
            ("DELETE", "/v1.41/containers/web?force=1", named("container", "web")),
            ("POST", "/containers/web/start", named("container", "web")),
            ("POST", "/exec/abc/start", named("exec instance", "abc")),
            ("GET", "/images/docker.io/library/a:1/json", named("image", "docker.io/library/a:1")),
            ("GET", "/images/a%3A1/json", named("image", "a:1")),
            ("DELETE", "/images/repo/json", named("image", "repo")),
            ("POST", "/images/a:1/push", named("image", "a:1")),
            ("POST", "/networks/n/connect", named("network", "n")),
            ("DELETE", "/volumes/v", named("volume", "v")),
            ("GET", "/swarm", Route::Swarm),
            ("GET", "/services/x", Route::Swarm),
            ("GET", "/distribution/a/json", Route::Other),
            ("GET", "/containers/create", Route::Named("container", "create".to_owned())),
            ("GET", "/", Route::Other),
            ("GET", "/vx/containers/json", Route::Other),
        ] {
            assert_eq!(route(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_target_has_a_version_a_path_and_parameters() {
        let target = Target::of("/v1.41/build?q=1&t=a%3Ab&empty=");
        assert_eq!((target.version, target.path), (Some(ApiVersion(1, 41)), "/build"));
        assert_eq!((target.parameter("t"), target.parameter("none")), (Some("a%3Ab"), None));
        assert_eq!(Target::of("/volumes/v1.2").version, None);
        assert_eq!(decoded("a%3Ab%2"), "a:b%2");
        assert_eq!(decoded("%E2%82%AC%zz"), "€%zz");
    }
}
