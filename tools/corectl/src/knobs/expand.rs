//! The settings that a knob has on a host: one of the host, of each card, of each queue.
//!
//! **Invariants**: pure: the same facts give the same settings, in the same order.

use std::fmt;

use super::{Access, Document, Knob, all};
use crate::facts::{Facts, IdleState, NicFacts, NumaNode};
use crate::setting::{Form, SettingAddress, VectorSide};

/// What a setting is of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SettingTarget {
    /// The card.
    pub nic: Option<String>,
    /// The queue, with `rx` or `tx`.
    pub queue: Option<(&'static str, u32)>,
    /// Something of the host with a number: `policy 3`, `node 0`, `cpu 2 state 3`.
    pub part: Option<String>,
}

impl fmt::Display for SettingTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nic = self.nic.as_deref().or(self.part.as_deref()).unwrap_or_default();
        match self.queue {
            Some((side, queue)) => f.pad(&format!("{nic} {side}-{queue}")),
            None => f.pad(nic),
        }
    }
}

/// A setting of a knob on a host.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The knob.
    pub knob: &'static Knob,
    /// What it is of.
    pub on: SettingTarget,
    /// The same in words; empty for the whole host.
    pub target: String,
    /// Where it is.
    pub address: SettingAddress,
}

/// All settings of a host as it is.
#[must_use]
pub fn settings(facts: &Facts) -> Vec<Setting> {
    settings_with(facts, |nic| (nic.rx_queues, nic.tx_queues))
}

/// All settings of a host whose cards have other numbers of queues: of those that receive, and those that send.
#[must_use]
pub fn settings_with(facts: &Facts, queues: impl Fn(&NicFacts) -> (u32, u32)) -> Vec<Setting> {
    let mut found = Vec::new();
    for knob in all() {
        match knob.access {
            Access::Sysctl
            | Access::HostFile(..)
            | Access::PolicyFile(_)
            | Access::IdleStates
            | Access::NodeFile(_)
            | Access::Unit(_)
            | Access::Boot(_)
            | Access::Untracked
            | Access::Document(_)
            | Access::ReportOnly => found.extend(of_host(knob, facts)),
            Access::NicFile(_) | Access::QueueFile { .. } | Access::NicTool(_) | Access::QueueIrq(_) => {
                found.extend(facts.nics.iter().flat_map(|nic| of_nic(knob, nic, queues(nic))));
            }
        }
    }
    found
}

fn setting(knob: &'static Knob, on: SettingTarget, address: SettingAddress) -> Setting {
    Setting { knob, target: on.to_string(), on, address }
}

fn of_host(knob: &'static Knob, facts: &Facts) -> Vec<Setting> {
    let one = |address| vec![setting(knob, SettingTarget::default(), address)];
    let words = |path: String| SettingAddress::File { path, form: Form::Words };
    let part = |part: String, address| setting(knob, SettingTarget { part: Some(part), ..Default::default() }, address);
    match knob.access {
        Access::Sysctl => one(words(format!("/proc/sys/{}", knob.name.replace('.', "/")))),
        Access::HostFile(path, form) => one(SettingAddress::File { path: path.into(), form }),
        Access::Unit(unit) => one(SettingAddress::Unit { unit: unit.into() }),
        Access::Boot(parameter) => one(SettingAddress::Boot { parameter: parameter.into() }),
        Access::Untracked => one(SettingAddress::Untracked),
        Access::Document(Document::CoreMap) => one(SettingAddress::Stored { path: facts.cores_map.clone() }),
        Access::Document(Document::SliceCpus) => one(SettingAddress::Stored { path: SLICE_FILE.into() }),
        Access::PolicyFile(file) => {
            let of_policy = |policy: &u32| {
                let path = format!("/sys/devices/system/cpu/cpufreq/policy{policy}/{file}");
                part(format!("policy-{policy}"), words(path))
            };
            facts.cpus.frequency_policies.iter().map(of_policy).collect()
        }
        Access::NodeFile(file) => {
            let of_node = |node: &NumaNode| {
                let node = node.node;
                part(format!("node-{node}"), words(format!("/sys/devices/system/node/node{node}/{file}")))
            };
            facts.cpus.nodes.iter().map(of_node).collect()
        }
        Access::IdleStates => {
            let of_state = |state: &IdleState| {
                let IdleState { cpu, state, .. } = state;
                let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpuidle/state{state}/disable");
                part(format!("state-{state} cpu-{cpu}"), words(path))
            };
            facts.cpus.idle_states.iter().map(of_state).collect()
        }
        _ => Vec::new(),
    }
}

/// Where a slice's CPUs are said to systemd.
const SLICE_FILE: &str = "/etc/systemd/system/corelane.slice.d/90-corectl.conf";

fn of_nic(knob: &'static Knob, nic: &NicFacts, (rx, tx): (u32, u32)) -> Vec<Setting> {
    let name = nic.name.clone();
    let target = |queue| SettingTarget { nic: Some(name.clone()), queue, part: None };
    match knob.access {
        Access::NicFile(file) => {
            let path = format!("/sys/class/net/{name}/{file}");
            vec![setting(knob, target(None), SettingAddress::File { path, form: Form::Words })]
        }
        Access::NicTool(tool) => {
            vec![setting(knob, target(None), SettingAddress::Nic { nic: name.clone(), item: tool.item() })]
        }
        Access::QueueFile { side, file, form } => {
            let of_queue = |queue| {
                let path = format!("/sys/class/net/{name}/queues/{side}-{queue}/{file}");
                setting(knob, target(Some((side, queue))), SettingAddress::File { path, form })
            };
            (0..if side == "rx" { rx } else { tx }).map(of_queue).collect()
        }
        Access::QueueIrq(side) => {
            // A card without interrupts of its own, or whose send queues share those of the receive queues.
            if !nic.vectors.iter().any(|vector| vector.is_side(side)) {
                return Vec::new();
            }
            let (word, count) = if side == VectorSide::Rx { ("rx", rx) } else { ("tx", tx) };
            let of_queue = |queue| {
                setting(knob, target(Some((word, queue))), SettingAddress::Irq { nic: name.clone(), queue, side })
            };
            (0..count).map(of_queue).collect()
        }
        _ => Vec::new(),
    }
}
