//! Waiting for the process that takes a change back.

use std::path::Path;

use corectl::transaction::{ArmedTimer, TransactionPhase, TransactionRecord};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Waits until the process that takes a change back has ended.
pub(crate) fn await_timer(pending: &Path) {
    let record: TransactionRecord = serde_json::from_str(&std::fs::read_to_string(pending).unwrap()).unwrap();
    let Some(ArmedTimer::Process(process)) = record.timer else { panic!("no process waits: {:?}", record.timer) };
    let pid = Pid::from_raw(i32::try_from(process.pid).unwrap()).unwrap();
    let descriptor = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&limit)).unwrap();
    assert_eq!(ended, 1, "not within a minute");
}

/// Waits until a change is wholly written and waits to be confirmed.
pub(crate) fn await_change(pending: &Path) {
    let nap = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
    for _ in 0..6_000 {
        let text = std::fs::read_to_string(pending).unwrap_or_default();
        let record = serde_json::from_str::<TransactionRecord>(&text).ok();
        if record.is_some_and(|record| record.phase == TransactionPhase::Pending) {
            return;
        }
        poll(&mut [], Some(&nap)).unwrap();
    }
    panic!("no change within a minute");
}
