//! What scenarios ask of a fleet that serves: which release runs where, which processes are still the same, and whether the load was answered.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::super::load::Load;
use super::super::recap::PlayRun;
use super::super::{Fleet, Role};
use crate::run::wait;
use crate::scenarios::MINUTE;

/// The settings of an edge.
pub(super) const EDGE_FILE: &str = "/etc/corelane/corelane.toml";

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
        host.host.must("curl -fsS http://127.0.0.1:9180/readyz", MINUTE).with_context(|| name.to_owned())?;
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

/// Waits until the balancer uses an edge, or does not.
pub(super) fn balanced(fleet: &Fleet, edge: &str, wanted: bool) -> Result<()> {
    let reached = || (fleet.balancer.uses(edge).ok()? == wanted).then_some(());
    wait(&fleet.stop, MINUTE, &format!("the balancer uses {edge}: {wanted}"), reached)
}
