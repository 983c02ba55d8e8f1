//! What of a profile is planned where an operator allows only some of it, or some of it cannot be.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use control::core_map::CoreMap;
use corectl::facts::{Facts, NetworkNamespace};
use corectl::knobs::{Group, Risk};
use corectl::plan::{PlanLimits, TunePlan, plan};
use corectl::profile::Profile;
use support::machine::Machine;

fn planned(host: &str, (profile, set): (&str, &str), limits: &PlanLimits) -> TunePlan {
    let mut profile = Profile::named(profile).unwrap();
    if !set.is_empty() {
        profile.set(set).unwrap();
    }
    plan(&Facts::gather(&Machine::named(host).in_memory()), &profile, limits)
}

fn limits(only: &[Group], max_risk: Option<Risk>) -> PlanLimits {
    PlanLimits { only: only.to_vec(), max_risk }
}

#[test]
fn queues_are_counted_as_they_will_be_where_nobody_may_change_them_as_they_are() {
    let count = |set, limits: &PlanLimits| {
        let plan = planned("ixgbe-16", ("throughput", set), limits);
        plan.layout.nics[0].queues.len()
    };
    let as_is = count("nic.channels=leave", &PlanLimits::default());
    assert_eq!(count("nic.channels=3", &PlanLimits::default()), 3);
    assert_eq!(count("nic.channels=3", &limits(&[Group::Net], None)), 3);
    assert_eq!(count("nic.channels=3", &limits(&[Group::Stack], None)), as_is);
    assert_eq!(count("nic.channels=3", &limits(&[], Some(Risk::Safe))), as_is);
    let by_layout = count("", &PlanLimits::default());
    assert_ne!(by_layout, as_is);
    assert_eq!(count("", &limits(&[Group::Stack], None)), as_is);
    assert_eq!(count("", &limits(&[], Some(Risk::Safe))), as_is);
}

#[test]
fn second_cpus_of_cores_are_left_out_where_they_are_going_to_be_turned_off() {
    let most = |limits: &PlanLimits, set| {
        let plan = planned("ice-128", ("throughput", set), limits);
        plan.layout.workers.iter().chain(&plan.layout.housekeeping).copied().max().unwrap()
    };
    assert_eq!(most(&PlanLimits::default(), "cpu.smt=off"), 63);
    assert_eq!(most(&limits(&[Group::Cpu], None), "cpu.smt=off"), 63);
    assert_eq!(most(&limits(&[Group::Net], None), "cpu.smt=off"), 127);
    assert_eq!(most(&limits(&[], Some(Risk::Safe)), "cpu.smt=off"), 127);
    assert_eq!(most(&PlanLimits::default(), "cpu.smt=on"), 127);
}

#[test]
fn a_network_of_its_own_gets_what_is_of_the_network() {
    let mut facts = Facts::gather(&Machine::named("igb-4").in_memory());
    let mut problems = |namespace, only: &[Group]| {
        facts.kernel.network_namespace = namespace;
        plan(&facts, &Profile::named("safe").unwrap(), &limits(only, None)).problems
    };
    assert_eq!(problems(NetworkNamespace::Host, &[]), Vec::<String>::new());
    assert_eq!(problems(NetworkNamespace::Own, &[Group::Net, Group::Filter]), Vec::<String>::new());
    let mixed = problems(NetworkNamespace::Own, &[Group::Net, Group::Irq]);
    assert!(mixed.len() == 1 && mixed[0].contains(", and irq would be changed for the host outside"), "{mixed:?}");
    let all = problems(NetworkNamespace::Own, &[]);
    assert!(all[0].contains("of its own, and stack, irq, cpu, memory"), "{all:?}");
}

#[test]
fn the_map_of_cores_has_the_interrupts_of_each_card() {
    let plan = planned("mlx5-64", ("throughput", ""), &PlanLimits::default());
    let map = plan.lines.iter().find_map(|line| CoreMap::parse("map", &line.wanted).ok()).unwrap();
    for (card, first) in [("enp175s0np0", 64 + 200), ("enp59s0np0", 64 + 400)] {
        let of_card = map.cores.iter().filter(|core| core.interface.as_deref() == Some(card));
        let irqs: Vec<u32> = of_card.flat_map(|core| core.irqs.iter().copied()).collect();
        assert!(irqs.len() > 20 && irqs.iter().all(|irq| (first..first + 200).contains(irq)), "{card}: {irqs:?}");
    }
}
