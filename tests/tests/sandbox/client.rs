//! docker-remote's client against a real Docker daemon behind mutual TLS.

use std::{fs, path::Path, process::Stdio, time::Duration};

use bytes::Bytes;
use docker_remote::{BuildRequest, Client, ClientCredentials, ContainerLog, Endpoint, LogLine, RunRequest};
use futures_util::{StreamExt as _, stream};
use sdocker_tests::{Docker, Home};

/// The names of the newest image, beside that of the agents that serve files and ports.
async fn newest(client: &Client) -> Vec<String> {
    let images = client.images(false).await.expect("listed");
    let is_agents = |name: &String| name.starts_with("sdocker-agent:");
    images.into_iter().map(|image| image.repo_tags).find(|names| !names.iter().any(is_agents)).unwrap_or_default()
}

/// A host of the sandbox, and a client of it; `None` where there can be none.
async fn host(docker: Docker) -> Option<(Home, Client)> {
    let home = Home::in_sandbox_with(docker)?;
    let created = home.sdocker(&["create-host", "--instance-type", "c5.xlarge", "--output", "json"]).expect(0).json();
    let text = |key: &str| created[key].as_str().expect(key).to_owned();
    let endpoint = text("endpoint");
    let (host, port) = endpoint.trim_start_matches("tcp://").rsplit_once(':').expect("a port");
    let endpoint = Endpoint::new(host, port.parse().expect("a number"));
    let certs = home.join(".sdocker/hosts").join(text("name")).join("certs/client");
    let credentials = ClientCredentials::load(&certs).expect("loaded");
    let client = Client::connect(&endpoint, &credentials, Duration::from_secs(10)).await.expect("it answers");
    Some((home, client))
}

/// A build context of busybox, with files that .dockerignore leaves out.
fn context(folder: &Path) {
    fs::create_dir_all(folder.join("bin")).expect("made");
    fs::copy("/bin/busybox", folder.join("bin/busybox")).expect("copied");
    let files = [
        ("Dockerfile", "FROM scratch\nARG WHO=nobody\nENV WHO=$WHO\nCOPY . /\n"),
        (".dockerignore", "# not these\n*.secret\n!kept.secret\nDockerfile\n.dockerignore\n"),
        ("a.secret", "x"),
        ("kept.secret", "y"),
    ];
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("written");
    }
}

fn busybox(arguments: &[&str]) -> RunRequest {
    let command = std::iter::once("/bin/busybox").chain(arguments.iter().copied()).map(str::to_owned).collect();
    RunRequest { image: "built:test".into(), command: Some(command), ..RunRequest::default() }
}

#[tokio::test]
async fn a_client_does_what_docker_does() {
    does_what_docker_does(Docker::Old).await;
}

#[tokio::test]
async fn a_client_does_what_docker_does_today() {
    does_what_docker_does(Docker::Todays).await;
}

async fn does_what_docker_does(docker: Docker) {
    let Some((home, client)) = host(docker).await else { return };
    client.ping().await.expect("it answers");
    assert_eq!(client.info().await.expect("informed").os_type.as_deref(), Some("linux"));

    // Build: progress as it comes, .dockerignore honoured, arguments taken.
    let folder = home.join("context");
    context(&folder);
    let mut events = client.events();
    let request = BuildRequest {
        folder: folder.clone(),
        tag: "built:test".into(),
        arguments: [("WHO".to_owned(), "ann".to_owned())].into(),
        ..BuildRequest::default()
    };
    let steps: Vec<_> = client.build(&request).collect().await;
    let steps: Vec<String> = steps.into_iter().map(|step| step.expect("built").status).collect();
    assert!(steps.iter().any(|step| step.starts_with("Step 4/4")), "{steps:?}");
    assert_eq!(newest(&client).await, ["built:test"]);

    // Run: both streams and the exit code.
    let outcome = client.run_collected(&busybox(&["sh", "-c", "/bin/busybox ls /; echo $WHO >&2; exit 7"])).await;
    let outcome = outcome.expect("run");
    let listed = String::from_utf8(outcome.stdout).expect("UTF-8");
    assert!(listed.contains("kept.secret") && !listed.contains("a.secret"), "{listed}");
    assert!(!listed.contains("Dockerfile"), "{listed}");
    assert_eq!((outcome.exit_code, outcome.stderr.as_slice()), (7, b"ann\n".as_slice()));
    assert!(client.containers(true).await.expect("listed").is_empty(), "a container that was run is removed");

    // Logs follow a running container to its end.
    client.ensure_network("sagemaker").await.expect("there");
    client.ensure_network("sagemaker").await.expect("there already");
    let counting = RunRequest {
        name: Some("counting".into()),
        network: Some("sagemaker".into()),
        ..busybox(&["sh", "-c", "for i in 1 2 3; do echo $i; done; exec /bin/busybox sleep 1"])
    };
    let following = async {
        let started = events.next().await;
        drop(started.expect("an event").expect("read"));
        while client.containers(false).await.expect("listed").is_empty() {
            tokio::task::yield_now().await;
        }
        let log = client.logs("counting", ContainerLog { follow: true, ..ContainerLog::default() });
        let lines: Vec<_> = log.map(|line| line.expect("read")).collect().await;
        lines.into_iter().fold(Vec::new(), |mut all, line| {
            let (LogLine::Stdout(bytes) | LogLine::Stderr(bytes)) = line;
            all.extend_from_slice(&bytes);
            all
        })
    };
    let mut written = Vec::new();
    let running = client.run(&counting, |line| {
        let (LogLine::Stdout(bytes) | LogLine::Stderr(bytes)) = line;
        written.extend_from_slice(bytes);
    });
    let (code, followed) = tokio::join!(running, following);
    assert_eq!((code.expect("run"), followed.as_slice()), (0, b"1\n2\n3\n".as_slice()));
    assert_eq!(written, followed);

    // Load what `docker save` wrote, from a stream.
    home.run("docker", &["save", "-o", "saved.tar", "built:test"]).expect(0);
    home.run("docker", &["rmi", "built:test"]).expect(0);
    let archive = fs::read(home.join("saved.tar")).expect("read");
    let chunks: Vec<_> = archive.chunks(64 << 10).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let loaded: Vec<_> = client.load(stream::iter(chunks)).collect().await;
    assert!(loaded.iter().all(Result::is_ok), "{loaded:?}");
    assert_eq!(newest(&client).await, ["built:test"]);

    // Pull with progress, from a registry beside the daemon: it trusts one on its own loopback address.
    let settings = "version: 0.1\nstorage: {filesystem: {rootdirectory: registry}}\nhttp: {addr: '127.0.0.1:5000'}\n";
    fs::write(home.join("registry.yml"), settings).expect("written");
    let dockerd = home.run("sh", &["-c", "cat .sdocker/sandbox/instances/*/docker.pid"]).expect(0).stdout;
    let inside = format!("--net=/proc/{}/ns/net", dockerd.trim());
    let mut registry = home.command("nsenter");
    let registry = registry.args([&inside, "docker-registry", "serve", "registry.yml"]);
    let mut registry = registry.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let push = "docker tag built:test 127.0.0.1:5000/pulled:1 && until docker push 127.0.0.1:5000/pulled:1; do sleep 0.2; done";
    home.run("timeout", &["60", "sh", "-c", push]).expect(0);
    home.run("docker", &["rmi", "built:test", "127.0.0.1:5000/pulled:1"]).expect(0);
    let pulled: Vec<_> = client.pull("127.0.0.1:5000/pulled:1").collect().await;
    registry.kill().expect("it runs");
    registry.wait().expect("it ends");
    let pulled: Vec<_> = pulled.into_iter().map(|step| step.expect("pulled")).collect();
    assert!(pulled.iter().any(|step| step.layer.is_some() && step.current.is_some()), "{pulled:?}");
    assert_eq!(newest(&client).await, ["127.0.0.1:5000/pulled:1"]);

    // Errors name what was attempted.
    let failed = |error: docker_remote::Error| format!("{:#}", Chain(&error));
    let error = client.run_collected(&RunRequest { image: "nothing:here".into(), ..RunRequest::default() }).await;
    assert!(failed(error.expect_err("no such image")).contains("nothing:here"));
    let error = first_error(client.pull("127.0.0.1:9/nothing:here")).await;
    assert!(failed(error.expect("no such registry")).contains("pull 127.0.0.1:9/nothing:here"));
    fs::write(folder.join("Dockerfile"), "FROM scratch\nBREAK\n").expect("written");
    let error = first_error(client.build(&request)).await;
    assert!(failed(error.expect("a bad Dockerfile")).contains("build built:test"));
    let nowhere = BuildRequest { folder: home.join("no-such-folder"), ..request };
    let error = first_error(client.build(&nowhere)).await;
    assert!(failed(error.expect("no folder")).contains("no-such-folder"));

    home.sdocker(&["terminate-host", "--all"]).expect(0);
}

async fn first_error<T>(progress: docker_remote::Stream<T>) -> Option<docker_remote::Error> {
    progress.filter_map(|item| std::future::ready(item.err())).next().await
}

/// An error with its causes.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let causes = std::iter::successors(Some(self.0), |error| error.source());
        causes.enumerate().try_for_each(|(n, error)| write!(f, "{}{error}", if n == 0 { "" } else { ": " }))
    }
}

#[test]
fn another_program_gets_a_host_runs_a_container_and_ends_the_host() {
    let Some(home) = Home::in_sandbox() else { return };
    let folder = home.join("context");
    context(&folder);
    fs::write(folder.join("Dockerfile"), "FROM scratch\nCOPY . /\nCMD [\"/bin/busybox\", \"echo\", \"embedded\"]\n")
        .expect("written");
    // Cargo puts examples beside the binary.
    let binary = std::env::var("SDOCKER_BIN").expect("the binary under test");
    let program = Path::new(&binary).with_file_name("examples").join("embed");
    let ran = home.run(program.to_str().expect("UTF-8"), &[folder.to_str().expect("UTF-8")]).expect(0);
    assert_eq!(ran.stdout, "embedded\n", "{}", ran.stderr);
    for told in ["Started(", "Finished {", "waiting for the Docker daemon"] {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    // Nothing is left, and the binary sees the same home.
    assert_eq!(home.records(), Vec::<serde_json::Value>::new());
    let listed = home.sdocker(&["list-hosts", "--output", "json"]).expect(0).json();
    assert_eq!(listed["hosts"], serde_json::json!([]));
}
