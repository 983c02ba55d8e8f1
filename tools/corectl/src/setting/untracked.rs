//! Ports whose connections netfilter does not track, in a table of our own.
//!
//! **Not** other tables: turning filtering off is nobody's business but the operator's.
//!
//! **Invariants**: the table is replaced as a whole, in one transaction of nftables. No ports, no table.
//!
//! **Source**: nft(8), "notrack"; priority raw.

use super::SettingReading;
use crate::host::{HostAccess, HostError};

const TABLE: &str = "inet corelane_tune";

/// The ports; absent where connections are not tracked at all, or nft is not installed.
pub(super) fn read(host: &dyn HostAccess) -> SettingReading {
    if host.read("/proc/sys/net/netfilter/nf_conntrack_max").is_err() {
        return SettingReading::Absent;
    }
    match host.run("nft", &["-n", "list", "tables"]) {
        Ok(output) if output.status == 0 => {}
        Ok(output) => return SettingReading::Unreadable(output.stderr.trim().to_owned()),
        Err(_) => return SettingReading::Absent,
    }
    match host.run("nft", &["-n", "list", "table", "inet", "corelane_tune"]) {
        Ok(output) if output.status == 0 => SettingReading::Value(ports(&output.stdout)),
        Ok(_) => SettingReading::Value(String::new()),
        Err(error) => SettingReading::Unreadable(error.to_string()),
    }
}

/// The ports of `tcp dport { 8080, 8443 } notrack` or `tcp dport 8080 notrack`.
fn ports(text: &str) -> String {
    let rule = text.lines().find_map(|line| line.trim().strip_prefix("tcp dport")?.strip_suffix("notrack"));
    let numbers = rule.unwrap_or_default().split(|character: char| !character.is_ascii_digit());
    numbers.filter(|number| !number.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Makes the table anew, or removes it.
pub(super) fn write(host: &dyn HostAccess, ports: &str) -> Result<(), HostError> {
    let list = ports.split_whitespace().collect::<Vec<_>>().join(", ");
    // Adding first makes the deletion right also where there is none.
    let mut script = format!("add table {TABLE}; delete table {TABLE};");
    if !list.is_empty() {
        let chain = |name: &str, hook: &str, port: &str| {
            format!("chain {name} {{ type filter hook {hook} priority raw; tcp {port} {{ {list} }} notrack; }}; ")
        };
        script +=
            &format!(" table {TABLE} {{ {}{}}}", chain("in", "prerouting", "dport"), chain("out", "output", "sport"));
    }
    host.run("nft", &[&script])?.success("nft").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_in_both_forms() {
        let table = |rule: &str| format!("table inet corelane_tune {{\n\tchain in {{\n\t\t{rule}\n\t}}\n}}\n");
        assert_eq!(ports(&table("tcp dport 8080 notrack")), "8080");
        assert_eq!(ports(&table("tcp dport { 8080, 8443 } notrack")), "8080 8443");
        assert_eq!(ports(&table("tcp sport 8080 notrack")), "");
    }
}
