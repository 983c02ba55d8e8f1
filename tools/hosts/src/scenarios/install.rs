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
    // What programs leave behind: the state of a host that was never tuned, and what a rollback without another release makes.
    host.must("corectl tune status; corectl release rollback || true", MINUTE)?;
    host.must("test -e /opt/corelane/.lock && test -e /var/lib/corelane/tune", MINUTE)?;
    host.must("apt-get purge -y corelane", MINUTE)?;
    let left =
        host.must("ls -d /opt/corelane /etc/corelane /var/lib/corelane /var/log/corelane /var/log/shardstored 2>/dev/null || true", MINUTE)?;
    ensure!(left.trim().is_empty(), "a purge leaves {left}");
    let found = host.shell("systemctl cat corelane.service", MINUTE).context("after the purge")?;
    ensure!(found.status != Some(0), "the unit is there after a purge");
    Ok(())
}
