//! What scenarios ask of a fleet that serves: which release runs where, which processes are still the same, and whether the load was answered.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::super::ansible::Play;
use super::super::load::Load;
use super::super::recap::PlayRun;
use super::super::{Fleet, Role};
use crate::run::wait;
use crate::scenarios::MINUTE;

/// The settings of an edge.
pub(super) const EDGE_FILE: &str = "/etc/corelane/corelane.toml";

/// The lock of a host; names its holder while it is held.
const LOCK: &str = "/run/lock/corelane-deploy";

impl Role {
    /// The unit that does it.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Edge => "corelane",
            Self::Node => "shardstored",
        }
    }
}

/// A load through the balancer that has written all its values.
pub(super) fn load(fleet: &Fleet) -> Result<Load> {
    Load::start(fleet.folder(), fleet.controller.namespace(), &fleet.stop)
}

/// No request has failed and no value was lost, also not in the second after the run; with what the controller printed where one has.
pub(super) fn served(load: &Load, run: &PlayRun) -> Result<()> {
    load.wait_for_more(200).and_then(|()| load.check()).map(drop).with_context(|| run.text.clone())
}

/// A rollout or rollback that watches for a moment only: its subject is not the judgement.
pub(super) fn hasty(fleet: &Fleet, playbook: &str, release: &str) -> Result<Play> {
    let play = fleet.play(playbook, release)?.var("corelane_allow_downgrade", "true");
    Ok(play
        .var("corelane_rollout_bake_seconds", "2")
        .var("corelane_rollout_watch_seconds", "1")
        .var("corelane_canary_require_data", "false"))
}

/// The processes of all hosts of a role run the release, and edges are in service.
pub(super) fn runs_on(fleet: &Fleet, role: Role, release: &str) -> Result<()> {
    fleet.hosts.iter().filter(|host| host.role == role).try_for_each(|host| runs(fleet, host.name, release))
}

/// The process of a host runs the release, and is in service if it is an edge.
pub(super) fn runs(fleet: &Fleet, name: &str, release: &str) -> Result<()> {
    let digest = fleet.releases.digest(release)?;
    let host = fleet.hosts.iter().find(|host| host.name == name).with_context(|| name.to_owned())?;
    let script = format!("readlink /proc/$(systemctl show -p MainPID --value {})/exe", host.role.unit());
    let program = host.host.must(&script, MINUTE).with_context(|| name.to_owned())?;
    ensure!(program.contains(&format!("/releases/{digest}/")), "{name} runs {}, not {release}", program.trim());
    if host.role == Role::Edge {
        host.host
            .must("curl -fsS --unix-socket /run/corelane/command http://localhost/readyz", MINUTE)
            .with_context(|| name.to_owned())?;
    }
    Ok(())
}

/// The processes of hosts, to see later which were restarted.
pub(super) struct Processes(BTreeMap<&'static str, String>);

impl Processes {
    /// Those of all hosts that are up.
    pub(super) fn of(fleet: &Fleet) -> Result<Self> {
        let of_host =
            |host: &super::super::FleetHost| Ok((host.name, host.host.property(host.role.unit(), "InvocationID")?));
        fleet.hosts.iter().map(of_host).collect::<Result<_>>().map(Self)
    }

    /// These were not restarted since.
    pub(super) fn same(&self, fleet: &Fleet, names: &[&str]) -> Result<()> {
        for host in fleet.hosts.iter().filter(|host| names.contains(&host.name)) {
            let now = host.host.property(host.role.unit(), "InvocationID")?;
            ensure!(self.0[host.name] == now, "{} was restarted", host.name);
        }
        Ok(())
    }

    /// Only these were restarted since, and each of them was.
    pub(super) fn only_restarted(&self, fleet: &Fleet, restarted: &[&str]) -> Result<()> {
        for (name, now) in Self::of(fleet)?.0 {
            let was_restarted = self.0[name] != now;
            let word = if was_restarted { "was" } else { "was not" };
            ensure!(
                was_restarted == restarted.contains(&name),
                "{name} {word} restarted; expected of {restarted:?} only"
            );
        }
        Ok(())
    }
}

/// Whoever holds the lock of a host, as its file says it.
pub(super) fn lock_holder(fleet: &Fleet, name: &str) -> Option<serde_json::Value> {
    let path = fleet.host(name).ok()?.live_path(LOCK).ok()?;
    let found: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    found["pid"].is_u64().then_some(found)
}

/// How many processes of a host have its lock open: who holds it, and who waits for it.
pub(super) fn at_lock(fleet: &Fleet, name: &str) -> Result<usize> {
    let script = format!("ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c ' {LOCK}$' || true");
    let count = fleet.host(name)?.must(&script, MINUTE)?;
    count.trim().parse().with_context(|| count.clone())
}

/// Waits until the balancer uses an edge, or does not.
pub(super) fn balanced(fleet: &Fleet, edge: &str, wanted: bool) -> Result<()> {
    let reached = || (fleet.balancer.uses(edge).ok()? == wanted).then_some(());
    wait(&fleet.stop, MINUTE, &format!("the balancer uses {edge}: {wanted}"), reached)
}
