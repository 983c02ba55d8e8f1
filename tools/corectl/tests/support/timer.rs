//! Waiting for the process that takes a change back.

use std::path::Path;

use corectl::transaction::{ArmedTimer, TransactionRecord};
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
