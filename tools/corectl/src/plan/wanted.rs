//! What a profile's word for a knob means on a host: `layout`, `max`, a number that is a floor.
//!
//! **Invariants**: pure.

use super::document;
use super::line::{LineAction, PlanLine};
use crate::cpu_list::CpuList;
use crate::facts::{Facts, NicFacts};
use crate::knobs::{Access, Knob, Risk, Rule, Setting, Tool};
use crate::layout::{Layout, QueuePlace};
use crate::profile::Profile;
use crate::setting::{Form, SettingAddress, SettingReading};

/// What the layout decides.
const BY_LAYOUT: &str = "layout";

/// As much as the device can.
const MOST: &str = "max";

/// No CPU.
const NONE: &str = "none";

/// A line for a setting; `None` when the profile does not name its knob, or nothing is wanted of this target.
pub(super) fn line(
    facts: &Facts,
    profile: &Profile,
    layout: &Layout,
    max_risk: Risk,
    setting: &Setting,
) -> Option<PlanLine> {
    let nic = setting.on.nic.as_ref().and_then(|name| facts.nics.iter().find(|nic| nic.name == *name));
    let value = profile.value(setting.knob.name, nic.map(|nic| nic.driver.as_str()))?;
    let current = facts.reading(&setting.address);
    let wanted = match meant(facts, value, setting, layout) {
        Meant::Value(wanted) => wanted,
        Meant::Nothing => return None,
    };
    let ruled = current.value().and_then(|current| ruled(setting.knob.rule, current, &wanted));
    let (wanted, mut note) = match ruled {
        Some(ruled) if ruled != wanted => {
            let note = format!("the profile says {wanted}; {}", setting.knob.rule.words());
            (ruled, note)
        }
        _ => (wanted, String::new()),
    };
    let is_new_queue = is_new_queue(setting, nic);
    let is_file = matches!(setting.address, SettingAddress::Stored { .. });
    let action = match &current {
        SettingReading::Value(current) if *current == wanted => LineAction::Keep,
        SettingReading::Absent if is_new_queue || is_file => LineAction::Change,
        SettingReading::Value(_) => LineAction::Change,
        SettingReading::Fixed(current) if *current == wanted => LineAction::Keep,
        SettingReading::Fixed(_) => {
            note = "the driver lets nobody change it".into();
            LineAction::NotHere
        }
        SettingReading::Absent => {
            note = why_absent(setting).into();
            LineAction::NotHere
        }
        SettingReading::Unreadable(why) => {
            note = format!("it could not be put back: {why}");
            LineAction::NotHere
        }
    };
    let action = match impossible(setting, &wanted, layout) {
        Some(why) if action == LineAction::Change => {
            note = why.into();
            LineAction::NotHere
        }
        _ => action,
    };
    let is_held = action == LineAction::Change && setting.knob.risk > max_risk;
    let action = if is_held { LineAction::HeldBack } else { action };
    if is_held {
        note = format!("needs --max-risk {}", setting.knob.risk);
    } else if is_new_queue && action == LineAction::Change {
        note = "the queue comes with nic.channels".into();
    }
    Some(PlanLine {
        action,
        knob: setting.knob.name.into(),
        target: setting.target.clone(),
        group: setting.knob.group,
        risk: setting.knob.risk,
        address: setting.address.clone(),
        weakens: setting.knob.weakens(),
        current,
        wanted,
        reason: setting.knob.reason.into(),
        note,
    })
}

/// Knob of the cpuset partition.
const PARTITION: &str = "service.cpu_partition";

/// Why a setting that this kernel may well have is not to be seen.
fn why_absent(setting: &Setting) -> &'static str {
    if setting.knob.name == PARTITION {
        "the slice has it once it runs with CPUs of its own: confirm service.slice_cpus, restart the services, then plan and apply again"
    } else {
        "this kernel, driver or machine has no such setting"
    }
}

/// Why the kernel would take a value and not do it.
fn impossible(setting: &Setting, wanted: &str, layout: &Layout) -> Option<&'static str> {
    // The first housekeeping CPU is the control thread's, and so the slice's.
    let leaves_none = layout.housekeeping.len() < 2 && setting.knob.name == PARTITION && wanted == "isolated";
    leaves_none.then_some(
        "the services have all CPUs, and a partition must leave the host one: `housekeeping` in the table `layout` of the host's own file, two or more CPUs",
    )
}

/// A queue that the card does not have yet.
fn is_new_queue(setting: &Setting, nic: Option<&NicFacts>) -> bool {
    let (Some((side, queue)), Some(nic)) = (setting.on.queue, nic) else { return false };
    queue >= if side == "rx" { nic.rx_queues } else { nic.tx_queues }
}

enum Meant {
    Value(String),
    Nothing,
}

/// What a profile's word means for a setting.
fn meant(facts: &Facts, value: &str, setting: &Setting, layout: &Layout) -> Meant {
    let nic = setting.on.nic.as_ref().and_then(|name| facts.nics.iter().find(|nic| nic.name == *name));
    let places = setting.on.nic.as_ref().and_then(|nic| layout.queues(nic)).unwrap_or_default();
    let place = setting.on.queue.and_then(|(_, queue)| places.get(queue as usize));
    let meant = match (setting.knob.access, value) {
        (Access::NicTool(Tool::Channels), _) => {
            let pairs = u32::try_from(places.len()).unwrap_or_default();
            nic.map(|nic| nic.channels.map_or_else(|| pairs.to_string(), |channels| channels.setting_of(pairs)))
        }
        (Access::NicTool(Tool::RingRx), _) => ring(value, nic.and_then(|nic| Some(nic.rings?.rx_max))),
        (Access::NicTool(Tool::RingTx), _) => ring(value, nic.and_then(|nic| Some(nic.rings?.tx_max))),
        (Access::NicTool(Tool::Rss), BY_LAYOUT) => Some(format!("equal {}", places.len())),
        (Access::QueueIrq(_), BY_LAYOUT) => place.map(|place| place.cpu.to_string()),
        (Access::QueueFile { .. }, BY_LAYOUT) => place.map(senders),
        (Access::HostFile(_, Form::CpuMask), BY_LAYOUT) => {
            (!layout.housekeeping.is_empty()).then(|| CpuList::of(&layout.housekeeping).to_string())
        }
        (Access::Document(document), BY_LAYOUT) => document::text(document, facts, layout),
        (Access::Boot(parameter), BY_LAYOUT) => boot_list(parameter, layout),
        (Access::IdleStates, _) => idle_state(facts, value, setting),
        (Access::Sysctl, _) if value.ends_with('%') => share_of_memory(facts, value),
        (Access::Untracked, _) => Some(value.replace(',', " ").split_whitespace().collect::<Vec<_>>().join(" ")),
        (Access::QueueFile { form: Form::CpuMask, .. }, NONE) => Some(String::new()),
        _ => Some(setting.address.normal(value)),
    };
    meant.map_or(Meant::Nothing, Meant::Value)
}

/// Why a profile's word means nothing for a knob: without this its lines would be missing in silence.
pub(super) fn fault(knob: &Knob, profile: &Profile) -> Option<String> {
    let value = profile.value(knob.name, None)?;
    let is_number = || value.parse::<u32>().is_ok();
    let (is_meant, allowed) = match knob.access {
        Access::NicTool(Tool::Channels) => (value == BY_LAYOUT || is_number(), "layout, or a number of queues"),
        Access::NicTool(Tool::RingRx | Tool::RingTx) => {
            (value == MOST || is_number(), "max, or a number of descriptors")
        }
        Access::IdleStates => (is_number(), "microseconds"),
        Access::Sysctl if value.ends_with('%') => (percent(value).is_some(), "0% to 100%"),
        _ => return None,
    };
    (!is_meant).then(|| format!("{}: found `{value}`, allowed: {allowed}", knob.name))
}

fn percent(value: &str) -> Option<u64> {
    value.trim_end_matches('%').parse().ok().filter(|percent| *percent <= 100)
}

/// Rings of a size that the card can have; `max` of a card that says none means nothing.
fn ring(value: &str, most: Option<u32>) -> Option<String> {
    match (value, most) {
        (MOST, most) => most.map(|most| most.to_string()),
        (_, Some(most)) => Some(value.parse::<u32>().map_or_else(|_| value.into(), |size| size.min(most).to_string())),
        (_, None) => Some(value.to_owned()),
    }
}

/// Workers' CPUs as a parameter of the kernel takes them.
fn boot_list(parameter: &str, layout: &Layout) -> Option<String> {
    if layout.housekeeping.is_empty() {
        // A kernel that may use no CPU for itself does not start.
        return None;
    }
    let workers = CpuList::of(&[layout.workers.clone(), layout.interrupts.clone()].concat());
    Some(if parameter == "isolcpus" { format!("managed_irq,domain,{workers}") } else { workers.to_string() })
}

/// 1 turns a state off; states that are left soon enough are nobody's business here.
fn idle_state(facts: &Facts, value: &str, setting: &Setting) -> Option<String> {
    let most: u32 = value.parse().ok()?;
    let part = setting.on.part.as_deref()?;
    let is_it = |state: &&crate::facts::IdleState| part == format!("state-{} cpu-{}", state.state, state.cpu);
    let state = facts.cpus.idle_states.iter().find(is_it)?;
    (state.latency_us > most).then(|| "1".into())
}

/// KiB of a page.
const PAGE_KIB: u64 = 4;

/// A share of the host's memory as `tcp_mem` takes it: pages at which sockets are content, pressed, and refused.
fn share_of_memory(facts: &Facts, value: &str) -> Option<String> {
    let percent = percent(value)?;
    let most = facts.kernel.memory_kib / PAGE_KIB * percent / 100;
    Some(format!("{} {} {most}", most / 2, most / 4 * 3))
}

fn senders(place: &QueuePlace) -> String {
    CpuList::of(&place.senders).to_string()
}

/// What the rule makes of the profile's value, beside what is there. `None` when they are no numbers.
fn ruled(rule: Rule, current: &str, wanted: &str) -> Option<String> {
    let numbers = |text: &str| text.split_whitespace().map(str::parse::<u64>).collect::<Result<Vec<_>, _>>().ok();
    let pick: fn(usize, u64, u64) -> u64 = match rule {
        Rule::Exact => return None,
        Rule::AtLeast => |_, current, wanted| current.max(wanted),
        Rule::AtMost => |_, current, wanted| current.min(wanted),
        Rule::Widen => |at, current, wanted| if at == 0 { current.min(wanted) } else { current.max(wanted) },
    };
    let (current, wanted) = (numbers(current)?, numbers(wanted)?);
    if current.len() != wanted.len() {
        return None;
    }
    let pairs = current.into_iter().zip(wanted).enumerate();
    Some(pairs.map(|(at, (current, wanted))| pick(at, current, wanted).to_string()).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_are_never_crossed() {
        for (rule, current, wanted, expected) in [
            (Rule::AtLeast, "4096 131072 33554432", "4096 131072 16777216", Some("4096 131072 33554432")),
            (Rule::AtLeast, "128", "65535", Some("65535")),
            (Rule::AtMost, "4294967295", "131072", Some("131072")),
            (Rule::AtMost, "65536", "131072", Some("65536")),
            (Rule::Widen, "32768 60999", "16384 65535", Some("16384 65535")),
            (Rule::Widen, "1024 60999", "16384 65535", Some("1024 65535")),
            (Rule::Exact, "1", "0", None),
            (Rule::AtLeast, "1 2", "3", None),
        ] {
            assert_eq!(ruled(rule, current, wanted).as_deref(), expected, "{current} {wanted}");
        }
    }
}
