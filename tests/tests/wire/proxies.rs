//! AWS behind a company's proxy: the endpoint has a name that only the proxy knows.

use std::time::{Duration, SystemTime};

use docker_remote::{HostCredentials, HostNames, WriteServerKey};
use sdocker_tests::{Front, Proxy, tls_before};

const CREATE: [&str; 5] = ["create-host", "--instance-type", "c5.xlarge", "--output", "json"];

#[test]
fn aws_is_reached_through_the_proxies_of_the_environment() {
    let Some(front) = Front::start() else { return };
    let proxy = Proxy::start(front.address());
    for (variable, value) in
        [("HTTP_PROXY", format!("http://{}", proxy.address())), ("http_proxy", proxy.address().to_owned())]
    {
        let mut home = front.home();
        home.set("AWS_ENDPOINT_URL", "http://aws.invalid:4566");
        let run = home.sdocker(&CREATE).expect(1);
        assert!(run.stderr.contains("no answer from http://aws.invalid:4566"), "{}", run.stderr);

        home.set(variable, value);
        let before = proxy.asked().len();
        home.sdocker(&CREATE).expect(0);
        home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
        assert_eq!(front.live(), Vec::<String>::new());
        let asked = proxy.asked().split_off(before);
        assert!(asked.len() > 20, "{asked:?}");
        assert!(asked.iter().all(|line| line.contains(" http://aws.invalid:4566/")), "{asked:?}");
    }
}

/// HTTPS goes through a tunnel, to a server whose CA is in `AWS_CA_BUNDLE`; `NO_PROXY` is heard; credentials are asked for directly.
#[test]
fn https_goes_through_a_tunnel_and_the_bundle_is_believed() {
    let Some(front) = Front::start() else { return };
    let mut home = front.home();
    let names =
        HostNames { dns: vec!["aws.invalid".to_owned()], addresses: vec!["127.0.0.1".parse().expect("an address")] };
    let credentials = HostCredentials::generate(&names, SystemTime::now(), Duration::from_secs(3600)).expect("made");
    let certs = home.join("tls");
    credentials.write(&certs, WriteServerKey::Yes).expect("written");
    let server = tls_before(front.address(), &certs.join("server/cert.pem"), &certs.join("server/key.pem"));
    let proxy = Proxy::start(&server);
    home.set("HTTPS_PROXY", format!("http://user:secret@{}", proxy.address()));
    home.set("AWS_ENDPOINT_URL", "https://aws.invalid");

    let run = home.sdocker(&CREATE).expect(1);
    assert!(run.stderr.contains("AWS_CA_BUNDLE"), "the hint: {}", run.stderr);
    assert!(!proxy.asked().is_empty() && proxy.asked().iter().all(|line| line.starts_with("CONNECT aws.invalid:443 ")));

    home.set("AWS_CA_BUNDLE", certs.join("ca/cert.pem"));
    home.sdocker(&CREATE).expect(0);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!(front.live(), Vec::<String>::new());
    // Besides AWS, only the host was asked for: the way that Docker's clients take to it is tried.
    let known = |line: &String| line.starts_with("CONNECT aws.invalid:443 ") || line.contains(":1111 ");
    assert!(proxy.asked().iter().all(known), "{:?}", proxy.asked());

    // What needs no proxy is asked directly.
    let of_aws = || proxy.asked().iter().filter(|line| !line.contains(":1111 ")).count();
    let before = of_aws();
    home.set("NO_PROXY", "127.0.0.1");
    home.set("AWS_ENDPOINT_URL", format!("https://{server}"));
    home.sdocker(&CREATE).expect(0);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!(of_aws(), before, "{:?}", proxy.asked());

    // No proxy sees where credentials come from.
    home.unset("AWS_ACCESS_KEY_ID");
    home.unset("AWS_SECRET_ACCESS_KEY");
    home.unset("NO_PROXY");
    home.set("HTTP_PROXY", format!("http://{}", proxy.address()));
    home.set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/credentials");
    home.sdocker(&CREATE).expect(1);
    assert!(!proxy.asked().iter().any(|line| line.contains("169.254.")), "{:?}", proxy.asked());
}
