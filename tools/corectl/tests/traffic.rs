//! What `verify --traffic` says of a host whose interrupts come where they were sent, or do not.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::fmt::Write as _;

use corectl::host::HostAccess;
use corectl::setting::vectors::queue_vectors;
use corectl::setting::{SettingAddress, SettingReading, VectorSide};
use corectl::traffic::{QueueTraffic, TrafficSample, traffic};
use corectl::transaction::SavedSetting;
use support::machine::Machine;

const CPUS: u32 = 4;

/// The interrupts of this many queues, each on the CPU of its number.
fn placed(nic: &str, queues: u32) -> Vec<SavedSetting> {
    let setting = |queue: u32| SavedSetting {
        knob: "irq.affinity.rx".into(),
        target: format!("{nic} queue {queue}"),
        address: SettingAddress::Irq { nic: nic.into(), queue, side: VectorSide::Rx },
        prior: SettingReading::Value("0-3".into()),
        wanted: Some(queue.to_string()),
    };
    (0..queues).map(setting).collect()
}

/// Writes `/proc/interrupts` with this many of each queue on each CPU.
fn count(host: &dyn HostAccess, nic: &str, counts: &[[u64; CPUS as usize]]) {
    let mut text = (0..CPUS).map(|cpu| format!(" CPU{cpu}")).collect::<String>() + "\n";
    for vector in queue_vectors(host, nic) {
        let of_queue = counts.get(vector.queue as usize).copied().unwrap_or_default();
        let numbers = of_queue.map(|count| count.to_string()).join(" ");
        let _ = writeln!(text, "{}: {numbers} PCI-MSI edge {}", vector.irq, vector.name);
    }
    host.store("/proc/interrupts", &text).unwrap();
}

fn watched(before: &[[u64; 4]], after: &[[u64; 4]]) -> Vec<QueueTraffic> {
    let host = Machine::named("igb-4").in_memory();
    let nic = "eno1";
    let settings = placed(nic, u32::try_from(before.len()).unwrap());
    count(&host, nic, before);
    let first = TrafficSample::take(&host, &settings);
    count(&host, nic, after);
    let second = TrafficSample::take(&host, &settings);
    traffic(&host, &settings, [&first, &second])
}

#[test]
fn each_queue_says_where_its_interrupts_came() {
    let before = [[9, 9, 9, 9], [0; 4], [0, 0, 7, 0]];
    let after = [[109, 9, 9, 9], [0, 50, 1, 0], [0, 0, 7, 0]];
    let told: Vec<String> = watched(&before, &after).iter().map(ToString::to_string).collect();
    // The one on another CPU is the one that the interrupt moved with.
    assert_eq!(
        told,
        ["eno1 queue 0: 100 interrupts on CPU 0", "eno1 queue 1: 50 interrupts on CPU 1", "eno1 queue 2: no traffic"]
    );
    assert!(watched(&before, &after).iter().all(QueueTraffic::is_right));
}

#[test]
fn interrupts_on_other_cpus_are_found_and_counted() {
    let found = watched(&[[0; 4], [5; 4]], &[[100, 0, 0, 0], [5, 15, 25, 7]]);
    assert_eq!([found[0].is_right(), found[1].is_right()], [true, false]);
    assert_eq!(found[1].to_string(), "eno1 queue 1: 10 interrupts on CPU 1, and 20 on CPU 2, 2 on CPU 3");
}
