//! What balancers, operators and service managers are told of a life, and when.

use std::time::Duration;

use reactor::Signal;

use super::Do::{Flight, Hang, HangCore, Leave, Send, Start as Begin};
use super::*;

/// What is told, without what nobody has to know of.
fn told_with(knobs: impl Fn() -> Knobs, acts: &[(u64, Do)]) -> Vec<(u64, String)> {
    let told = run_with(0, knobs(), acts);
    for seed in 1..20 {
        let again = run_with(seed, knobs(), acts);
        assert_eq!(again.len(), told.len(), "seed {seed}: {again:?}, not {told:?}");
        for ((at, what), (first_at, first_what)) in again.iter().zip(&told) {
            assert!(
                what == first_what && at.abs_diff(*first_at) <= 1,
                "seed {seed}: {at} {what}, not {first_at} {first_what}"
            );
        }
    }
    told
}

fn expect(told: &[(u64, String)], expected: &[(u64, &str)]) {
    let what = |(_, what): &(u64, String)| what.clone();
    assert_eq!(told.iter().map(what).collect::<Vec<_>>(), expected.iter().map(|(_, what)| *what).collect::<Vec<_>>());
    for ((at, what), (wanted, _)) in told.iter().zip(expected) {
        assert!(at == wanted || *at == wanted + 1, "{what} at {at}, not {wanted}");
    }
}

#[test]
fn a_lame_duck_serves_on_and_closes_connections_in_its_second_half() {
    let knobs = || Knobs { lame_duck: Duration::from_secs(4), ..Knobs::default() };
    let told = told_with(knobs, &[(0, Begin(1)), (1, Flight(3)), (20, Send(Signal::Terminate)), (65, Flight(0))]);
    let end = [(65, "Stopped(Clean)"), (65, "exit 0")];
    expect(&told, &[&[(0, "Serving"), (20, "LameDuck"), (40, "closes true"), (60, "Draining")], &end[..]].concat());
    let told = told_with(knobs, &[(0, Begin(1)), (20, Send(Signal::Terminate)), (25, Send(Signal::Terminate))]);
    let end = [(25, "Draining"), (25, "Stopped(Clean)"), (25, "exit 0")];
    expect(&told, &[&[(0, "Serving"), (20, "LameDuck")], &end[..]].concat());
}

#[test]
fn a_drain_by_request_lasts_over_a_reload_and_counts_when_the_signal_comes() {
    let knobs = || Knobs { lame_duck: Duration::from_secs(4), ..Knobs::default() };
    let reload = [(60, "Config signal"), (60, "Topology signal")];
    let told = told_with(knobs, &[(0, Begin(1)), (15, Leave(true)), (60, Send(Signal::Reload)), (75, Leave(false))]);
    expect(&told, &[&[(0, "Serving"), (35, "closes true")], &reload[..], &[(80, "closes false")]].concat());
    let told = told_with(knobs, &[(0, Begin(1)), (15, Leave(true)), (25, Send(Signal::Terminate))]);
    let end = [(55, "Draining"), (55, "Stopped(Clean)"), (55, "exit 0")];
    expect(&told, &[&[(0, "Serving"), (25, "LameDuck"), (35, "closes true")], &end[..]].concat());
    let told = told_with(knobs, &[(0, Begin(1)), (15, Leave(true)), (95, Send(Signal::Terminate))]);
    let end = [(95, "Draining"), (95, "Stopped(Clean)"), (95, "exit 0")];
    expect(&told, &[&[(0, "Serving"), (35, "closes true")], &end[..]].concat());
}

#[test]
fn the_service_manager_follows_a_life() {
    let knobs = || Knobs { watchdog: Some(Duration::from_secs(300)), ..Knobs::default() };
    let acts = [
        (5, Begin(1)),
        (25, Send(Signal::Reload)),
        (40, Hang(true)),
        (45, Send(Signal::Reload)),
        (125, Hang(false)),
        (180, Send(Signal::Terminate)),
    ];
    let told = told_with(knobs, &acts);
    // While the file system of the settings hangs, a reload is over without them.
    expect(
        &told,
        &[
            (0, "WATCHDOG=1"),
            (5, "Serving"),
            (5, "READY=1 STATUS=busy"),
            (25, "RELOADING=1 MONOTONIC_USEC=3500000"),
            (25, "Config signal"),
            (25, "Topology signal"),
            (25, "READY=1 STATUS=busy"),
            (45, "RELOADING=1 MONOTONIC_USEC=5500000"),
            (90, "config_files_hang 5"),
            (90, "topology_file_hangs 5"),
            (90, "READY=1 STATUS=busy"),
            (130, "config_files_answer"),
            (130, "Config signal"),
            (130, "topology_file_answers"),
            (130, "Topology signal"),
            (180, "Draining"),
            (180, "STOPPING=1 EXTEND_TIMEOUT_USEC=10000000 STATUS=busy"),
            (180, "Stopped(Clean)"),
            (180, "exit 0"),
        ],
    );
}

#[test]
fn signs_of_life_depend_on_every_core() {
    let knobs = || Knobs { watchdog: Some(Duration::from_millis(800)), ..Knobs::default() };
    let acts = [(0, Begin(1)), (14, HangCore(true)), (30, HangCore(false)), (37, Send(Signal::Terminate))];
    let pings: Vec<u64> =
        told_with(knobs, &acts).into_iter().filter(|(_, what)| what == "WATCHDOG=1").map(|(at, _)| at).collect();
    assert_eq!(pings, [0, 4, 8, 12, 32, 36]);
}
