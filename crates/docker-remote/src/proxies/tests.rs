use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::Path,
    process::Command,
    sync::mpsc,
    time::{Duration, SystemTime},
};

use super::*;
use crate::{HostCredentials, HostNames, WriteServerKey};

fn variables(set: &[(&'static str, &str)]) -> ProxyVariables {
    ProxyVariables::new(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

/// What may be excluded, the host, and whether Go and `requests` then go straight to it.
const EXCLUSIONS: [(&str, &str, bool, bool); 26] = [
    ("", "ip-10-0-0-1.ec2.internal", false, false),
    ("ip-10-0-0-1.ec2.internal", "ip-10-0-0-1.ec2.internal", true, true),
    ("IP-10-0-0-1.EC2.internal", "ip-10-0-0-1.ec2.internal", true, true),
    ("localhost, ip-10-0-0-1.ec2.internal ,x", "ip-10-0-0-1.ec2.internal", true, true),
    ("ec2.internal", "ip-10-0-0-1.ec2.internal", true, true),
    (".internal", "ip-10-0-0-1.ec2.internal", true, true),
    ("*.internal", "ip-10-0-0-1.ec2.internal", true, false),
    ("*", "ip-10-0-0-1.ec2.internal", true, true),
    ("x,*", "ip-10-0-0-1.ec2.internal", true, false),
    ("nternal", "ip-10-0-0-1.ec2.internal", false, false),
    (".ip-10-0-0-1.ec2.internal", "ip-10-0-0-1.ec2.internal", false, true),
    ("ec2.internal:1111", "ip-10-0-0-1.ec2.internal", true, true),
    ("ec2.internal:2222", "ip-10-0-0-1.ec2.internal", false, false),
    ("10.0.0.0/8", "ip-10-0-0-1.ec2.internal", false, false),
    ("10.0.0.0/8", "10.255.255.255", true, true),
    ("10.255.0.0/16", "10.254.255.255", false, false),
    ("10.255.255.255", "10.255.255.255", true, true),
    ("10.255.255.255:1111", "10.255.255.255", true, false),
    ("10.255.255.255:2222", "10.255.255.255", false, false),
    ("10.255.255.254", "10.255.255.255", false, false),
    ("10.", "10.255.255.255", false, false),
    ("*", "10.255.255.255", true, true),
    ("fd00::/8", "fd00::1", true, false),
    ("[fd00::1]:1111", "fd00::1", true, false),
    ("", "127.0.0.2", true, false),
    ("", "localhost", true, false),
];

#[test]
fn each_client_has_its_own_rules() {
    for (excluded, host, go, requests) in EXCLUSIONS {
        let set = variables(&[("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", excluded)]);
        let endpoint = Endpoint::new(host, 1111);
        assert_eq!(set.of_cli(&endpoint).is_none(), go, "Go: {host} with {excluded}");
        assert_eq!(set.of_docker_py(&endpoint).is_none(), requests, "requests: {host} with {excluded}");
    }
}

#[test]
fn upper_and_lower_case_have_their_order() {
    let host = Endpoint::new("ip-10-0-0-1.ec2.internal", 1111);
    let both = [("HTTPS_PROXY", "upper"), ("https_proxy", "lower")];
    let taken = |set: &[(&'static str, &str)]| {
        let set = variables(set);
        (set.of_cli(&host).map(|proxy| proxy.to_string()), set.of_docker_py(&host).map(|proxy| proxy.to_string()))
    };
    let (upper, lower) = (Some("upper".to_owned()), Some("lower".to_owned()));
    assert_eq!(taken(&both), (upper.clone(), lower.clone()));
    assert_eq!(taken(&[("https_proxy", "lower"), ("HTTPS_PROXY", "")]), (lower.clone(), lower.clone()));
    assert_eq!(taken(&[both[0], both[1], ("NO_PROXY", ".internal")]), (None, None), "the one stands for the other");
    assert_eq!(taken(&[both[0], both[1], ("NO_PROXY", ".internal"), ("no_proxy", "x")]), (None, lower.clone()));
    assert_eq!(taken(&[both[0], both[1], ("NO_PROXY", "x"), ("no_proxy", ".internal")]), (upper, None));
    assert_eq!(taken(&[("all_proxy", "lower")]), (None, lower), "Go does not know it");
    assert_eq!(taken(&[("HTTP_PROXY", "x"), ("http_proxy", "x")]), (None, None), "it is for plain HTTP");
}

#[test]
fn the_host_is_added_to_what_the_user_excludes() {
    let host = Endpoint::new("ip-10-0-0-1.ec2.internal", 1111);
    let proxy = ("HTTPS_PROXY", "http://proxy:3128");
    let excluding = |excluded: &[(&'static str, &str)]| {
        let with: Vec<_> = std::iter::once(proxy).chain(excluded.iter().copied()).collect();
        let [(_, upper), (_, lower)] = variables(&with).excluding(&host).try_into().expect("both");
        // What is said twice is said once.
        let again = variables(&[proxy, ("NO_PROXY", &upper), ("no_proxy", &lower)]);
        assert_eq!(again.excluding(&host), [("NO_PROXY", upper.clone()), ("no_proxy", lower.clone())]);
        assert_eq!((again.of_cli(&host), again.of_docker_py(&host)), (None, None), "{upper} {lower}");
        (upper, lower)
    };
    let name = "ip-10-0-0-1.ec2.internal";
    let pair = |upper: &str, lower: &str| (upper.to_owned(), lower.to_owned());
    assert_eq!(excluding(&[]), pair(name, name));
    let mine = format!("a,b,{name}");
    assert_eq!(excluding(&[("no_proxy", "a,b")]), pair(&mine, &mine));
    assert_eq!(excluding(&[("NO_PROXY", "a,b,"), ("no_proxy", "c")]), pair(&mine, &format!("c,{name}")));
    assert_eq!(excluding(&[("NO_PROXY", "*")]), pair("*", "*"));
    assert_eq!(excluding(&[("NO_PROXY", ".internal")]), pair(".internal", ".internal"));
    assert_eq!(excluding(&[("NO_PROXY", "*.internal")]).1, format!("*.internal,{name}"));
    assert_eq!(variables(&[("NO_PROXY", "a")]).excluding(&host), [], "no proxy, nothing to exclude from it");
}

#[test]
fn passwords_are_not_shown() {
    for (url, shown, user) in [
        ("http://me:secret@proxy:3128/", "http://proxy:3128/", Some("me:secret")),
        ("me:se@cret@proxy:3128", "proxy:3128", Some("me:se@cret")),
        ("http://proxy:3128/a@b", "http://proxy:3128/a@b", None),
    ] {
        let proxy = ClientProxy { variable: "HTTPS_PROXY", url: url.to_owned() };
        assert_eq!((proxy.to_string().as_str(), proxy.user()), (shown, user));
        assert_eq!(format!("{proxy:?}"), format!("HTTPS_PROXY={shown}"));
    }
}

/// The real CLI, asked about each of the exclusions: does it talk to the proxy?
#[test]
fn the_docker_cli_follows_the_same_rules() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let credentials =
        HostCredentials::generate(&HostNames::default(), SystemTime::now(), Duration::from_secs(3600)).expect("made");
    credentials.write(folder.path(), WriteServerKey::No).expect("written");
    let home = folder.path();
    std::thread::scope(|scope| {
        for (excluded, host, straight, _) in EXCLUSIONS {
            scope.spawn(move || {
                let asked = asked_of_proxy(host, excluded, home);
                assert_eq!(asked.is_none(), straight, "{host} with {excluded}: {asked:?}");
                assert!(asked.is_none_or(|line| {
                    line.starts_with(&format!("CONNECT {}", Endpoint::new(host, 1111).authority()))
                }));
            });
        }
    });
}

/// What the CLI asks of a proxy when it is to talk to this host.
fn asked_of_proxy(host: &str, excluded: &str, home: &Path) -> Option<String> {
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", proxy.local_addr().expect("an address"));
    let (said, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in proxy.incoming().flatten() {
            let mut first = String::new();
            let _ = BufReader::new(&connection).read_line(&mut first);
            let _ = said.send(first);
            let _ = (&connection).write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        }
    });
    // Going straight it finds nobody, and need not find out that it does not.
    let mut docker = Command::new("timeout");
    docker.args(["3", "docker", "-H", &Endpoint::new(host, 1111).to_string(), "version"]);
    docker.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home);
    docker.env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", home.join("client"));
    docker.env("HTTPS_PROXY", &address).env("NO_PROXY", excluded);
    let output = docker.output().expect("it runs");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("Client"),
        "the docker CLI is needed (Debian package docker.io)"
    );
    heard.try_iter().next()
}

#[test]
fn what_was_added_for_hosts_is_taken_out_again() {
    let variables = |excluded: &str| {
        ProxyVariables::new(|name| match name {
            "HTTPS_PROXY" => Some("http://proxy:3128".to_owned()),
            "NO_PROXY" => Some(excluded.to_owned()),
            _ => None,
        })
    };
    let host = Endpoint::new("ip-10-0-0-9.ec2.internal", 1111);
    let added = variables("localhost, .s3").excluding(&host);
    assert_eq!(added[0], ("NO_PROXY", "localhost, .s3,ip-10-0-0-9.ec2.internal".to_owned()));
    let taken_out = variables(&added[0].1).including(&[&host.host]);
    assert_eq!(taken_out, [("NO_PROXY", Some("localhost, .s3".to_owned()))]);
    assert_eq!(variables(&host.host).including(&[&host.host]), [("NO_PROXY", None)]);
    assert_eq!(variables("localhost").including(&[&host.host]), []);
}
