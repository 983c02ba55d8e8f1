//! The tables of docs/tuning.md, written from the declarations so that they cannot go stale.
//!
//! **Not**: the prose around them. **Invariants**: a document is changed only between its markers.
//!
//! **Source**: GitHub Flavored Markdown for tables and comments.

use std::fmt::Write as _;

use crate::knobs::{Access, Document, Group, Knob, all};
use crate::profile::{PROFILES, Profile};

/// The document with its tables brought up to date. `None` when a marker is missing.
#[must_use]
pub fn refreshed(document: &str) -> Option<String> {
    let tables = Group::ALL.iter().map(|group| (group.to_string(), table(*group)));
    let mut document = document.to_owned();
    for (name, table) in tables {
        let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
        let (before, rest) = document.split_once(&begin)?;
        let (_, after) = rest.split_once(&end)?;
        document = format!("{before}{begin}{table}{end}{after}");
    }
    Some(document)
}

fn table(group: Group) -> String {
    if group == Group::Report {
        return reports();
    }
    let names: Vec<&str> = PROFILES.iter().map(|(name, _)| *name).collect();
    let mut text = format!(
        "| knob | risk | {} | why, and how |\n|---|---|{}---|\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for knob in all().filter(|knob| knob.group == group) {
        let values: Vec<String> = names.iter().map(|name| value(name, knob)).collect();
        let risk = if knob.weakens() { format!("**{}**", knob.risk) } else { knob.risk.to_string() };
        let (name, how) = (knob.name, how(knob));
        let _ = writeln!(text, "| `{name}` | {risk} | {} | {how} |", values.join(" | "));
    }
    text
}

fn reports() -> String {
    let mut text = String::from("| what | why | source |\n|---|---|---|\n");
    for knob in all().filter(|knob| knob.group == Group::Report) {
        let _ = writeln!(text, "| `{}` | {} | {} |", knob.name, knob.reason, knob.source);
    }
    text
}

/// What a profile says of a knob; with the driver, where only one card's does.
fn value(profile: &str, knob: &Knob) -> String {
    let Ok(profile) = Profile::named(profile) else { return String::new() };
    if let Some(value) = profile.value(knob.name, None) {
        return format!("`{value}`");
    }
    let of_drivers = profile.drivers_with(knob.name);
    let of_drivers = of_drivers.iter().map(|(driver, value)| format!("{driver}: `{value}`"));
    of_drivers.collect::<Vec<_>>().join(", ")
}

fn how(knob: &Knob) -> String {
    let (reads, writes) = access(knob);
    let undone = match knob.access {
        Access::Document(_) => "the file as it was before, or none",
        Access::Boot(_) => "the parameter is taken out, from the next boot on",
        _ => "the value that was read before",
    };
    format!(
        "{} Read: {reads}. Written: {writes}; {}. Rolled back: {undone}. Source: {}.",
        knob.reason,
        knob.rule.words(),
        knob.source
    )
}

/// How it is read and written.
fn access(knob: &Knob) -> (String, String) {
    let same = |path: String| (format!("`{path}`"), "the same".to_owned());
    match knob.access {
        Access::Sysctl => same(format!("/proc/sys/{}", knob.name.replace('.', "/"))),
        Access::NicFile(file) => same(format!("/sys/class/net/NIC/{file}")),
        Access::QueueFile { side, file, .. } => same(format!("/sys/class/net/NIC/queues/{side}-N/{file}")),
        Access::HostFile(path, _) => same(path.into()),
        Access::PolicyFile(file) => same(format!("/sys/devices/system/cpu/cpufreq/policyN/{file}")),
        Access::NodeFile(file) => same(format!("/sys/devices/system/node/nodeN/{file}")),
        Access::IdleStates => same("/sys/devices/system/cpu/cpuN/cpuidle/stateN/disable".into()),
        Access::QueueIrq(_) => (
            "`/proc/irq/N/effective_affinity_list`".into(),
            "`smp_affinity_list`, of the interrupt with the queue's name".into(),
        ),
        Access::NicTool(tool) => {
            let item = tool.item();
            (format!("`ethtool {} NIC`", item.show_option()), format!("`ethtool {} NIC`", item.set_option()))
        }
        Access::Unit(unit) => (format!("`systemctl show {unit}`"), "`systemctl start`, `stop`".into()),
        Access::Boot(parameter) => {
            (format!("`{parameter}=` in `/proc/cmdline`"), "`/etc/default/grub.d/90-corectl.cfg`, `update-grub`".into())
        }
        Access::Untracked => ("`nft list table inet corelane_tune`".into(), "that table, in one transaction".into()),
        Access::Document(Document::CoreMap) => same(control::core_map::DEFAULT_PATH.into()),
        Access::Document(Document::SliceCpus) => same("/etc/systemd/system/corelane.slice.d/90-corectl.conf".into()),
        Access::ReportOnly => (String::new(), String::new()),
    }
}
