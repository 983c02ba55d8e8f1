//! The package: installed without a network, complete, and gone again.

use anyhow::{Context, Result, ensure};

use super::{HostLab, MINUTE, SingleHost};

pub(super) fn run(setting: &HostLab) -> Result<()> {
    let lab = SingleHost::start(setting, "install")?;
    let host = &lab.host;
    lab.install(setting)?;
    for command in [
        "corelane --version",
        "shardstored --version",
        "coreperf --version",
        "corectl --version",
        "corelane --check --config /etc/corelane/corelane.toml",
        "systemctl cat corelane.service shardstored.service corelane.slice",
        "systemd-analyze verify --man=no corelane.service shardstored.service",
        "id corelane",
        "man --where corelane 2>&1 | grep corelane.1",
        "man --where 5 corelane.toml | grep corelane.toml.5",
        "bash -n /usr/share/bash-completion/completions/corelane",
        "corectl release list | grep '^[*]'",
    ] {
        host.must(command, MINUTE)?;
    }
    let active = host.property("corelane.service", "ActiveState")?;
    ensure!(active == "inactive", "the installation started the service: {active}");
    host.must("apt-get purge -y corelane", MINUTE)?;
    let left = host.must("find /opt/corelane /etc/corelane /usr/bin -name '*core*' 2>&1 || true", MINUTE)?;
    ensure!(!left.contains("/opt/corelane/releases"), "a purge leaves {left}");
    let found = host.shell("systemctl cat corelane.service", MINUTE).context("after the purge")?;
    ensure!(found.status != Some(0), "the unit is there after a purge");
    Ok(())
}
