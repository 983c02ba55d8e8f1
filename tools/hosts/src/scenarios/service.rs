//! The service under systemd: ready when it is, reloaded, drained, restarted when it should be and left alone when it should not.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{HostLab, MINUTE, SingleHost};
use crate::host::ContainerHost;
use crate::run::wait;

const UNIT: &str = "corelane.service";

/// The edge's configuration.
const CONFIG: &str = "/etc/corelane/corelane.toml";

/// Writes a value and reads it back.
const ROUND_TRIP: &str = "curl -fsS -X PUT -d hello http://127.0.0.1:8080/v1/kv/default/greeting
test \"$(curl -fsS http://127.0.0.1:8080/v1/kv/default/greeting)\" = hello";

/// A core counts as standing still after 5 s, the unit's limit is 10 s, the end may take 10 s more; the machine is busy.
const WATCHDOG_LIMIT: Duration = Duration::from_secs(90);

/// Started, reloaded, stopped: each word of systemd's means what it says.
pub(super) fn life(setting: &HostLab) -> Result<()> {
    let lab = SingleHost::installed(setting, "life")?;
    let host = &lab.host;
    // With Type=notify this returns when the service is ready.
    host.must("systemctl start corelane", MINUTE)?;
    host.must("curl -fsS http://127.0.0.1:9180/readyz", MINUTE)?;
    host.must(ROUND_TRIP, MINUTE)?;
    let process = host.property(UNIT, "MainPID")?;

    // A reload takes a change, keeps the process and what it stores.
    edit(host, |text| format!("edge_ttl = \"7s\"\n{text}"))?;
    host.must("systemctl reload corelane", MINUTE)?;
    host.must(r#"until curl -fsS http://127.0.0.1:9180/v1/config | tr -d '\n' | grep -q '"edge_ttl": {[^}]*7s'; do sleep 0.1; done"#, MINUTE)?;
    ensure!(host.property(UNIT, "MainPID")? == process, "a reload changed the process");
    host.must("test \"$(curl -fsS http://127.0.0.1:8080/v1/kv/default/greeting)\" = hello", MINUTE)?;

    // What is not valid is refused, and the service goes on with what it had.
    edit(host, |text| format!("no_such_key = 1\n{text}"))?;
    host.must("systemctl reload corelane || true", MINUTE)?;
    host.must("until journalctl -u corelane | grep -q config_refused; do sleep 0.1; done", MINUTE)?;
    ensure!(host.property(UNIT, "ActiveState")? == "active", "a refused configuration ended the service");

    host.must("systemctl stop corelane", MINUTE)?;
    let (result, status) = (host.property(UNIT, "Result")?, host.property(UNIT, "ExecMainStatus")?);
    ensure!(result == "success" && status == "0", "stopped with {result}, status {status}\n{}", host.journal(UNIT));
    Ok(())
}

/// A configuration that cannot work is not tried again; a crash is, until it has happened too often.
pub(super) fn restarts(setting: &HostLab) -> Result<()> {
    let lab = SingleHost::installed(setting, "restarts")?;
    let host = &lab.host;
    let good = fs::read_to_string(host.path(CONFIG)).context("the configuration is there")?;
    edit(host, |_| "memory = \"a lot\"\n".to_owned())?;
    let started = host.shell("systemctl start corelane", MINUTE)?;
    ensure!(started.status != Some(0), "it started with a configuration that is not valid");
    host.wait_for(UNIT, "ActiveState", "failed", MINUTE)?;
    let (restarts, status) = (host.property(UNIT, "NRestarts")?, host.property(UNIT, "ExecMainStatus")?);
    ensure!(restarts == "0" && status == "2", "NRestarts {restarts}, status {status}\n{}", host.journal(UNIT));
    ensure!(host.journal(UNIT).contains("memory"), "the journal does not name the key\n{}", host.journal(UNIT));

    edit(host, |_| good)?;
    host.must("systemctl reset-failed corelane && systemctl start corelane", MINUTE)?;
    host.must("systemctl kill --signal=KILL corelane", MINUTE)?;
    host.wait_for(UNIT, "NRestarts", "1", MINUTE)?;
    host.wait_for(UNIT, "SubState", "running", MINUTE)?;
    host.must(ROUND_TRIP, MINUTE)?;
    // Again and again: systemd gives up, and says why. By the unit's own numbers that takes five minutes.
    let sooner = "[Unit]\nStartLimitBurst=8\n[Service]\nRestartSec=100ms\n";
    let folder = host.path("/etc/systemd/system/corelane.service.d");
    fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("sooner.conf"), sooner)).context("the drop-in")?;
    host.must("systemctl daemon-reload && systemctl reset-failed corelane && systemctl restart corelane", MINUTE)?;
    host.must(
        "until systemctl is-failed --quiet corelane; do
             systemctl kill --signal=KILL corelane 2>/dev/null || true; sleep 0.2
         done",
        MINUTE,
    )?;
    let said = host.journal(UNIT);
    ensure!(said.contains("Start request repeated too quickly"), "{said}");
    let restarts = host.property(UNIT, "NRestarts")?;
    ensure!(
        restarts == "8",
        "it was restarted {restarts} times, where 8 starts are allowed: seven, and one that is refused"
    );
    Ok(())
}

/// A start that lacks what may be there later is tried again until it is there: longer than a limit of a few starts would.
pub(super) fn later(setting: &HostLab) -> Result<()> {
    /// Starts that failed before the address comes; five in a minute was too few.
    const FAILED_STARTS: &str = "8";
    let lab = SingleHost::installed(setting, "later")?;
    let host = &lab.host;
    edit(host, |text| text.replace("127.0.0.1:8080", "198.18.0.77:8080"))?;
    let started = host.shell("systemctl start corelane", MINUTE)?;
    ensure!(started.status != Some(0), "it started without its address");
    host.wait_for(UNIT, "NRestarts", FAILED_STARTS, 2 * MINUTE)?;
    // The state is that of the moment: waiting, or another start under way.
    ensure!(host.property(UNIT, "ActiveState")? == "activating", "it was given up\n{}", host.journal(UNIT));
    ensure!(host.journal(UNIT).contains("status=75/TEMPFAIL"), "{}", host.journal(UNIT));
    ensure!(host.journal(UNIT).contains("198.18.0.77:8080"), "the journal does not name the address");
    host.must("ip addr add 198.18.0.77/24 dev eth0", MINUTE)?;
    host.wait_for(UNIT, "SubState", "running", MINUTE)?;
    host.must("curl -fsS -X PUT -d hello http://198.18.0.77:8080/v1/kv/default/greeting", MINUTE).map(drop)
}

/// What the unit takes away is taken away from the running process.
pub(super) fn hardening(setting: &HostLab) -> Result<()> {
    let lab = SingleHost::installed(setting, "hardening")?;
    let host = &lab.host;
    host.must("systemctl start corelane", MINUTE)?;
    host.must(ROUND_TRIP, MINUTE)?;
    let facts = host.must("cat /proc/$(systemctl show -p MainPID --value corelane)/status", MINUTE)?;
    // CAP_NET_BIND_SERVICE is bit 10.
    for fact in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000400", "CapBnd:\t0000000000000400"] {
        ensure!(facts.contains(fact), "{fact} is not in\n{facts}");
    }
    for script in ["touch /etc/x", "touch /opt/corelane/x", "touch /srv/x", "test -e /dev/kmsg"] {
        let inside = format!("nsenter --target \"$(systemctl show -p MainPID --value corelane)\" --mount -- {script}");
        let outcome = host.shell(&inside, MINUTE)?;
        ensure!(outcome.status != Some(0), "{script} works in the service's file system");
    }
    let user = host.must("ps -o user= -p \"$(systemctl show -p MainPID --value corelane)\"", MINUTE)?;
    ensure!(user.trim() == "corelane", "it runs as {user}");
    Ok(())
}

/// The power goes, and the host reboots: an enabled service is there again, without a word.
pub(super) fn power(setting: &HostLab) -> Result<()> {
    let mut lab = SingleHost::installed(setting, "power")?;
    lab.host.must("systemctl enable --now corelane", MINUTE)?;
    lab.lose_power()?;
    lab.host.wait_for(UNIT, "SubState", "running", MINUTE)?;
    lab.host.must(ROUND_TRIP, MINUTE)?;
    lab.host.reboot()?;
    lab.host.wait_for(UNIT, "SubState", "running", MINUTE)?;
    lab.host.must(ROUND_TRIP, MINUTE)?;
    lab.host.must("corectl release list | grep '^[*]'", MINUTE).map(drop)
}

/// One data core stands still, as if the kernel held it: the watchdog ends the process and systemd starts another.
pub(super) fn watchdog(setting: &HostLab) -> Result<()> {
    let lab = SingleHost::installed(setting, "watchdog")?;
    let host = &lab.host;
    host.must("systemctl start corelane", MINUTE)?;
    let process = host.property(UNIT, "MainPID")?;
    // Longer than WatchdogSec= of the unit: cores that pass keep the service alive.
    host.must("sleep 12", MINUTE)?;
    ensure!(host.property(UNIT, "MainPID")? == process, "the watchdog ended a service that works");
    let stopped = host.stop_thread(UNIT, "core-0")?;
    wait(&setting.stop, WATCHDOG_LIMIT, "the restart by the watchdog", || {
        stopped.reap();
        host.property(UNIT, "NRestarts").is_ok_and(|restarts| restarts == "1").then_some(())
    })
    .with_context(|| host.journal(UNIT))?;
    host.wait_for(UNIT, "SubState", "running", MINUTE)?;
    let said = host.journal(UNIT);
    ensure!(said.contains("atchdog"), "the journal does not name the watchdog\n{said}");
    host.must(ROUND_TRIP, MINUTE).map(drop)
}

fn edit(host: &ContainerHost, change: impl FnOnce(String) -> String) -> Result<()> {
    let path = host.path(CONFIG);
    let text = fs::read_to_string(&path).context("the configuration could not be read")?;
    fs::write(&path, change(text)).context("the configuration could not be written")
}
