//! Units of systemd: whether one runs, and telling systemd that files of units have changed.
//!
//! **Source**: systemctl(1).

use super::SettingReading;
use crate::host::{HostAccess, HostError};

const RUNS: &str = "active";
const RESTS: &str = "inactive";

/// Whether it runs; absent where there is no such unit, or no systemd.
pub(super) fn read(host: &dyn HostAccess, unit: &str) -> SettingReading {
    let arguments = ["show", "--property=LoadState,ActiveState", unit];
    // Without systemd as PID 1 there is nobody to ask.
    let shown = host.run("systemctl", &arguments).and_then(|output| output.success("systemctl show"));
    let Ok(text) = shown else { return SettingReading::Absent };
    if !text.lines().any(|line| line == "LoadState=loaded") {
        return SettingReading::Absent;
    }
    let is_active = text.lines().any(|line| line == "ActiveState=active");
    SettingReading::Value(if is_active { RUNS } else { RESTS }.into())
}

/// Starts or stops it.
pub(super) fn write(host: &dyn HostAccess, unit: &str, value: &str) -> Result<(), HostError> {
    let verb = match value {
        RUNS => "start",
        RESTS => "stop",
        _ => return Err(HostError::refused(unit, &format!("found {value}, allowed: {RUNS}, {RESTS}"))),
    };
    host.run("systemctl", &[verb, unit])?.success(&format!("systemctl {verb} {unit}")).map(drop)
}

/// Whether a file is of a unit.
pub(super) fn is_of_systemd(path: &str) -> bool {
    path.starts_with("/etc/systemd/system/")
}

/// Lets systemd read a file of a unit again; other files are not its business, and without systemd nobody reads it.
pub(super) fn reload(host: &dyn HostAccess, path: &str) -> Result<(), HostError> {
    if !is_of_systemd(path) || !host.has_systemd() {
        return Ok(());
    }
    host.run("systemctl", &["daemon-reload"])?.success("systemctl daemon-reload").map(drop)
}
