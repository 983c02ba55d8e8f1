//! Changes on fake hosts: carried out, confirmed, taken back.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "transactions/failures.rs"]
mod failures;
mod support;

use control::core_map::CoreMap;
use corectl::facts::Facts;
use corectl::host::{FakeHost, HostAccess, MemoryTree};
use corectl::plan::{PlanLimits, TunePlan, plan, release};
use corectl::profile::Profile;
use corectl::status::TuneStatus;
use corectl::transaction::{
    ApplyOptions, RevertCommand, StateStore, TransactionError, TransactionRecord, apply, confirm, expire, give_up,
    reapply, recover, rollback,
};
use corectl::verify::verify_waiting;
use support::drivers::Card;
use support::failing::{FailingHost, RefusingHost};
use support::machine::Machine;

const STATE: &str = "/var/lib/corelane/tune";

fn options() -> ApplyOptions {
    let revert = RevertCommand { program: "corectl".into(), arguments: vec!["tune".into()] };
    ApplyOptions {
        revert_after_seconds: 60,
        revert,
        acknowledgement: Some("test: nobody else is here".into()),
        is_trial: false,
    }
}

/// Everything that can be set, as it is: numbers of interrupts left out, which no driver keeps.
fn values(host: &dyn HostAccess) -> Vec<(String, String)> {
    let facts = Facts::gather(host);
    facts.settings.iter().map(|fact| (format!("{} {}", fact.knob, fact.target), fact.reading.to_string())).collect()
}

fn applied(host: &dyn HostAccess, profile: &str) -> Result<TransactionRecord, TransactionError> {
    let store = StateStore::new(host, STATE);
    recover(&store)?;
    let facts = Facts::gather(host);
    let mut chosen = Profile::named(profile).unwrap();
    if profile == "extreme" {
        chosen.set("filter.notrack=8080,8443").unwrap();
    }
    let plan = plan(&facts, &chosen, &PlanLimits::default());
    apply(&store, &facts, &plan, &options())
}

fn hosts() -> [(&'static str, &'static str); 6] {
    [
        ("virtio-16", "throughput"),
        ("igb-4", "throughput"),
        ("ixgbe-16", "latency"),
        ("i40e-40", "throughput"),
        ("ice-128", "throughput"),
        ("mlx5-64", "extreme"),
    ]
}

#[test]
fn what_is_applied_holds_and_a_rollback_brings_everything_back() {
    for (name, profile) in hosts() {
        let host = Machine::named(name).in_memory();
        let before = values(&host);
        let record = applied(&host, profile).unwrap();
        for setting in verify_waiting(&host, &record.settings) {
            assert!(setting.is_right(), "{name}: {}", setting.words());
        }
        assert_ne!(values(&host), before, "{name}");
        let store = StateStore::new(&host, STATE);
        assert!(matches!(applied(&host, profile), Err(TransactionError::Waiting { .. })), "{name}");
        rollback(&store).unwrap();
        assert_eq!(values(&host), before, "{name}");
        assert!(matches!(rollback(&store), Err(TransactionError::NothingApplied)));
    }
}

/// The map of cores of a host: every interrupt in it goes to the CPU of its core.
fn map_in_force(host: &dyn HostAccess) -> CoreMap {
    let text = host.read(control::core_map::DEFAULT_PATH).unwrap();
    let map = CoreMap::parse("cores.toml", &text).unwrap();
    for core in &map.cores {
        let [irq] = core.irqs[..] else { panic!("{core:?}") };
        let cpu = host.read(&format!("/proc/irq/{irq}/effective_affinity_list")).unwrap();
        assert_eq!(cpu.trim(), core.cpu.to_string(), "{core:?}");
    }
    map
}

#[test]
fn the_map_has_the_interrupts_that_queues_have_now() {
    let machine = Machine::named("i40e-40");
    let host = machine.in_memory();
    applied(&host, "throughput").unwrap();
    let map = map_in_force(&host);
    assert_eq!((map.control_cpu, map.cores.len()), (0, 36));
    // The driver gave its queues new numbers.
    assert!(map.cores.iter().all(|core| core.irqs[0] >= 500), "{map:?}");
    assert_eq!((map.cores[0].cpu, map.cores[0].numa_node), (11, 1), "the card's node first");

    confirm(&StateStore::new(&host, STATE)).unwrap();
    // Another card is found before this one, and takes numbers that were this one's.
    let mut other = machine;
    let first = Card { state: "down".into(), ..other.nics["enp175s0f0"].clone() };
    other.nics.insert("a0".into(), first);
    let fresh = rebooted(&other, &host);
    assert_eq!(reapply(&StateStore::new(&fresh, STATE)).unwrap(), Vec::<String>::new());
    assert_ne!(map_in_force(&fresh), map);
}

#[test]
fn what_gives_a_protection_up_needs_a_word() {
    let host = Machine::named("igb-4").in_memory();
    let store = StateStore::new(&host, STATE);
    let before = values(&host);
    let facts = Facts::gather(&host);
    let plan = plan(&facts, &Profile::named("extreme").unwrap(), &PlanLimits::default());
    let silent = ApplyOptions { acknowledgement: None, ..options() };
    let error = apply(&store, &facts, &plan, &silent).unwrap_err().to_string();
    assert!(error.starts_with("boot.mitigations, boot.audit give a protection up"), "{error}");
    assert_eq!(values(&host), before);

    applied(&host, "extreme").unwrap();
    assert!(host.read("/boot/grub/grub.cfg").is_err(), "the next boot would take them, confirmed or not");
    let confirmed = confirm(&store).unwrap();
    assert_eq!(confirmed.acknowledgement.as_deref(), Some("test: nobody else is here"));
    let grub = host.read("/boot/grub/grub.cfg").unwrap();
    assert!(grub.contains("isolcpus=managed_irq,domain,1-3 mitigations=off audit=0\""), "{grub}");
    rollback(&store).unwrap();
    assert_eq!(host.read("/boot/grub/grub.cfg").unwrap().lines().count(), 2, "no parameter of ours is left");
    assert!(host.read("/etc/default/grub.d/90-corectl.cfg").is_err());
}

#[test]
fn a_confirmed_change_is_changed_again_and_a_rollback_goes_all_the_way() {
    let host = Machine::named("ice-128").in_memory();
    let before = values(&host);
    let store = StateStore::new(&host, STATE);
    applied(&host, "safe").unwrap();
    confirm(&store).unwrap();
    let safe = values(&host);
    let second = applied(&host, "throughput").unwrap();
    host.pass_seconds(59);
    assert_eq!(recover(&store).unwrap(), None);
    host.pass_seconds(1);
    assert!(recover(&store).unwrap().unwrap().said.contains("not confirmed in time"));
    assert_eq!(values(&host), safe, "back to what was confirmed");
    let late = confirm(&store).unwrap_err().to_string();
    assert!(
        late.contains("nothing waits to be confirmed; the last change went back 0 s ago: apply it again"),
        "{late}"
    );
    assert!(expire(&store, &second.id).unwrap().is_none(), "the timer comes after, and finds nothing");

    applied(&host, "throughput").unwrap();
    confirm(&store).unwrap();
    rollback(&store).unwrap();
    assert_eq!(values(&host), before);
}

#[test]
fn the_timer_takes_back_its_own_change_only() {
    let host = Machine::named("igb-4").in_memory();
    let before = values(&host);
    let store = StateStore::new(&host, STATE);
    let record = applied(&host, "throughput").unwrap();
    assert!(expire(&store, "another").unwrap().is_none());
    assert_ne!(values(&host), before);
    assert!(expire(&store, &record.id).unwrap().is_some());
    assert_eq!(values(&host), before);
}

#[test]
fn a_reboot_forgets_what_was_not_confirmed() {
    let host = Machine::named("igb-4").in_memory();
    let store = StateStore::new(&host, STATE);
    applied(&host, "throughput").unwrap();
    // The kernel's values of the new boot are nobody's to change.
    host.store("/proc/sys/kernel/random/boot_id", "another\n").unwrap();
    host.write("/proc/sys/net/core/somaxconn", "5000").unwrap();
    assert!(recover(&store).unwrap().unwrap().said.contains("before a reboot"));
    assert_eq!(host.read("/proc/sys/net/core/somaxconn").unwrap(), "5000\n");
    assert!(store.pending().unwrap().is_none());
}

/// What a boot leaves of a host: its files, and the kernel as it starts.
fn rebooted(machine: &Machine, host: &FakeHost<MemoryTree>) -> FakeHost<MemoryTree> {
    let fresh = machine.in_memory();
    for (path, text) in host.files().files() {
        if ["/var/", "/etc/", "/boot/"].iter().any(|folder| path.starts_with(folder)) {
            fresh.store(&path, &text).unwrap();
        }
    }
    fresh.store("/proc/sys/kernel/random/boot_id", "another\n").unwrap();
    fresh
}

#[test]
fn a_boot_makes_again_what_was_confirmed_and_nothing_else() {
    let machine = Machine::named("i40e-40");
    let host = machine.in_memory();
    let before = values(&host);
    let waiting = rebooted(&machine, &{
        applied(&host, "extreme").unwrap();
        copy(&host)
    });
    let store = StateStore::new(&waiting, STATE);
    recover(&store).unwrap();
    assert!(matches!(reapply(&store), Err(TransactionError::NothingApplied)));
    assert_eq!(values(&waiting), before, "files of an unconfirmed change are back as well");

    confirm(&StateStore::new(&host, STATE)).unwrap();
    let tuned = values(&host);
    let fresh = rebooted(&machine, &host);
    let store = StateStore::new(&fresh, STATE);
    assert_eq!(recover(&store).unwrap(), None);
    assert_eq!(reapply(&store).unwrap(), Vec::<String>::new());
    assert_eq!(values(&fresh), tuned);
    let status = TuneStatus::of(&store).unwrap();
    assert_eq!(status.drifted().count(), 0, "the map has this boot's interrupts, and is as it should be");
    rollback(&store).unwrap();
    assert_eq!(values(&fresh), before);
}

#[test]
fn a_setting_that_fails_at_boot_keeps_no_other_from_it() {
    let machine = Machine::named("igb-4");
    let host = machine.in_memory();
    applied(&host, "safe").unwrap();
    confirm(&StateStore::new(&host, STATE)).unwrap();
    let fresh = rebooted(&machine, &host);
    fresh.store("/fake/refused", "/proc/sys/net/core/somaxconn\n").unwrap();
    let failures = reapply(&StateStore::new(&fresh, STATE)).unwrap();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].starts_with("net.core.somaxconn: "), "{failures:?}");
    assert_eq!(fresh.read("/proc/sys/net/ipv4/tcp_max_syn_backlog").unwrap(), "65536\n");
}

#[test]
fn a_driver_that_lies_is_named() {
    let mut machine = Machine::named("ice-128");
    let card = machine.nics.get_mut("ens1f0np0").unwrap();
    card.lies = vec!["-C".into()];
    let host = machine.in_memory();
    let record = applied(&host, "latency").unwrap();
    let wrong = verify_waiting(&host, &record.settings).into_iter().filter(|setting| !setting.is_right());
    let wrong: Vec<String> = wrong.map(|setting| setting.words()).collect();
    assert!(wrong.contains(&"nic.coalesce.rx-usecs of ens1f0np0 is 50, not 8".to_owned()), "{wrong:?}");

    machine.nics.get_mut("ens1f0np0").unwrap().lies = vec!["-L".into()];
    let host = machine.in_memory();
    let before = values(&host);
    let error = applied(&host, "throughput").unwrap_err().to_string();
    assert!(error.contains("the driver answered success for combined 124, and shows combined 128"), "{error}");
    assert_eq!(values(&host), before);
}

#[test]
fn a_driver_that_refuses_takes_everything_back() {
    let mut machine = Machine::named("i40e-40");
    machine.nics.get_mut("enp175s0f0").unwrap().refuses = vec!["-G".into()];
    let host = machine.in_memory();
    // Rings cannot be changed, though they are shown.
    let before = values(&host);
    let error = applied(&host, "throughput").unwrap_err();
    assert!(error.to_string().contains("--set nic.ring.rx=leave"), "{error}");
    assert_eq!(values(&host), before);
}

/// Six cores, and a driver that numbers its interrupts anew.
fn small() -> Machine {
    let mut machine = Machine::named("i40e-40");
    (machine.sockets, machine.cores_per_socket, machine.smt) = (1, 6, false);
    let card = machine.nics.get_mut("enp175s0f0").unwrap();
    (card.node, card.queues) = (Some(0), 6);
    machine
}

/// A sound host with everything of `host`.
fn copy(host: &FakeHost<MemoryTree>) -> FakeHost<MemoryTree> {
    FakeHost::new(host.files().clone())
}

/// As the verb plans: with what was confirmed before.
fn planned_after(host: &dyn HostAccess, profile: &str) -> TunePlan {
    let (store, facts) = (StateStore::new(host, STATE), Facts::gather(host));
    let mut planned = plan(&facts, &Profile::named(profile).unwrap(), &PlanLimits::default());
    release(&mut planned, &facts, &store.confirmed().unwrap().unwrap(), &PlanLimits::default());
    planned
}

#[test]
fn a_profile_gives_back_what_the_one_before_it_set() {
    let host = Machine::named("mlx5-64").in_memory();
    let store = StateStore::new(&host, STATE);
    let swappiness = host.read("/proc/sys/vm/swappiness").unwrap();
    applied(&host, "extreme").unwrap();
    let first = confirm(&store).unwrap();
    assert!(first.acknowledgement.is_some());
    assert_ne!(host.read("/proc/sys/vm/swappiness").unwrap(), swappiness);

    let planned = planned_after(&host, "safe");
    let line = planned.lines.iter().find(|line| line.knob == "vm.swappiness").unwrap();
    assert_eq!(line.note, "profile extreme set it; as it was before corectl");
    apply(&store, &Facts::gather(&host), &planned, &options()).unwrap();
    let second = confirm(&store).unwrap();
    assert_eq!(host.read("/proc/sys/vm/swappiness").unwrap(), swappiness);
    let grub = host.read("/boot/grub/grub.cfg").unwrap();
    assert!(!grub.contains("mitigations=off") && !grub.contains("audit=0"), "{grub}");
    assert_eq!(second.acknowledgement, None, "no protection is given up any more");
    assert!(!second.settings.iter().any(|setting| setting.knob == "vm.swappiness"), "nobody's business any more");
}

#[test]
fn who_gave_a_protection_up_is_kept_while_it_is_given_up() {
    let host = Machine::named("igb-4").in_memory();
    let store = StateStore::new(&host, STATE);
    applied(&host, "extreme").unwrap();
    confirm(&store).unwrap();
    let planned = plan(&Facts::gather(&host), &Profile::named("safe").unwrap(), &PlanLimits::default());
    let silent = ApplyOptions { acknowledgement: None, ..options() };
    apply(&store, &Facts::gather(&host), &planned, &silent).unwrap();
    assert_eq!(confirm(&store).unwrap().acknowledgement.as_deref(), Some("test: nobody else is here"));
}

#[test]
fn a_value_that_is_no_boot_parameter_is_no_plan() {
    let facts = Facts::gather(&Machine::named("igb-4").in_memory());
    for value in ["0 init=/bin/sh", "0\"; reboot; \"", "$(reboot)", "0\nGRUB_DEFAULT=1"] {
        let mut profile = Profile::named("extreme").unwrap();
        profile.set(&format!("boot.audit={value}")).unwrap();
        let planned = plan(&facts, &profile, &PlanLimits::default());
        assert!(planned.problems.iter().any(|problem| problem.starts_with("boot.audit: `")), "{value}");
    }
}

#[test]
fn a_layout_without_workers_is_no_plan() {
    let facts = Facts::gather(&Machine::named("igb-4").in_memory());
    for text in ["[layout]\nworkers = []\n", "[layout]\nhousekeeping = \"0-3\"\n"] {
        let mut profile = Profile::named("extreme").unwrap();
        profile.override_with("tune.toml", text).unwrap();
        let planned = plan(&facts, &profile, &PlanLimits::default());
        assert!(planned.problems.iter().any(|problem| problem.starts_with("no CPU is left to work")), "{text}");
    }
}

#[test]
fn what_cannot_come_back_is_given_up_by_name() {
    let host = Machine::named("igb-4").in_memory();
    let store = StateStore::new(&host, STATE);
    applied(&host, "throughput").unwrap();
    confirm(&store).unwrap();
    let counted = FailingHost::sound(&host);
    // Every write of a ring fails for good, as with a driver that lost its firmware.
    let refusing = RefusingHost { inner: &counted, option: "-G" };
    let store_refusing = StateStore::new(&refusing, STATE);
    let error = rollback(&store_refusing).unwrap_err().to_string();
    assert!(error.contains("nic.ring.rx of") && error.contains("--give-up"), "{error}");
    assert!(matches!(give_up(&store_refusing, "nic.nothing"), Err(TransactionError::NothingOfKnob { .. })));
    assert!(!give_up(&store_refusing, "nic.ring.rx").unwrap().is_empty());
    give_up(&store_refusing, "nic.ring.tx").unwrap();
    rollback(&store_refusing).unwrap();
    assert!(matches!(rollback(&store), Err(TransactionError::NothingApplied)));
}

#[test]
fn queues_are_taken_away_although_somebody_has_spread_connections_over_them() {
    let host = Machine::named("ice-128").in_memory();
    let before = values(&host);
    let store = StateStore::new(&host, STATE);
    applied(&host, "throughput").unwrap();
    confirm(&store).unwrap();
    let mut fewer = Profile::named("throughput").unwrap();
    fewer.set("nic.channels=2").unwrap();
    let facts = Facts::gather(&host);
    apply(&store, &facts, &plan(&facts, &fewer, &PlanLimits::default()), &options()).unwrap();
    confirm(&store).unwrap();
    rollback(&store).unwrap();
    assert_eq!(values(&host), before);
}

#[test]
fn a_word_that_means_nothing_is_no_plan() {
    let facts = Facts::gather(&Machine::named("ice-128").in_memory());
    for (assignment, allowed) in [
        ("nic.channels=banana", "layout, or a number of queues"),
        ("nic.ring.rx=-1", "max, or a number of descriptors"),
        ("net.ipv4.tcp_mem=150%", "0% to 100%"),
        ("cpu.idle_latency_max=soon", "microseconds"),
    ] {
        let mut profile = Profile::named("throughput").unwrap();
        profile.set(assignment).unwrap();
        let (knob, value) = assignment.split_once('=').unwrap();
        let problem = format!("{knob}: found `{value}`, allowed: {allowed}");
        assert_eq!(plan(&facts, &profile, &PlanLimits::default()).problems, [problem]);
    }
}

#[test]
fn what_is_only_tried_out_is_not_confirmed() {
    let host = Machine::named("igb-4").in_memory();
    let store = StateStore::new(&host, STATE);
    let facts = Facts::gather(&host);
    let planned = plan(&facts, &Profile::named("throughput").unwrap(), &PlanLimits::default());
    apply(&store, &facts, &planned, &ApplyOptions { is_trial: true, ..options() }).unwrap();
    assert!(matches!(confirm(&store), Err(TransactionError::OnlyTried)));
    rollback(&store).unwrap();
}
