//! What a host costs, by AWS's Price List and EC2's Spot prices: where they answer, where they do not, and that nothing waits for them.

use std::{
    fs,
    time::{Duration, Instant},
};

use sdocker_tests::{Front, Home, eventually};
use serde_json::{Value, json};

fn plan(home: &Home, more: &[&str]) -> (Value, Duration) {
    plan_of(home, "c5.xlarge", more)
}

fn plan_of(home: &Home, instance_type: &str, more: &[&str]) -> (Value, Duration) {
    let began = Instant::now();
    let arguments = [&["create-host", instance_type, "--dry-run", "--output", "json"], more].concat();
    (home.sdocker(&arguments).expect(0).json(), began.elapsed())
}

fn close(found: &Value, expected: f64) -> bool {
    found.as_f64().is_some_and(|found| (found - expected).abs() < 0.01)
}

/// 400 GiB for 730 hours a month.
const VOLUME: f64 = 0.088 * 400.0 / 730.0;

#[test]
fn a_host_says_what_it_costs() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let hourly =
        |cost: &Value| close(&cost["hourly_usd"]["instance"], 0.192) && close(&cost["hourly_usd"]["volume"], VOLUME);
    let (planned, _) = plan(&home, &[]);
    assert!(hourly(&planned["cost"]) && close(&planned["cost"]["at_most_usd"], 12.0 * (0.192 + VOLUME)), "{planned:#}");
    assert_eq!(front.priced(), ["priced", "priced"]);
    // It is kept for a day.
    let said = home.sdocker(&["create-host", "c5.xlarge", "--dry-run"]).expect(0).stdout;
    assert!(said.contains("$0.24 an hour ($0.19 the instance, $0.048 its volume), $2.88 at the most"), "{said}");
    assert_eq!(front.priced().len(), 2);

    // What a host was said to cost when it was created is what is said of it later, and nobody is asked.
    let created = home.sdocker(&["create-host", "c5.xlarge", "--output", "json"]).expect(0).json();
    assert!(hourly(&created["cost"]), "{created:#}");
    let listed = home.sdocker(&["list-hosts", "--offline", "--output", "json"]).expect(0).json();
    assert!(hourly(&listed["hosts"][0]["cost"]), "{listed:#}");
    let status = home.sdocker(&["status"]).expect(0).stdout;
    assert!(says_costs(&status, "$0.24"), "{status}");
    let table = home.sdocker(&["list-hosts"]).expect(0).stdout;
    assert!(table.contains("SO FAR") && table.contains("$0.24"), "{table}");
    assert_eq!(front.priced().len(), 2);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);

    // A type that the list does not have.
    let said = home.sdocker(&["create-host", "c5.large", "--dry-run"]).expect(0).stdout;
    assert!(said.contains("the price could not be looked up"), "{said}");
    assert_eq!(front.priced().last().map(String::as_str), Some("no product"));
}

/// Without permission, through a proxy's page, or without an answer: unknown, and the creation is as quick as it was.
#[test]
fn a_price_that_is_not_there_is_unknown_and_is_not_waited_for() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    front.deny(&["pricing:GetProducts"]);
    assert_eq!(plan(&home, &[]).0["cost"], Value::Null);
    assert!(front.priced().contains(&"denied".to_owned()));
    let refused = home.sdocker(&["create-host", "c5.xlarge", "--max-cost", "5"]).expect(1).stderr;
    assert!(refused.contains("what a c5.xlarge costs is not known, so it can't be kept below $5"), "{refused}");
    assert!(refused.contains("pricing:GetProducts"), "{refused}");
    assert_eq!(front.live(), Vec::<String>::new());
    front.deny(&[]);

    front.answer_prices(&json!("page"));
    assert_eq!(plan(&home, &[]).0["cost"], Value::Null);
    assert!(front.priced().contains(&"page".to_owned()));

    front.answer_prices(&json!("silent"));
    let (planned, took) = plan(&home, &[]);
    assert_eq!(planned["cost"], Value::Null);
    assert!(took >= Duration::from_secs(2), "it was waited for: {took:?}");
    let created = home.sdocker(&["create-host", "c5.xlarge", "--output", "json"]).expect(0).json();
    assert_eq!(created["cost"], Value::Null);
    assert!(front.priced().contains(&"silent".to_owned()));
    let status = home.sdocker(&["status"]).expect(0).stdout;
    assert!(status.contains("unknown: AWS's prices could not be looked up"), "{status}");
    front.release();
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

/// A host is to cost no more than this: it ends itself by then.
#[test]
fn a_limit_in_dollars_is_one_in_time() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    // Under the policy that is printed for it.
    front.enforce(&home.sdocker(&["policy", "--for", "create"]).expect(0).json());
    let (planned, _) = plan(&home, &["--max-cost", "1"]);
    assert!(
        close(&planned["cost"]["at_most_usd"], 1.0) || planned["cost"]["at_most_usd"].as_f64() < Some(1.0),
        "{planned:#}"
    );
    assert!(planned["cost"]["at_most_usd"].as_f64() > Some(0.99), "{planned:#}");
    // It does not make a life longer.
    let (planned, _) = plan(&home, &["--max-cost", "100", "--max-lifetime", "1h"]);
    assert!(close(&planned["cost"]["at_most_usd"], 0.192 + VOLUME), "{planned:#}");
    let refused = home.sdocker(&["create-host", "c5.xlarge", "--max-cost", "0.001", "--dry-run"]).expect(1).stderr;
    assert!(
        refused.contains("does not pay for a minute of a c5.xlarge: an hour of one is $0.24 on demand"),
        "{refused}"
    );
    // The same by `sdocker.conf`, where no option says otherwise; the plan says which.
    home.sdocker(&["config", "set", "MaxCost", "2"]).expect(0);
    for (more, most, from) in [(&[][..], 2.0, "sdocker.conf"), (&["--max-cost", "1"], 1.0, "option")] {
        let (planned, _) = plan(&home, more);
        assert!(close(&planned["cost"]["at_most_usd"], most), "{planned:#}");
        let settings = &planned["settings"];
        // The image is what tests put there.
        assert_eq!(
            *settings,
            json!({"DockerImageURI": "sdocker.conf", "InstanceType": "option", "MaxCost": from}),
            "{settings}"
        );
    }
    let said = home.sdocker(&["create-host", "c5.xlarge", "--dry-run"]).expect(0).stdout;
    assert!(
        said.lines().any(|line| line.starts_with("sdocker.conf ") && line.ends_with(" sets DockerImageURI, MaxCost")),
        "{said}"
    );
    front.enforce(&Value::Null);
}

/// Whether the status of a new host says so much an hour, and what it can cost at the most. On a machine that took long it has cost a tenth of
/// a cent by then.
fn says_costs(status: &str, hourly: &str) -> bool {
    status.contains(&format!("{hourly} an hour, $0.00"))
        && status.contains(" so far, $2.88 at the most until it ends itself")
}

/// On Spot a host costs what its zone costs at the moment; a limit in dollars, and what it can cost at the most, are by the price on demand.
#[test]
fn a_host_on_spot_says_what_spot_costs() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    front.enforce(&home.sdocker(&["policy", "--for", "create,status,terminate,purge"]).expect(0).json());
    // Prices have two seconds, which beside other suites may not be enough: each try asks anew.
    let (planned, before) = eventually(Duration::from_secs(60), "a Spot price", || {
        let _ = fs::remove_file(home.join(".sdocker/prices.json"));
        let before = front.priced().len();
        let (planned, _) = plan(&home, &["--spot"]);
        (planned["cost"]["hourly_usd"]["market"] == "spot").then_some((planned, before))
    });
    let cost = &planned["cost"];
    assert_eq!(cost["hourly_usd"]["market"], "spot", "{planned:#}");
    let zone = planned["plan"]["placements"][0]["zone"].as_str().expect("a zone").to_owned();
    let of_zone = if zone == "eu-west-1a" { 0.0702 } else { 0.0741 };
    let exactly = |found: &Value, usd: f64| found.as_f64().is_some_and(|found| (found - usd).abs() < 1e-6);
    assert!(exactly(&cost["hourly_usd"]["instance"], of_zone), "{zone}: {cost:#}");
    assert!(exactly(&cost["hourly_usd"]["instance_at_most"], 0.192), "{cost:#}");
    assert!(close(&cost["at_most_usd"], 12.0 * (0.192 + VOLUME)), "{cost:#}");
    let mut asked = front.priced().split_off(before);
    asked.sort();
    assert_eq!(asked, ["priced", "priced", "spot priced"]);
    let said = home.sdocker(&["create-host", "c5.xlarge", "--dry-run", "--spot"]).expect(0).stdout;
    assert!(said.contains("$0.12 an hour at today's Spot price ($0.07"), "{said}");
    assert!(said.contains("never more than the on-demand price: $2.88 at the most"), "{said}");
    // Nobody is asked again within the hour, and nobody is asked for Spot where that is not wanted.
    assert_eq!(front.priced().len(), before + 3);

    // It lasts as long as the amount does on demand.
    let (planned, _) = plan(&home, &["--spot", "--max-cost", "1"]);
    assert!(planned["cost"]["at_most_usd"].as_f64().is_some_and(|most| most > 0.99 && most <= 1.0), "{planned:#}");

    let created = home.sdocker(&["create-host", "c5.xlarge", "--spot", "--output", "json"]).expect(0).json();
    assert_eq!(created["cost"]["hourly_usd"]["market"], "spot", "{created:#}");
    assert!(created["cost"]["hourly_usd"]["instance"].as_f64() < Some(0.08), "{created:#}");
    let status = home.sdocker(&["status"]).expect(0).stdout;
    assert!(says_costs(&status, "$0.12"), "{status}");
    let table = home.sdocker(&["list-hosts"]).expect(0).stdout;
    assert!(table.contains("$0.12"), "{table}");
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    front.enforce(&Value::Null);
}

/// Without that one permission, what Spot costs is unknown, and a limit in dollars holds nevertheless.
#[test]
fn a_spot_price_that_is_not_there_is_unknown() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    front.deny(&["ec2:DescribeSpotPriceHistory"]);
    let (planned, _) = plan(&home, &["--spot", "--max-cost", "1"]);
    assert_eq!(planned["cost"], Value::Null);
    assert!(front.priced().contains(&"spot denied".to_owned()));
    let now: jiff::Timestamp = jiff::Timestamp::now();
    let expires: jiff::Timestamp = planned["plan"]["expires"].as_str().and_then(|at| at.parse().ok()).expect("a time");
    let hours = expires.duration_since(now).as_secs_f64() / 3600.0;
    assert!((hours - 1.0 / (0.192 + VOLUME)).abs() < 0.1, "{hours}");
    front.deny(&[]);

    front.answer_prices(&json!("silent"));
    let (planned, took) = plan(&home, &["--spot-or-on-demand"]);
    assert_eq!(planned["cost"], Value::Null);
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(6),
        "once, and not one after the other: {took:?}"
    );
    front.release();
    front.answer_prices(&Value::Null);
    // What EC2 does not sell as Spot has no price there.
    let (planned, _) = plan_of(&home, "m5.large", &["--spot"]);
    assert_eq!(planned["cost"], Value::Null);
    assert!(front.priced().contains(&"spot no price".to_owned()), "{:?}", front.priced());
}
