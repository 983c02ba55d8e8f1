//! Parameters of the kernel's command line, in a file of our own that GRUB's configuration is made from.
//!
//! ```text
//!  /etc/default/grub.d/90-corectl.cfg
//!  # Written by corectl tune; corectl tune rollback takes it back.
//!  GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX nohz_full=2-15 rcu_nocbs=2-15"
//! ```
//!
//! **Not** `/etc/default/grub`, which is the operator's.
//!
//! **Invariants**: without a parameter the file is not there. Who is killed before `update-grub` has run leaves a mark in it. A parameter that the operator gives elsewhere is not changed.
//!
//! **Source**: update-grub(8) of Debian and Ubuntu, which reads `/etc/default/grub.d`.

use super::SettingReading;
use crate::host::{HostAccess, HostError};

const FILE: &str = "/etc/default/grub.d/90-corectl.cfg";
const BEFORE: &str = "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX ";
const UPDATE: &str = "/usr/sbin/update-grub";

/// Stands in our file while GRUB's configuration is not yet made from it.
const STALE: &str = "# update-grub has not run since this was written.\n";

/// The parameters of our file.
fn ours(host: &dyn HostAccess) -> Vec<(String, String)> {
    let text = host.read(FILE).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(BEFORE)?.strip_suffix('"'));
    pairs(line.unwrap_or_default())
}

fn pairs(line: &str) -> Vec<(String, String)> {
    let pair = |word: &str| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        (name.to_owned(), value.to_owned())
    };
    line.split_whitespace().map(pair).collect()
}

fn value(pairs: &[(String, String)], parameter: &str) -> Option<String> {
    pairs.iter().rev().find(|(name, _)| name == parameter).map(|(_, value)| value.clone())
}

/// What it is from the next boot on: ours, or fixed where somebody else gives it.
pub(super) fn read(host: &dyn HostAccess, parameter: &str) -> SettingReading {
    if host.read(UPDATE).is_err() {
        return SettingReading::Absent;
    }
    let is_stale = host.read(FILE).is_ok_and(|text| text.contains(STALE));
    let ours = value(&ours(host), parameter);
    if is_stale {
        // Equal to nothing that is wanted, so that it is written again.
        return SettingReading::Value(format!("{} (update-grub has not run)", ours.unwrap_or_default()));
    }
    if let Some(ours) = ours {
        return SettingReading::Value(ours);
    }
    // One that this boot was started with and no file names has been taken back already.
    let elsewhere = running(host, parameter).filter(|_| is_elsewhere(host, parameter));
    elsewhere.map_or_else(|| SettingReading::Value(String::new()), SettingReading::Fixed)
}

/// What this boot was started with.
pub(super) fn in_force(host: &dyn HostAccess, parameter: &str) -> SettingReading {
    SettingReading::Value(running(host, parameter).unwrap_or_default())
}

fn running(host: &dyn HostAccess, parameter: &str) -> Option<String> {
    value(&pairs(&host.read("/proc/cmdline").unwrap_or_default()), parameter)
}

/// Whether the operator's own files name it.
fn is_elsewhere(host: &dyn HostAccess, parameter: &str) -> bool {
    let word = format!("{parameter}=");
    let names = host.list("/etc/default/grub.d").unwrap_or_default();
    let files = names.iter().map(|name| format!("/etc/default/grub.d/{name}")).filter(|path| path != FILE);
    let mut files = files.chain(["/etc/default/grub".to_owned()]);
    files.any(|path| {
        host.read(&path).is_ok_and(|text| text.lines().any(|line| !line.starts_with('#') && line.contains(&word)))
    })
}

/// Gives a parameter a value, or takes it away.
pub(super) fn write(host: &dyn HostAccess, parameter: &str, value: &str) -> Result<(), HostError> {
    let mut parameters = ours(host);
    parameters.retain(|(name, _)| name != parameter);
    if !value.is_empty() {
        parameters.push((parameter.to_owned(), value.to_owned()));
    }
    let words: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let head = "# Written by corectl tune; corectl tune rollback takes it back.\n";
    let line = if words.is_empty() { String::new() } else { format!("{BEFORE}{}\"\n", words.join(" ")) };
    host.store(FILE, &format!("{head}{STALE}{line}"))?;
    host.run("update-grub", &[])?.success("update-grub")?;
    if line.is_empty() { host.remove(FILE) } else { host.store(FILE, &format!("{head}{line}")) }
}
