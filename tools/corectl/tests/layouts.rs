//! Which CPU does what on small hosts: split interrupts, cards of several nodes, what an operator says himself.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use corectl::facts::Facts;
use corectl::layout::{Layout, LayoutMode, LayoutOptions, QueueCount, lay_out};
use support::drivers::Card;
use support::machine::Machine;

/// Two sockets of four cores, CPUs 0-3 and 4-7, with one card of at most eight queues for each node that is named; -1 is none.
fn machine(nodes: &[i32]) -> Machine {
    let mut machine = Machine::named("ice-128");
    (machine.sockets, machine.cores_per_socket, machine.smt) = (2, 4, false);
    let card = machine.nics.remove("ens1f0np0").unwrap();
    for (at, node) in nodes.iter().enumerate() {
        machine.nics.insert(format!("eth{at}"), Card { node: Some(*node), queues: 8, queues_max: 8, ..card.clone() });
    }
    machine
}

fn laid_out(nodes: &[i32], options: &LayoutOptions, count: QueueCount) -> Layout {
    lay_out(&Facts::gather(&machine(nodes).in_memory()), options, count)
}

/// The CPUs of a card's queues, in their order.
fn cpus(layout: &Layout, nic: &str) -> Vec<u32> {
    layout.queues(nic).unwrap().iter().map(|place| place.cpu).collect()
}

fn workers(cpus: &[u32]) -> LayoutOptions {
    LayoutOptions { workers: Some(cpus.to_vec()), ..LayoutOptions::default() }
}

#[test]
fn split_interrupts_have_a_cpu_of_their_own_and_workers_send_through_its_queue() {
    let split = |options| LayoutOptions { mode: Some(LayoutMode::Split), ..options };
    let layout = laid_out(&[0], &split(LayoutOptions::default()), QueueCount::ByLayout);
    assert_eq!((layout.interrupts.as_slice(), layout.workers.as_slice()), (&[1][..], &[2, 3, 5, 6, 7][..]));
    let queues = layout.queues("eth0").unwrap();
    assert_eq!((queues.len(), queues[0].cpu, queues[0].senders.as_slice()), (1, 1, layout.workers.as_slice()));

    let two = laid_out(&[0], &split(workers(&[2, 3])), QueueCount::ByLayout);
    assert_eq!((two.interrupts, two.workers), (vec![2], vec![3]));
    let one = laid_out(&[0], &split(workers(&[3])), QueueCount::ByLayout);
    assert_eq!((cpus(&one, "eth0"), one.interrupts, one.workers), (vec![3], vec![], vec![3]));
}

#[test]
fn cards_that_every_node_has_keep_to_it_and_others_take_the_nearest_first() {
    let of = |nodes: &[i32]| {
        let layout = laid_out(nodes, &LayoutOptions::default(), QueueCount::ByLayout);
        (cpus(&layout, "eth0"), cpus(&layout, "eth1"))
    };
    assert_eq!(of(&[0, 1]), (vec![1, 2, 3], vec![5, 6, 7]));
    assert_eq!(of(&[1, 1]), (vec![5, 6, 7, 1, 2, 3], vec![5, 6, 7, 1, 2, 3]));
    // The second one is nobody's neighbour, and follows the workers.
    assert_eq!(of(&[1, -1]), (vec![5, 6, 7, 1, 2, 3], vec![5, 6, 7, 1, 2, 3]));
}

#[test]
fn workers_that_the_operator_names_are_taken_in_his_order() {
    let layout = laid_out(&[0], &workers(&[3, 6, 1]), QueueCount::ByLayout);
    assert_eq!((layout.housekeeping.as_slice(), cpus(&layout, "eth0")), (&[0, 2, 4, 5, 7][..], vec![3, 6, 1]));
    // Both ports of one card, and a card of the other node.
    let layout = laid_out(&[0, 0], &workers(&[3, 6, 1]), QueueCount::ByLayout);
    assert_eq!((cpus(&layout, "eth0"), cpus(&layout, "eth1")), (vec![3, 6, 1], vec![3, 6, 1]));
    let layout = laid_out(&[0, 1], &workers(&[3, 6, 1]), QueueCount::ByLayout);
    assert_eq!((cpus(&layout, "eth0"), cpus(&layout, "eth1")), (vec![3, 1], vec![6]));
}

#[test]
fn cards_that_the_operator_names_are_taken_alone() {
    let interfaces = Some(vec!["eth1".to_owned(), "nope".to_owned()]);
    let options = LayoutOptions { interfaces, ..LayoutOptions::default() };
    let layout = laid_out(&[0, 1], &options, QueueCount::ByLayout);
    assert!(layout.queues("eth0").is_none() && layout.queues("eth1").is_some());
    assert_eq!(layout.problems, ["layout.interfaces: this host has no network card nope"]);
}

#[test]
fn queues_that_are_more_or_fewer_than_cpus_are_said() {
    let of = |count| laid_out(&[0], &LayoutOptions::default(), count);
    let more = of(QueueCount::Exactly(8));
    assert_eq!(cpus(&more, "eth0"), [1, 2, 3, 5, 6, 7, 1, 2]);
    assert_eq!(more.notes, ["eth0 has 8 queues for 6 CPUs: some CPUs take more than one"]);
    assert_eq!(of(QueueCount::Exactly(6)).notes, Vec::<String>::new());
    let fewer = of(QueueCount::Exactly(4));
    assert!(fewer.notes[0].starts_with("eth0 has 4 of the 6 queues"), "{:?}", fewer.notes);
    let senders: Vec<&[u32]> = fewer.queues("eth0").unwrap().iter().map(|place| place.senders.as_slice()).collect();
    assert_eq!(senders, [&[1, 6][..], &[2, 7], &[3], &[5]]);
    assert_eq!(cpus(&of(QueueCount::Exactly(0)), "eth0"), Vec::<u32>::new());
}

#[test]
fn a_node_without_memory_is_not_like_the_others() {
    let mut machine = machine(&[0]);
    let meminfo = "/sys/devices/system/node/node1/meminfo".to_owned();
    machine.files.insert(meminfo, "Node 1 MemTotal: 0 kB".to_owned());
    let facts = Facts::gather(&machine.in_memory());
    let layout = lay_out(&facts, &LayoutOptions::default(), QueueCount::ByLayout);
    assert!(layout.problems[0].contains("node 1: CPUs 4-7, 0 MiB"), "{:?}", layout.problems);
    assert_eq!(lay_out(&facts, &workers(&[1]), QueueCount::ByLayout).problems, Vec::<String>::new());
}
