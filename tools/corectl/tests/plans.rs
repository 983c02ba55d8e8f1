//! Plans for eight hosts, as an operator reads them.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use corectl::facts::Facts;
use corectl::plan::{PlanLimits, TunePlan, plan, render};
use corectl::profile::Profile;
use support::machine::Machine;

fn planned(host: &str, profile: &str) -> TunePlan {
    let facts = Facts::gather(&Machine::named(host).in_memory());
    plan(&facts, &Profile::named(profile).unwrap(), &PlanLimits::default())
}

/// Hosts, and the profile that their operator would choose.
const PLANS: &[(&str, &str)] = &[
    ("virtio-2", "safe"),
    ("virtio-16", "throughput"),
    ("igb-4", "throughput"),
    ("ixgbe-16", "throughput"),
    ("i40e-40", "latency"),
    ("ice-128", "throughput"),
    ("mlx5-64", "latency"),
    ("uneven-24", "throughput"),
    ("ice-128", "extreme"),
];

#[test]
fn plans_are_those_that_were_looked_at() {
    let differences = PLANS.iter().filter_map(|(host, profile)| {
        let golden = support::file(&format!("golden/{host}-{profile}.txt"));
        support::golden_difference(&golden, &render(&planned(host, profile)))
    });
    let differences: Vec<String> = differences.collect();
    assert!(
        differences.is_empty(),
        "plans differ; look at them, and take those that are right:\n{}",
        differences.join("\n")
    );
}

#[test]
fn a_plan_is_the_same_after_a_way_through_json() {
    for (host, profile) in PLANS {
        let plan = planned(host, profile);
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<TunePlan>(&json).unwrap(), plan, "{host}");
    }
}
