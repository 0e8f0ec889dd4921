//! Costs in words.

use host_provisioner::Market;
use sdocker::cost::{Cost, Hourly, dollars};

/// What the disk of a stopped host costs.
pub(super) fn a_month(hourly: Option<&Hourly>) -> String {
    match hourly {
        Some(hourly) => format!("{} a month while it is stopped", dollars(hourly.volume_a_month())),
        None => "a price a month that could not be looked up".to_owned(),
    }
}

/// What a new host costs.
pub(super) fn of_new_host(cost: Option<&Cost>) -> String {
    let Some(cost) = cost else { return "an unknown amount: the price could not be looked up".to_owned() };
    let hourly = cost.hourly_usd;
    if hourly.total() == 0.0 {
        return "nothing: it runs on this machine".to_owned();
    }
    let [hour, instance, volume, most] =
        [hourly.total(), hourly.instance, hourly.volume, cost.at_most_usd].map(dollars);
    match hourly.market {
        Market::OnDemand => format!(
            "{hour} an hour ({instance} the instance, {volume} its volume), {most} at the most until it ends itself"
        ),
        Market::Spot => format!(
            "{hour} an hour at today's Spot price ({instance} the instance, {volume} its volume), and never more than the \
             on-demand price: {most} at the most until it ends itself"
        ),
    }
}

/// What a host has cost and can cost.
pub(super) fn so_far(cost: Option<&Cost>) -> String {
    match cost {
        None => "unknown: AWS's prices could not be looked up when it was created".to_owned(),
        Some(cost) if cost.hourly_usd.total() == 0.0 => "nothing: it runs on this machine".to_owned(),
        Some(cost) => {
            let [hour, so_far, most] = [cost.hourly_usd.total(), cost.so_far_usd, cost.at_most_usd].map(dollars);
            format!("{hour} an hour, {so_far} so far, {most} at the most until it ends itself")
        }
    }
}
