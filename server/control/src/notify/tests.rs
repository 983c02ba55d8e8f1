//! What a manager is told, on real sockets and on one that takes nothing.

use std::{collections::BTreeMap, rc::Rc};

use super::*;
use crate::{exit::Exit, lame_duck::LameDuckCause};

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn plan(variables: &[(&str, &str)]) -> (Option<NotifyPlan>, Vec<String>) {
    let variables: BTreeMap<&str, OsString> = variables.iter().map(|(name, value)| (*name, value.into())).collect();
    NotifyPlan::of(|name| variables.get(name).cloned(), 7)
}

#[test]
fn the_environment_says_who_is_told_and_how_often() {
    let told = |socket: &str, watchdog: Option<u64>| {
        let watchdog = watchdog.map(Duration::from_micros);
        (Some(NotifyPlan { socket: socket.into(), watchdog }), Vec::<String>::new())
    };
    assert_eq!(plan(&[]), (None, Vec::new()));
    assert_eq!(plan(&[(SOCKET, ""), (WATCHDOG, "5")]), (None, Vec::new()));
    assert_eq!(plan(&[(SOCKET, "/run/n")]), told("/run/n", None));
    assert_eq!(plan(&[(SOCKET, "@n"), (WATCHDOG, "2000000")]), told("@n", Some(2_000_000)));
    assert_eq!(plan(&[(SOCKET, "@n"), (WATCHDOG, "9"), (WATCHDOG_PROCESS, "7")]), told("@n", Some(9)));
    assert_eq!(plan(&[(SOCKET, "@n"), (WATCHDOG, "9"), (WATCHDOG_PROCESS, "8")]), told("@n", None), "another's");
    assert_eq!(plan(&[(SOCKET, "@n"), (WATCHDOG, "0")]), told("@n", None));
    let (kept, faults) = plan(&[(SOCKET, "@n"), (WATCHDOG, "soon")]);
    assert_eq!(kept, told("@n", None).0);
    let expected = "WATCHDOG_USEC: found \"soon\", allowed: a number of microseconds; no sign of life is sent";
    assert_eq!(faults, [expected]);
    let (none, faults) = plan(&[(SOCKET, "vsock:2:1234")]);
    assert!(none.is_none() && faults[0].starts_with("NOTIFY_SOCKET: \"vsock:2:1234\" cannot be used: "), "{faults:?}");
}

/// A manager's socket at this address, and one who tells it.
fn real(socket: &str, watchdog: Option<Duration>) -> (UnixDatagram, ServiceManager) {
    let listening = UnixDatagram::bind_addr(&address(OsStr::new(socket)).unwrap()).unwrap();
    listening.set_nonblocking(true).unwrap();
    let plan = NotifyPlan { socket: socket.into(), watchdog };
    (listening, ServiceManager::connect(Some(&plan), at(0)).unwrap())
}

fn received(socket: &UnixDatagram) -> Vec<String> {
    let mut messages = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length) = socket.recv(&mut buffer) {
        messages.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    messages
}

#[test]
fn a_life_is_told_at_a_path_and_at_an_abstract_name() {
    let id = std::process::id();
    let path = std::env::temp_dir().join(format!("corelane-notify-{id}"));
    for name in [path.to_str().unwrap(), &format!("@corelane-notify-{id}")] {
        let (socket, manager) = real(name, None);
        manager.ready("Serving", at(0));
        manager.reloading(at(1_500));
        manager.ready("Serving\nwell", at(1_600));
        manager.stopping(Duration::from_secs(2), "Ending", at(2_000));
        manager.ping(at(9_000), || true);
        let expected = [
            "READY=1\nSTATUS=Serving",
            "RELOADING=1\nMONOTONIC_USEC=1500000",
            "READY=1\nSTATUS=Serving well",
            "STOPPING=1\nEXTEND_TIMEOUT_USEC=7000000\nSTATUS=Ending",
        ];
        assert_eq!(received(&socket), expected, "{name}");
        assert_eq!(manager.next_ping(), None);
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_sign_of_life_comes_at_half_the_time_while_the_cores_run() {
    let (socket, manager) = real(&format!("@corelane-watchdog-{}", std::process::id()), Some(Duration::from_secs(2)));
    let mut pings = Vec::new();
    for tenth in 0..60 {
        manager.ping(at(tenth * 100), || !(15..35).contains(&tenth));
        pings.extend(received(&socket).into_iter().map(|message| (tenth, message)));
        assert!(manager.next_ping().unwrap() > at(tenth * 100), "the loop does not spin");
    }
    let ping = |tenth| (tenth, "WATCHDOG=1".to_owned());
    assert_eq!(pings, [0, 10, 40, 50].map(ping));
}

#[test]
fn the_sentence_is_sent_when_it_is_news_and_not_too_often() {
    let (socket, manager) = real(&format!("@corelane-status-{}", std::process::id()), None);
    manager.ready("0", at(0));
    let mut told = Vec::new();
    for second in 0..=30 {
        manager.tick(if second < 20 { "1" } else { "2" }, at(second * 1000));
        told.extend(received(&socket).into_iter().map(|message| (second, message)));
    }
    let expected = [(0, "READY=1\nSTATUS=0"), (10, "STATUS=1"), (20, "STATUS=2")];
    assert_eq!(told, expected.map(|(second, message)| (second, message.to_owned())));
}

/// What takes nothing while it is full, and what it has taken.
struct Full {
    is_full: Rc<Cell<bool>>,
    taken: Rc<RefCell<Vec<String>>>,
}

impl Full {
    fn new() -> (Self, ServiceManager) {
        let (is_full, taken) = (Rc::new(Cell::new(true)), Rc::new(RefCell::new(Vec::new())));
        let (full, into) = (Rc::clone(&is_full), Rc::clone(&taken));
        let send = move |message: &[u8]| {
            if full.get() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            into.borrow_mut().push(String::from_utf8(message.to_vec()).unwrap());
            Ok(())
        };
        let manager = ServiceManager::new(Some(Box::new(send)), Some(Duration::from_secs(2)), at(0));
        (Self { is_full, taken }, manager)
    }

    /// What was kept for it, once it takes something again with the tick of `status`.
    fn taken(&self, manager: &ServiceManager, status: &str, now: Instant) -> Vec<String> {
        self.is_full.set(false);
        manager.tick(status, now);
        self.is_full.set(true);
        assert!(manager.take_fault().is_none());
        self.taken.take()
    }
}

#[test]
fn what_is_not_taken_is_sent_later_in_order() {
    let (full, manager) = Full::new();
    manager.ready("a", at(0));
    manager.reloading(at(1));
    manager.ping(at(1), || true);
    let expected = ["READY=1\nSTATUS=a", "RELOADING=1\nMONOTONIC_USEC=1000"];
    assert_eq!(full.taken(&manager, "a", at(1_000)), expected, "no sign of life of the past");
}

#[test]
fn of_the_sentences_that_were_not_taken_the_newest_is_sent_and_every_state() {
    let (full, manager) = Full::new();
    manager.ready("0", at(0));
    for second in 1..=600 {
        manager.tick(&second.to_string(), at(second * 1000));
    }
    assert_eq!(full.taken(&manager, "600", at(601_000)), ["READY=1\nSTATUS=0", "STATUS=600"]);

    manager.tick("more", at(650_000));
    manager.stopping(Duration::from_secs(2), "Ending", at(651_000));
    let expected = ["STOPPING=1\nEXTEND_TIMEOUT_USEC=7000000\nSTATUS=Ending"];
    assert_eq!(full.taken(&manager, "Ending", at(652_000)), expected, "the sentence before it is of the past");
}

#[test]
fn the_last_of_many_reloads_makes_up_for_the_others() {
    let (full, manager) = Full::new();
    manager.ready("a", at(0));
    for ms in 1..=50 {
        manager.reloading(at(ms));
        manager.ready("b", at(ms));
    }
    manager.stopping(Duration::from_secs(2), "c", at(51));
    let expected = [
        "READY=1\nSTATUS=a",
        "RELOADING=1\nMONOTONIC_USEC=50000",
        "READY=1\nSTATUS=b",
        "STOPPING=1\nEXTEND_TIMEOUT_USEC=7000000\nSTATUS=c",
    ];
    assert_eq!(full.taken(&manager, "c", at(52)), expected);
    (0..100).for_each(|ms| manager.reloading(at(ms)));
    assert_eq!(full.taken(&manager, "c", at(100)), ["RELOADING=1\nMONOTONIC_USEC=99000"]);
    for ms in 0..100 {
        manager.stopping(Duration::ZERO, "c", at(ms));
        manager.ready("c", at(ms));
    }
    assert_eq!(full.taken(&manager, "c", at(101)).len(), UNSENT_MAX, "what no process does is bounded all the same");
}

#[test]
fn a_manager_that_is_gone_is_reported_once_and_told_again_when_it_is_back() {
    let name = format!("@corelane-gone-{}", std::process::id());
    let (socket, manager) = real(&name, None);
    drop(socket);
    manager.ready("a", at(0));
    assert!(manager.take_fault().is_some() && manager.take_fault().is_none());
    let (socket, _) = real(&name, None);
    manager.stopping(Duration::ZERO, "b", at(1));
    assert_eq!(received(&socket).len(), 1, "not what it missed");
}

#[test]
fn nobody_is_told_where_nobody_asked() {
    let manager = ServiceManager::connect(None, at(0)).unwrap();
    manager.ready("a", at(0));
    manager.ping(at(0), || panic!("nobody wants to know"));
    manager.tick("b", at(60_000));
    assert!(manager.unsent.borrow().next().is_none() && manager.take_fault().is_none());
}

#[test]
fn the_sentence_says_what_an_operator_wants_to_know() {
    let duck = LameDuck::default();
    let of = |state, runs| sentence(state, &duck, runs, "3 connections");
    let (until, deadline) = (at(1), at(1));
    for (state, runs, expected) in [
        (LifecycleState::Starting, true, "Starting"),
        (LifecycleState::Serving, true, "Serving: 3 connections"),
        (LifecycleState::Serving, false, "Serving, but a data core hangs: 3 connections"),
        (LifecycleState::LameDuck { until }, true, "Ending, connections are still taken: 3 connections"),
        (LifecycleState::Draining { deadline }, true, "Ending, no connection is taken any more: 3 connections"),
        (LifecycleState::Stopped(Exit::Clean), true, "Stopped"),
    ] {
        assert_eq!(of(state, runs), expected);
    }
    duck.begin(LameDuckCause::Request, at(0), 0);
    let expected = "Serving, draining by request since 1970-01-01T00:00:00Z: 3 connections";
    assert_eq!(of(LifecycleState::Serving, true), expected);
}
