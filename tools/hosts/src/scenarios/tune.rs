//! A change of the host's settings that nobody confirms: a timer of systemd takes it back, whatever became of who made it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{HostLab, MINUTE, SingleHost};
use crate::host::ContainerHost;
use crate::run::wait;

/// A setting of the host's network namespace, and another value than it has.
const SETTING: &str = "/proc/sys/net/core/somaxconn";
const CHANGED: &str = "20000";

/// Long enough to look at the host before the time is over, on a busy machine.
const REVERT_AFTER: &str = "20s";

/// The timer's time, and what a busy machine adds.
const REVERT_LIMIT: Duration = Duration::from_secs(120);

pub(super) fn run(setting: &HostLab) -> Result<()> {
    let lab = SingleHost::installed(setting, "tune")?;
    let host = &lab.host;
    let before = value(host)?;
    ensure!(before != CHANGED, "{SETTING} has the value already that this changes it to");

    apply(host)?;
    let timers = timers(host)?;
    ensure!(timers.contains("corectl-tune-expire-"), "no timer is armed:\n{timers}");
    ensure!(host.shell("pgrep -x corectl", MINUTE)?.status != Some(0), "a process of corectl waits beside the timer");
    wait(&setting.stop, REVERT_LIMIT, "the revert by the timer", || {
        value(host).is_ok_and(|now| now == before).then_some(())
    })
    .with_context(|| host.journal("corectl-tune-expire-*"))?;
    // The value comes first; what is known of the change goes a moment later.
    let untouched = "until corectl tune status --json | tr -d ' \n' | grep -q '\"pending\":null'; do sleep 0.2; done";
    host.must(untouched, MINUTE)?;
    let said = host.must("journalctl --no-pager --output=cat --unit='corectl-tune-expire-*'", MINUTE)?;
    ensure!(said.contains("corectl takes an unconfirmed change back"), "the timer's service did not run:\n{said}");

    // What is confirmed stays, and its timer goes.
    apply(host)?;
    host.must("corectl tune confirm", MINUTE)?;
    let left = self::timers(host)?;
    ensure!(!left.contains("corectl-tune-expire-"), "a timer is left:\n{left}");
    ensure!(value(host)? == CHANGED, "what was confirmed is not there");
    host.must("corectl tune rollback", MINUTE)?;
    ensure!(value(host)? == before, "a rollback leaves {}", value(host)?);
    Ok(())
}

fn apply(host: &ContainerHost) -> Result<()> {
    let command = format!(
        "corectl tune apply --profile safe --only net --set net.core.somaxconn={CHANGED} --revert-after {REVERT_AFTER}"
    );
    host.must(&command, MINUTE)?;
    ensure!(value(host)? == CHANGED, "the change is not in force");
    Ok(())
}

fn value(host: &ContainerHost) -> Result<String> {
    Ok(host.must(&format!("cat {SETTING}"), MINUTE)?.trim().to_owned())
}

fn timers(host: &ContainerHost) -> Result<String> {
    host.must("systemctl list-timers --all --no-pager", MINUTE)
}
