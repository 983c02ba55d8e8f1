//! Pictures of hosts from 2 to 128 CPUs, as an operator sees them.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::fmt::Write as _;

use corectl::facts::Facts;
use corectl::host::{FakeHost, HostAccess, MemoryTree};
use corectl::layout::{QueueCount, lay_out};
use corectl::picture::{CpuRole, CpuSample, HostPicture, PictureParts, render};
use corectl::plan::{PlanLimits, plan};
use corectl::profile::Profile;
use corectl::status::TuneStatus;
use corectl::transaction::{ApplyOptions, RevertCommand, StateStore, apply, confirm};
use support::machine::Machine;

const STATE: &str = "/var/lib/corelane/tune";

/// Ticks of `/proc/stat` and counts of `/proc/interrupts` after so many seconds, busier from CPU to CPU.
fn put_counters(host: &FakeHost<MemoryTree>, seconds: u64) {
    let facts = Facts::gather(host);
    let (mut stat, mut head, mut row) = (String::new(), String::new(), " 24:".to_owned());
    for cpu in facts.cpus.online.iter().map(|cpu| u64::from(cpu.cpu)) {
        let busy = cpu * 7 % 101 * seconds;
        let _ = writeln!(stat, "cpu{cpu} {busy} 0 0 {} 0 0 0 0 0 0", 100 * seconds - busy);
        let _ = write!(head, " CPU{cpu}");
        let _ = write!(row, " {}", (1000 + cpu) * seconds);
    }
    host.store("/proc/stat", &stat).unwrap();
    host.store("/proc/interrupts", &format!("{head}\n{row} PCI-MSI eth0\n")).unwrap();
}

fn put_thread(host: &FakeHost<MemoryTree>, (pid, task): (u32, u32), name: &str, cpus: &str) {
    let folder = format!("/proc/{pid}/task/{task}");
    host.store(&format!("{folder}/comm"), &format!("{name}\n")).unwrap();
    host.store(&format!("{folder}/status"), &format!("Name:\t{name}\nCpus_allowed_list:\t{cpus}\n")).unwrap();
}

/// An edge with a core on each of these CPUs.
fn put_edge(host: &FakeHost<MemoryTree>, control: &str, workers: &[u32]) {
    host.store("/proc/4000/comm", "corelane\n").unwrap();
    host.store("/proc/1/comm", "systemd\n").unwrap();
    put_thread(host, (4000, 4000), "corelane", control);
    put_thread(host, (4000, 4001), "log", control);
    for (core, cpu) in (0..).zip(workers) {
        put_thread(host, (4000, 4010 + core), &format!("core-{core}"), &cpu.to_string());
    }
}

fn drawn(host: &FakeHost<MemoryTree>, profile: &str) -> HostPicture {
    put_counters(host, 10);
    let first = CpuSample::take(host);
    put_counters(host, 11);
    let second = CpuSample::take(host);
    let facts = Facts::gather(host);
    let status = TuneStatus::of(&StateStore::new(host, STATE)).unwrap();
    let layout = lay_out(&facts, &Profile::named(profile).unwrap().layout, QueueCount::AsIs);
    let layout = status.confirmed.is_some().then_some(&layout);
    HostPicture::of(host, &facts, &PictureParts { status: &status, layout, samples: (&first, &second, 1.0) })
}

/// A host that was tuned, with an edge as the profile wants it.
fn tuned(name: &str, profile: &str) -> FakeHost<MemoryTree> {
    let host = Machine::named(name).in_memory();
    let store = StateStore::new(&host, STATE);
    let facts = Facts::gather(&host);
    let revert = RevertCommand { program: "corectl".into(), arguments: vec!["tune".into()] };
    let options = ApplyOptions { revert_after_seconds: 60, revert, acknowledgement: None, is_trial: false };
    let planned = plan(&facts, &Profile::named(profile).unwrap(), &PlanLimits::default());
    apply(&store, &facts, &planned, &options).unwrap();
    confirm(&store).unwrap();
    let control = planned.layout.housekeeping.first().map_or("0-1".into(), u32::to_string);
    put_edge(&host, &control, &planned.layout.workers);
    host
}

/// Hosts, and the profile that was confirmed; untouched where none is named.
const PICTURES: &[(&str, &str)] = &[
    ("virtio-2", ""),
    ("igb-4", "throughput"),
    ("ixgbe-16", "throughput"),
    ("i40e-40", "latency"),
    ("mlx5-64", "latency"),
    ("ice-128", "throughput"),
];

#[test]
fn pictures_are_those_that_were_looked_at() {
    let differences = PICTURES.iter().filter_map(|(name, profile)| {
        let host = if profile.is_empty() { Machine::named(name).in_memory() } else { tuned(name, profile) };
        let text = render(&drawn(&host, if profile.is_empty() { "safe" } else { profile }));
        assert!(text.lines().count() <= 40, "{name}: more than a screen:\n{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 160), "{name}: wider than a screen:\n{text}");
        support::golden_difference(&support::file(&format!("golden/picture-{name}.txt")), &text)
    });
    let differences: Vec<String> = differences.collect();
    assert!(
        differences.is_empty(),
        "pictures differ; look at them, and take those that are right:\n{}",
        differences.join("\n")
    );
}

#[test]
fn drift_is_seen_where_it_is() {
    let host = tuned("ice-128", "throughput");
    let nic = &Facts::gather(&host).nics[0];
    let moved = nic.vectors.iter().find(|vector| vector.queue == 5).unwrap();
    let was = host.read(&format!("/proc/irq/{}/smp_affinity_list", moved.irq)).unwrap();
    host.write(&format!("/proc/irq/{}/smp_affinity_list", moved.irq), "0").unwrap();
    host.write("/proc/sys/net/core/somaxconn", "128").unwrap();
    let picture = drawn(&host, "throughput");
    assert_eq!((picture.state.as_str(), picture.drift.len()), ("drifted", 2), "{:?}", picture.drift);
    let text = render(&picture);
    assert!(text.contains(&format!("WANTED ON {}", was.trim())), "{text}");
    assert!(text.contains("net.core.somaxconn is 128, not 65535"), "{text}");
    assert!(text.lines().count() <= 45, "still a screen:\n{text}");
}

#[test]
fn roles_are_what_threads_say_where_no_profile_is_in_force() {
    let host = Machine::named("igb-4").in_memory();
    let roles = |host: &FakeHost<MemoryTree>| drawn(host, "safe").cpus.iter().map(|cpu| cpu.role).collect::<Vec<_>>();
    assert_eq!(roles(&host), [CpuRole::None; 4]);
    put_edge(&host, "0", &[2, 3]);
    assert_eq!(roles(&host), [CpuRole::Control, CpuRole::None, CpuRole::Worker, CpuRole::Worker]);
    let picture = drawn(&host, "safe");
    assert_eq!(picture.cpus[3].threads[0].name, "core-1");
    // Seven ticks of a hundred for each CPU's number, and a thousand interrupts.
    assert_eq!((picture.cpus[3].load, picture.cpus[3].interrupts_per_second), (Some(0.21), Some(1003.0)));
}
