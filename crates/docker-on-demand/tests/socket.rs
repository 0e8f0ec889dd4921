//! The socket, before a daemon in memory and without one. Time is paused: waits take none.

#[path = "socket/fake.rs"]
mod fake;

use std::{fs, time::Duration};

use docker_on_demand::Found;
use fake::{Client, Fake, nothing};
use tokio::time::{Instant, sleep};

fn host() -> Found {
    Found::Host("old".into())
}

#[tokio::test(start_paused = true)]
async fn what_only_asks_is_answered_and_launches_nothing() {
    let fake = Fake::new(nothing());
    let mut client = Client::of(&fake.proxy());
    assert_eq!(client.ask("GET", "/_ping").await, (200, "OK".to_owned()));
    for (method, target, status, said) in [
        ("GET", "/v1.44/containers/json?all=1", 200, "[]"),
        ("GET", "/volumes", 200, r#""Volumes":[]"#),
        ("GET", "/v1.41/version", 200, r#""ApiVersion":"1.44","MinAPIVersion":"1.24""#),
        ("GET", "/info", 200, r#""NCPU":4"#),
        ("POST", "/auth", 200, "Login Succeeded"),
        ("POST", "/containers/prune", 200, r#"{"ContainersDeleted":[],"SpaceReclaimed":0}"#),
        ("GET", "/containers/web/json", 404, "No such container: web: its host ended at 12:00 UTC"),
        ("GET", "/images/a/b:1/json", 404, "No such image: a/b:1: its host"),
        ("DELETE", "/networks/n", 404, "network n not found: its host"),
        ("GET", "/services", 503, "This node is not a swarm manager"),
        ("GET", "/distribution/a/json", 503, "launches none"),
        ("GET", "/v1.45/containers/json", 400, "client version 1.45 is too new. Maximum supported API version is 1.44"),
        ("GET", "/v1.23/containers/json", 400, "client version 1.23 is too old"),
    ] {
        let (answered, body) = client.ask(method, target).await;
        assert!(answered == status && body.contains(said), "{method} {target}: {answered} {body}");
    }
    assert_eq!(fake.launches(), 0);
}

/// What a stopped host has is neither listed nor denied, and asking for it starts nothing; what needs a host starts it, and asks it.
#[tokio::test(start_paused = true)]
async fn a_host_that_is_stopped_is_started_and_not_taken_for_empty() {
    let fake = Fake::new(Found::Stopped("its host old is stopped".to_owned()));
    let proxy = fake.proxy();
    let mut client = Client::of(&proxy);
    assert_eq!(client.ask("GET", "/_ping").await, (200, "OK".to_owned()));
    assert_eq!(client.ask("GET", "/info").await.0, 200);
    for (method, target) in [
        ("GET", "/containers/json?all=1"),
        ("GET", "/images/json"),
        ("GET", "/containers/web/json"),
        ("DELETE", "/volumes/data"),
        ("POST", "/containers/prune"),
        ("POST", "/containers/web/start"),
    ] {
        let (status, said) = client.ask(method, target).await;
        assert!(status == 503 && said.contains("its host old is stopped, with what it has; "), "{target}: {said}");
    }
    assert_eq!(fake.launches(), 0);
    fake.may_end.add_permits(1);
    // Its image may be there: the client is not told to pull it.
    let (status, said) = client.ask_with("POST", "/containers/create", "", r#"{"Image":"mine"}"#).await;
    assert_eq!(
        (status, fake.launches(), said.as_str()),
        (201, 1, r#"{"Id":"made"}"#),
        "it was the daemon that answered"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_of_one_connection_go_to_the_host_and_each_is_looked_at() {
    let fake = Fake::new(host());
    let mut client = Client::of(&fake.proxy());
    let (status, list) = client.ask("GET", "/v1.44/containers/json").await;
    assert_eq!((status, list.as_str()), (200, r#"[{"Id":"2","Labels":{}}]"#));
    assert!(client.ask("GET", "/version").await.1.contains(r#""ApiVersion":"1.44""#));
    client.send("GET /_ping HTTP/1.1\r\n\r\n").await;
    assert!(client.until("\r\n\r\nOK").await.contains("Api-Version: 1.44\r\n"), "the same as without a host");
    assert_eq!(client.ask("GET", "/what").await, (404, r#"{"message":"no such thing"}"#.to_owned()));
    // Two at once.
    client.send("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n").await;
    client.until("no such thing").await;
    client.until("no such thing").await;
    assert_eq!(fake.seen()[3..], ["GET /what HTTP/1.1", "GET /a HTTP/1.1", "GET /b HTTP/1.1"]);
}

#[tokio::test(start_paused = true)]
async fn an_attached_stream_ends_in_one_direction_and_goes_on_in_the_other() {
    let fake = Fake::new(host());
    let mut client = Client::of(&fake.proxy());
    // What is sent right behind the request is not lost.
    client.send("POST /containers/c/attach HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst ").await;
    client.until("first ").await;
    client.send("second ").await;
    client.until("second ").await;
    client.end().await;
    assert_eq!(client.rest().await, "and the end");
}

/// docker-py would lose it.
#[tokio::test(start_paused = true)]
async fn who_reads_an_upgraded_response_late_finds_nothing_behind_it_yet() {
    let fake = Fake::new(host());
    let mut client = Client::of(&fake.proxy());
    client.send("POST /containers/c/attach HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst ").await;
    sleep(Duration::from_millis(10)).await;
    client.until("101 UPGRADED").await;
    client.until("\r\n\r\n").await;
    assert_eq!(client.read_ahead(), b"");
    client.until("first ").await;
}

#[tokio::test(start_paused = true)]
async fn a_build_is_passed_on_as_it_comes() {
    let fake = Fake::new(host());
    let mut client = Client::of(&fake.proxy());
    client.send("POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    // The head alone is there at once.
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 200 OK"));
    client.send("3\r\nabc\r\n").await;
    client.until("08 read").await;
    client.send("0\r\n\r\n").await;
    client.until("05 read\n\r\n0\r\n\r\n").await;
    assert_eq!(client.ask("GET", "/_ping").await.0, 200, "the connection is for another request");
}

#[tokio::test(start_paused = true)]
async fn twenty_requests_at_once_cause_one_launch() {
    let fake = Fake::new(nothing());
    let proxy = fake.proxy();
    let asked = (0..20).map(|_| {
        let mut client = Client::of(&proxy);
        tokio::spawn(async move { client.ask("POST", "/networks/create").await })
    });
    let asked: Vec<_> = asked.collect();
    sleep(Duration::from_secs(30)).await;
    fake.may_end.add_permits(20);
    for answered in asked {
        assert_eq!(answered.await.expect("no panic"), (404, r#"{"message":"no such thing"}"#.to_owned()));
    }
    assert_eq!(fake.launches(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_can_wait_no_longer_is_told_and_the_launch_goes_on() {
    let fake = Fake::new(nothing());
    let proxy = fake.proxy();
    let began = Instant::now();
    let (status, said) = Client::of(&proxy).ask("POST", "/volumes/create").await;
    assert_eq!((status, began.elapsed().as_secs()), (503, 45));
    assert!(said.contains("the host is starting, about 75 s; try again"), "{said}");
    // Docker's own clients wait as long as it takes.
    let patient = [
        "User-Agent: Docker-Client/25.0 (linux)\r\n",
        "User-Agent: compose/2.40.3\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c\r\n",
    ];
    let waiting = patient.map(|headers| {
        let mut client = Client::of(&proxy);
        tokio::spawn(async move { client.ask_with("POST", "/volumes/create", headers, "").await })
    });
    sleep(Duration::from_secs(300)).await;
    fake.may_end.add_permits(1);
    for waiting in waiting {
        assert_eq!(waiting.await.expect("no panic").0, 404);
    }
    assert_eq!(fake.launches(), 1);
}

/// Each client, by what it says of itself: it waits as long as it has time, and gets an answer before it gives up; a pull is told to each at once.
#[tokio::test(start_paused = true)]
async fn a_host_that_takes_150_seconds() {
    let fake = Fake::new(nothing());
    let proxy = fake.proxy();
    let began = Instant::now();
    let clients = [
        ("Docker-Client/20.10.24+dfsg1 (linux)", true),
        ("Docker-Client/28.5.2 (linux)", true),
        ("compose/2.40.3", true),
        ("docker-compose/1.29.2 docker-py/5.0.3 Linux/6.1", false),
        ("docker-sdk-python/7.1.0", false),
        ("tc-python/4.15.0", false),
    ];
    let waiting = clients.map(|(agent, waits)| {
        let mut client = Client::of(&proxy);
        let asked = async move {
            let answered = client.ask_with("POST", "/networks/create", &format!("User-Agent: {agent}\r\n"), "").await;
            (answered, began.elapsed().as_secs())
        };
        (agent, waits, tokio::spawn(asked))
    });
    let pulling = clients.map(|(agent, _)| {
        let mut client = Client::of(&proxy);
        tokio::spawn(async move {
            client.send(&format!("POST /images/create?fromImage=a HTTP/1.1\r\nUser-Agent: {agent}\r\n\r\n")).await;
            client.until("\"launching\"").await;
            let told = began.elapsed();
            client.until("\r\n0\r\n\r\n").await;
            (told.as_secs(), began.elapsed().as_secs())
        })
    });
    sleep(Duration::from_secs(150)).await;
    fake.may_end.add_permits(1);
    for (agent, waits, answered) in waiting {
        let ((status, said), after) = answered.await.expect("no panic");
        match waits {
            true => assert_eq!((status, after), (404, 150), "{agent}: it has the daemon's answer: {said}"),
            false => assert_eq!((status, after), (503, 45), "{agent}: {said}"),
        }
    }
    for pulled in pulling {
        assert_eq!(pulled.await.expect("no panic"), (0, 150));
    }
    assert_eq!(fake.launches(), 1);
}

/// docker-py waits for 60 s, and sends everything before it looks for an answer: a load is told in the stream, which is where it looks for errors of
/// one, and an import by the status.
#[tokio::test(start_paused = true)]
async fn a_load_whose_client_gives_up_is_told_before() {
    let fake = Fake::new(nothing());
    let proxy = fake.proxy();
    // More than is kept anywhere.
    let archive = "x".repeat(4 << 20);
    let loads = |target: &str, agent: &str| {
        let mut client = Client::of(&proxy);
        let head =
            format!("POST {target} HTTP/1.1\r\nUser-Agent: {agent}\r\nContent-Length: {}\r\n\r\n", archive.len());
        let all = head + &archive;
        tokio::spawn(async move {
            let began = Instant::now();
            client.send(&all).await;
            let answer = client.until("\r\n0\r\n\r\n").await;
            (answer, began.elapsed().as_secs())
        })
    };
    let docker_py = "docker-sdk-python/7.1.0";
    let (load, patient) = (loads("/images/load", docker_py), loads("/images/load", "Docker-Client/28.5.2 (linux)"));
    let (answer, after) = load.await.expect("no panic");
    assert_eq!(after, 45);
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(r#"{"stream":"launching\n"}"#), "{answer}");
    assert!(answer.contains(r#""error":"the host is starting, about 75 s; try again""#), "{answer}");
    let (status, said) = Client::of(&proxy)
        .ask_with("POST", "/images/create?fromSrc=-&repo=a", "User-Agent: docker-py/5.0.3\r\n", "x")
        .await;
    assert!(status == 503 && said.contains("the host is starting, about 30 s; try again"), "{status} {said}");
    sleep(Duration::from_secs(60)).await;
    fake.may_end.add_permits(1);
    let (answer, after) = patient.await.expect("no panic");
    assert!(after == 150 && answer.contains("no such thing"), "it has the daemon's answer: {after} {answer}");
    assert_eq!(fake.launches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pull_tells_the_launch_from_the_first_second_and_then_what_the_daemon_says() {
    let fake = Fake::new(nothing());
    let mut client = Client::of(&fake.proxy());
    client.send("POST /images/create?fromImage=a HTTP/1.1\r\n\r\n").await;
    let began = Instant::now();
    let told = client.until("\"launching\"").await;
    assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{told}");
    assert!(told.contains("\r\nConnection: close\r\n"), "the next request is not to be sent here: {told}");
    assert!(began.elapsed() < Duration::from_secs(1));
    fake.may_end.add_permits(1);
    client.until(r#"{"status":"pulled"}"#).await;
    client.until("\r\n0\r\n\r\n").await;
    // What the daemon refuses, and a launch that fails, are errors of the stream.
    for (outcome, said) in [(Ok(()), "no such repository"), (Err("no capacity".to_owned()), "no capacity")] {
        let fake = Fake::new(nothing());
        fake.set(|situation| situation.outcome = outcome);
        fake.may_end.add_permits(1);
        let mut client = Client::of(&fake.proxy());
        client.send("POST /images/create?fromImage=nosuch HTTP/1.1\r\n\r\n").await;
        let told = client.until("\r\n0\r\n\r\n").await;
        assert!(told.contains(&format!("\"error\":\"{said}\"")), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_build_before_the_launch_is_read_when_there_is_a_host() {
    let fake = Fake::new(nothing());
    let mut client = Client::of(&fake.proxy());
    client.send("POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").await;
    client.until(r#"{"stream":"launching\n"}"#).await;
    fake.may_end.add_permits(1);
    client.until("13 read").await;
    client.until("\r\n0\r\n\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_container_without_a_host_launches_it_and_its_image_is_to_be_pulled() {
    let fake = Fake::new(nothing());
    let proxy = fake.proxy();
    let gpu = r#"{"Image":"a","HostConfig":{"DeviceRequests":[{"Count":-1,"Capabilities":[["gpu"]]}]}}"#;
    let (status, said) = Client::of(&proxy).ask_with("POST", "/containers/create", "", gpu).await;
    assert!(status == 400 && said.contains("c5.xlarge has no GPU") && fake.launches() == 0, "{status} {said}");
    let (status, said) = Client::of(&proxy).ask_with("POST", "/containers/create", "", r#"{"Image":"a:1"}"#).await;
    assert!(status == 404 && said.contains("No such image: a:1"), "{status} {said}");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(fake.launches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_launch_that_failed_is_not_repeated_at_once_nor_too_often() {
    let fake = Fake::new(nothing());
    let proxy = fake.proxy();
    fake.may_end.add_permits(100);
    fake.set(|situation| situation.outcome = Err("no capacity".to_owned()));
    let ask = async || Client::of(&proxy).ask("POST", "/volumes/create").await;
    assert_eq!((ask().await.0, fake.launches()), (503, 1));
    let (status, said) = ask().await;
    assert!(status == 503 && said.contains("no capacity (nothing is launched for another 60 s)"), "{said}");
    // The pause doubles.
    sleep(Duration::from_secs(61)).await;
    assert_eq!((ask().await.0, fake.launches()), (503, 2));
    sleep(Duration::from_secs(61)).await;
    assert_eq!((ask().await.0, fake.launches()), (503, 2));
    sleep(Duration::from_secs(61)).await;
    fake.set(|situation| situation.outcome = Ok(()));
    assert_eq!((ask().await.0, fake.launches()), (404, 3));
    // Hosts that end at once are not replaced without an end.
    for launches in 4..=6 {
        fake.set(|situation| situation.found = nothing());
        assert_eq!((ask().await.0, fake.launches()), (404, launches));
    }
    fake.set(|situation| situation.found = nothing());
    let (status, said) = ask().await;
    assert!(status == 503 && said.contains("6 hosts were launched within an hour"), "{said}");
    sleep(Duration::from_secs(3600)).await;
    assert_eq!((ask().await.0, fake.launches()), (404, 7));
}

/// Whoever restarts the process, or has another app with the same home, gets no more launches by it.
#[tokio::test(start_paused = true)]
async fn pauses_and_limits_outlive_the_process() {
    let fake = Fake::new(nothing());
    fake.may_end.add_permits(100);
    fake.set(|situation| situation.outcome = Err("no capacity".to_owned()));
    let ask = async || Client::of(&fake.proxy()).ask("POST", "/volumes/create").await;
    assert_eq!((ask().await.0, fake.launches()), (503, 1));
    let (_, said) = ask().await;
    assert!(said.contains("no capacity (nothing is launched for another 60 s)"), "{said}");
    sleep(Duration::from_secs(61)).await;
    assert_eq!((ask().await.0, fake.launches()), (503, 2));
    let (_, said) = ask().await;
    assert!(said.contains("for another 120 s"), "it has doubled: {said}");
    sleep(Duration::from_secs(121)).await;
    fake.set(|situation| situation.outcome = Ok(()));
    for launches in 3..=6 {
        fake.set(|situation| situation.found = nothing());
        assert_eq!((ask().await.0, fake.launches()), (404, launches));
    }
    fake.set(|situation| situation.found = nothing());
    let (status, said) = ask().await;
    assert!(status == 503 && said.contains("6 hosts were launched within an hour"), "{said}");
    // Where it can't be told how many there were, there is none.
    sleep(Duration::from_secs(3600)).await;
    fake.set(|situation| situation.history = Err("launches.json can't be read".to_owned()));
    assert_eq!(ask().await, (503, r#"{"message":"launches.json can't be read"}"#.to_owned()));
    assert_eq!(fake.launches(), 6);
}

/// Two apps of one home, asked at the same time.
#[tokio::test(start_paused = true)]
async fn two_sockets_of_one_user_launch_one_host() {
    let fake = Fake::new(nothing());
    let asked = [fake.proxy(), fake.proxy()].map(|proxy| {
        let mut client = Client::of(&proxy);
        tokio::spawn(async move { client.ask("POST", "/networks/create").await })
    });
    sleep(Duration::from_secs(30)).await;
    fake.may_end.add_permits(2);
    for answered in asked {
        assert_eq!(answered.await.expect("no panic").0, 404);
    }
    assert_eq!(fake.launches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_answer_is_not_replaced_on_doubt() {
    let fake = Fake::new(host());
    let proxy = fake.proxy();
    fake.set(|situation| {
        (situation.is_cut, situation.lost) = (true, Found::Doubtful("old does not answer".to_owned()))
    });
    for target in ["/containers/json", "/_ping", "/what"] {
        assert_eq!(
            Client::of(&proxy).ask("GET", target).await,
            (503, r#"{"message":"old does not answer"}"#.to_owned())
        );
    }
    assert_eq!(Client::of(&proxy).ask("POST", "/volumes/create").await.0, 503);
    // Its end is another matter.
    fake.set(|situation| (situation.found, situation.lost) = (host(), nothing()));
    assert_eq!(Client::of(&proxy).ask("GET", "/containers/json").await, (200, "[]".to_owned()));
    assert_eq!(fake.launches(), 0);
}

#[tokio::test(start_paused = true)]
async fn binds_are_resolved_here_and_shared() {
    let place = tempfile::tempdir().expect("made");
    let root = fs::canonicalize(place.path()).expect("there");
    fs::create_dir(root.join("real")).expect("made");
    std::os::unix::fs::symlink("real", root.join("link")).expect("linked");
    let fake = Fake::new(host());
    let proxy = fake.proxy();
    let at = |name: &str| root.join(name).display().to_string();
    let (link, missing) = (at("link"), at("missing/deep"));
    let body = serde_json::json!({"Image": "a", "HostConfig": {
        "Binds": [format!("{link}:/work:ro"), "volume:/v", format!("{missing}:/m"), "/dev/shm:/shm", "/var/run/docker.sock:/var/run/docker.sock"],
        "Mounts": [{"Type": "bind", "Source": link, "Target": "/n"}, {"Type": "volume", "Source": "v", "Target": "/o"}]}});
    let (status, _) = Client::of(&proxy).ask_with("POST", "/v1.44/containers/create", "", &body.to_string()).await;
    assert_eq!(status, 201);
    let sent: serde_json::Value = serde_json::from_str(&fake.seen()[1]).expect("JSON");
    let real = at("real");
    let expected = [
        format!("{real}:/work:ro"),
        "volume:/v".to_owned(),
        format!("{missing}:/m"),
        "/dev/shm:/shm".to_owned(),
        "/run/of/the/host.sock:/var/run/docker.sock".to_owned(),
    ];
    assert_eq!(sent["HostConfig"]["Binds"], serde_json::json!(expected));
    assert_eq!(sent["HostConfig"]["Mounts"][0]["Source"], serde_json::json!(real));
    assert!(root.join("missing/deep").is_dir(), "as Docker does for -v");
    let shared = fake.situation.lock().expect("sound").shared.clone();
    assert_eq!(shared, [root.join("real"), root.join("missing/deep"), root.join("real")]);
    // What can't be had is said, and the container is not made.
    let mount = serde_json::json!({"HostConfig": {"Mounts": [{"Type": "bind", "Source": at("none"), "Target": "/n"}]}});
    let (status, said) = Client::of(&proxy).ask_with("POST", "/containers/create", "", &mount.to_string()).await;
    assert!(status == 400 && said.contains("bind source path does not exist"), "{said}");
    fake.set(|situation| situation.refuses_to_share = Some("it is not shared".to_owned()));
    let (status, said) = Client::of(&proxy).ask_with("POST", "/containers/create", "", &body.to_string()).await;
    assert!(status == 400 && said.contains("it is not shared"), "{said}");
    assert_eq!(fake.seen().len(), 2);
}

/// Binds that are volumes, and those of services, are the app's as well.
#[tokio::test(start_paused = true)]
async fn binds_of_volumes_and_services_are_resolved_and_shared() {
    let place = tempfile::tempdir().expect("made");
    let root = fs::canonicalize(place.path()).expect("there");
    fs::create_dir(root.join("real")).expect("made");
    std::os::unix::fs::symlink("real", root.join("link")).expect("linked");
    let (link, real) = (root.join("link").display().to_string(), root.join("real").display().to_string());
    let bind = |device: &str| serde_json::json!({"type": "none", "o": "rw,bind", "device": device});
    let of_volume = |device: &str| serde_json::json!({"Name": "v", "Driver": "local", "DriverOpts": bind(device)});
    let mounts = |source: &str| {
        serde_json::json!([{"Type": "bind", "Source": source, "Target": "/a"},
            {"Type": "volume", "Source": "w", "Target": "/b", "VolumeOptions": {"DriverConfig": {"Options": bind(source)}}}])
    };
    let of_service = |source: &str| serde_json::json!({"TaskTemplate": {"ContainerSpec": {"Mounts": mounts(source)}}});
    let of_container = |source: &str| serde_json::json!({"Image": "a", "HostConfig": {"Mounts": mounts(source)}});
    let fake = Fake::new(host());
    let proxy = fake.proxy();
    let ask = async |target: &str, body: &serde_json::Value| {
        Client::of(&proxy).ask_with("POST", target, "", &body.to_string()).await
    };
    let mut shared = 0;
    for (target, asked, expected, shares) in [
        ("/v1.44/volumes/create", of_volume(&link), of_volume(&real), 1),
        ("/v1.44/services/create", of_service(&link), of_service(&real), 2),
        ("/v1.44/services/s/update", of_service(&link), of_service(&real), 2),
        ("/v1.44/containers/create", of_container(&link), of_container(&real), 2),
    ] {
        ask(target, &asked).await;
        let sent: serde_json::Value = serde_json::from_str(fake.seen().last().expect("sent")).expect("JSON");
        assert_eq!(sent, expected, "{target}");
        shared += shares;
        assert_eq!(fake.situation.lock().expect("sound").shared.len(), shared, "{target}");
    }
    // What can't be had is not left to a mount that fails later.
    let missing = root.join("none").display().to_string();
    for (target, body) in [("/volumes/create", of_volume(&missing)), ("/services/create", of_service(&missing))] {
        let (status, said) = ask(target, &body).await;
        assert!(status == 400 && said.contains("bind source path does not exist"), "{target}: {said}");
    }
    // A volume that is none is no business of ours; nor is another driver's.
    let other = serde_json::json!({"Driver": "nfs", "DriverOpts": bind(&missing)});
    let tmpfs = serde_json::json!({"DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}});
    for body in [serde_json::json!({"Name": "v"}), other, tmpfs] {
        ask("/volumes/create", &body).await;
        let sent: serde_json::Value = serde_json::from_str(fake.seen().last().expect("sent")).expect("JSON");
        assert_eq!(sent, body);
    }
    assert_eq!(fake.situation.lock().expect("sound").shared.len(), shared);
}

/// What a container publishes is looked for at localhost once it is started; all else need not wait for that.
#[tokio::test(start_paused = true)]
async fn a_container_is_started_once_its_ports_are_followed() {
    let fake = Fake::new(host());
    fake.linked.send_replace(false);
    let proxy = fake.proxy();
    let (status, _) = Client::of(&proxy).ask_with("POST", "/v1.44/containers/create", "", "{}").await;
    assert_eq!(status, 201);
    let started = async { Client::of(&proxy).ask("POST", "/v1.44/containers/made/start").await };
    tokio::pin!(started);
    tokio::select! {
        biased;
        answer = &mut started => panic!("too early: {answer:?}"),
        () = sleep(Duration::from_secs(1)) => {}
    }
    assert!(!fake.seen().iter().any(|line| line.contains("start")), "{:?}", fake.seen());
    fake.linked.send_replace(true);
    started.await;
    assert!(fake.seen().iter().any(|line| line.contains("/containers/made/start")), "{:?}", fake.seen());
}

#[tokio::test(start_paused = true)]
async fn events_go_on_over_a_launch_and_an_end() {
    let fake = Fake::new(nothing());
    let mut client = Client::of(&fake.proxy());
    client.send("GET /events HTTP/1.1\r\n\r\n").await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("\r\nConnection: close\r\n"), "at once: {head}");
    sleep(Duration::from_secs(600)).await;
    fake.set(|situation| situation.found = host());
    // The daemon ends each time after one event that is seen, and there is another.
    for _ in 0..3 {
        let told = client.until("\"seen\"").await;
        assert!(!told.contains("hidden"), "{told}");
    }
    assert!(fake.seen().iter().all(|line| line.contains("since=")), "{:?}", fake.seen());
    assert_eq!(fake.launches(), 0);
    let mut bounded = Client::of(&fake.proxy());
    bounded.send("GET /events?until=1 HTTP/1.1\r\n\r\n").await;
    bounded.until("\r\n0\r\n\r\n").await;
}
