//! What is only looked at: clock, bus, firmware, IOMMU, sniffers, limits of running services.
//!
//! **Source**: the rows `report.…` of docs/tuning.md.

use serde::{Deserialize, Serialize};

use super::NicFacts;
use crate::host::HostAccess;

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportFact {
    /// The knob.
    pub knob: String,
    /// What was found.
    pub found: String,
    /// What an operator should do about it; empty where it is as it should be.
    pub advice: String,
}

fn fact(knob: &str, found: impl Into<String>, advice: impl Into<String>) -> ReportFact {
    ReportFact { knob: knob.into(), found: found.into(), advice: advice.into() }
}

pub(super) fn gather(host: &dyn HostAccess, nics: &[NicFacts]) -> Vec<ReportFact> {
    let mut found = Vec::new();
    found.extend(clock(host));
    for nic in nics {
        if let Some((now, most)) = &nic.pcie {
            let advice = if now == most { "" } else { "put the card into a slot that has all of its lanes" };
            found.push(fact("report.pcie", format!("{}: {now} of {most}", nic.name), advice));
        }
        found.extend(
            nic.firmware.as_ref().map(|version| fact("report.firmware", format!("{}: {version}", nic.name), "")),
        );
    }
    found.extend(iommu(host));
    found.extend(sniffers(host));
    found.extend(limits(host));
    found
}

fn clock(host: &dyn HostAccess) -> Option<ReportFact> {
    let folder = "/sys/devices/system/clocksource/clocksource0";
    let current = host.read(&format!("{folder}/current_clocksource")).ok()?.trim().to_owned();
    let available = host.read(&format!("{folder}/available_clocksource")).unwrap_or_default();
    let is_slow = matches!(current.as_str(), "hpet" | "acpi_pm" | "jiffies" | "refined-jiffies" | "pit");
    let advice = match (is_slow, available.split_whitespace().any(|name| name == "tsc")) {
        (true, true) => "see in the kernel's log why it left tsc; do not force it back before that is mended",
        (true, false) => "this machine offers no clock that programs can read without a system call",
        (false, _) => "",
    };
    Some(fact("report.clocksource", current, advice))
}

fn iommu(host: &dyn HostAccess) -> Option<ReportFact> {
    let groups = host.list("/sys/kernel/iommu_groups").ok().filter(|groups| !groups.is_empty())?;
    let first = groups.first()?;
    let kind = host.read(&format!("/sys/kernel/iommu_groups/{first}/type")).unwrap_or_default().trim().to_owned();
    let advice =
        if kind == "DMA" { "strict: each packet is mapped and unmapped; DMA-FQ or identity cost less" } else { "" };
    Some(fact("report.iommu", format!("{} groups, {kind}", groups.len()), advice))
}

fn sniffers(host: &dyn HostAccess) -> Option<ReportFact> {
    let text = host.read("/proc/net/packet").ok()?;
    let count = text.lines().skip(1).filter(|line| !line.trim().is_empty()).count();
    let advice = if count == 0 {
        ""
    } else {
        "end what captures packets (ss --packet --processes names it), or filter what it gets"
    };
    Some(fact("report.sniffers", format!("{count} packet sockets"), advice))
}

/// Names of the servers' processes.
const SERVICES: &[&str] = &["corelane", "shardstored"];

/// Open files that a server with its default limits on connections needs.
const OPEN_FILES_MIN: u64 = 65536;

fn limits(host: &dyn HostAccess) -> Vec<ReportFact> {
    let processes = host.list("/proc").unwrap_or_default();
    let running = processes.into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let of_service = running.filter_map(|pid| {
        let name = host.read(&format!("/proc/{pid}/comm")).ok()?.trim().to_owned();
        let name = SERVICES.iter().find(|service| **service == name)?;
        let limits = host.read(&format!("/proc/{pid}/limits")).ok()?;
        let soft = |row: &str| limits.lines().find_map(|line| line.strip_prefix(row)?.split_whitespace().next());
        let (files, locked) = (soft("Max open files")?, soft("Max locked memory")?);
        let is_low = |limit: &str, least: u64| limit.parse::<u64>().is_ok_and(|limit| limit < least);
        let advice = if is_low(files, OPEN_FILES_MIN) || locked != "unlimited" {
            "LimitNOFILE=1048576 and LimitMEMLOCK=infinity in the unit, as the packaged one has"
        } else {
            ""
        };
        Some(fact("report.limits", format!("{name} ({pid}): {files} open files, {locked} locked memory"), advice))
    });
    of_service.collect()
}
