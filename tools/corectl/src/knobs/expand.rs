//! The settings that a knob has on a host: one of the host, of each card, of each queue.
//!
//! **Invariants**: pure: the same facts give the same settings, in the same order.

use std::fmt;

use super::{Access, Knob, all};
use crate::facts::{Facts, NicFacts};
use crate::setting::{Form, SettingAddress, VectorSide};

/// What a setting is of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SettingTarget {
    /// The card.
    pub nic: Option<String>,
    /// The queue, with `rx` or `tx`.
    pub queue: Option<(&'static str, u32)>,
}

impl fmt::Display for SettingTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nic = self.nic.as_deref().unwrap_or_default();
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
            Access::Sysctl => found.push(of_host(knob)),
            _ => found.extend(facts.nics.iter().flat_map(|nic| of_nic(knob, nic, queues(nic)))),
        }
    }
    found
}

fn setting(knob: &'static Knob, on: SettingTarget, address: SettingAddress) -> Setting {
    Setting { knob, target: on.to_string(), on, address }
}

fn of_host(knob: &'static Knob) -> Setting {
    let path = format!("/proc/sys/{}", knob.name.replace('.', "/"));
    setting(knob, SettingTarget::default(), SettingAddress::File { path, form: Form::Words })
}

fn of_nic(knob: &'static Knob, nic: &NicFacts, (rx, tx): (u32, u32)) -> Vec<Setting> {
    let name = nic.name.clone();
    let target = |queue| SettingTarget { nic: Some(name.clone()), queue };
    match knob.access {
        Access::Sysctl => Vec::new(),
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
    }
}
