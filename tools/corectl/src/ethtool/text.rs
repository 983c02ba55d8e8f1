//! What `ethtool` prints, read.
//!
//! **Not**: JSON, which ethtool 6.1 has for `-k` and `-a` only.
//!
//! **Invariants**: what a driver does not have is `None`, whether a version prints `n/a`, leaves the line out or prints nothing.
//! Versions that print 0 for it are read as 0.
//!
//! **Source**: ethtool(8).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Queues, by what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelCounts {
    /// Receive only.
    pub rx: u32,
    /// Send only.
    pub tx: u32,
    /// Neither: link events and the like.
    pub other: u32,
    /// Both.
    pub combined: u32,
}

/// `ethtool -l`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channels {
    /// What the device can have.
    pub max: ChannelCounts,
    /// What it has.
    pub current: ChannelCounts,
}

impl Channels {
    /// Queue pairs that the device can have.
    #[must_use]
    pub fn pairs_max(&self) -> u32 {
        self.max.combined.max(self.max.rx.min(self.max.tx))
    }

    /// Queues that receive.
    #[must_use]
    pub fn receiving(&self) -> u32 {
        self.current.combined + self.current.rx
    }

    /// As settings are written: the kinds that are in use, `combined 4` or `rx 4 tx 4`.
    #[must_use]
    pub fn setting(&self) -> String {
        let kinds = [("rx", self.current.rx), ("tx", self.current.tx), ("combined", self.current.combined)];
        let used = kinds.iter().filter(|(_, count)| *count > 0).map(|(kind, count)| format!("{kind} {count}"));
        used.collect::<Vec<_>>().join(" ")
    }

    /// The setting for a number of queue pairs.
    #[must_use]
    pub fn setting_of(&self, pairs: u32) -> String {
        if self.max.combined > 0 { format!("combined {pairs}") } else { format!("rx {pairs} tx {pairs}") }
    }
}

/// `ethtool -g`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rings {
    /// Descriptors that a receive queue can have.
    pub rx_max: u32,
    /// Descriptors that a send queue can have.
    pub tx_max: u32,
    /// Descriptors of a receive queue.
    pub rx: u32,
    /// Descriptors of a send queue.
    pub tx: u32,
}

/// Values of `key: value` lines below a heading, until the next heading.
fn section<'t>(text: &'t str, heading: &str) -> BTreeMap<&'t str, &'t str> {
    let below = text.lines().skip_while(|line| line.trim() != heading).skip(1);
    let pairs = below.map_while(|line| line.split_once(':').filter(|(_, value)| !value.trim().is_empty()));
    pairs.map(|(key, value)| (key.trim(), value.trim())).collect()
}

fn count(section: &BTreeMap<&str, &str>, key: &str) -> u32 {
    section.get(key).and_then(|value| value.parse().ok()).unwrap_or_default()
}

const MAXIMUMS: &str = "Pre-set maximums:";
const CURRENT: &str = "Current hardware settings:";

/// Reads `ethtool -l`.
#[must_use]
pub fn channels(text: &str) -> Option<Channels> {
    let counts = |heading| {
        let lines = section(text, heading);
        let counts = ChannelCounts {
            rx: count(&lines, "RX"),
            tx: count(&lines, "TX"),
            other: count(&lines, "Other"),
            combined: count(&lines, "Combined"),
        };
        (!lines.is_empty()).then_some(counts)
    };
    Some(Channels { max: counts(MAXIMUMS)?, current: counts(CURRENT)? })
}

/// Reads `ethtool -g`.
#[must_use]
pub fn rings(text: &str) -> Option<Rings> {
    let (maximums, current) = (section(text, MAXIMUMS), section(text, CURRENT));
    let known = !maximums.is_empty() && current.contains_key("RX");
    known.then(|| Rings {
        rx_max: count(&maximums, "RX"),
        tx_max: count(&maximums, "TX"),
        rx: count(&current, "RX"),
        tx: count(&current, "TX"),
    })
}

/// Reads one value of `ethtool -c`, by the name that `-C` takes.
#[must_use]
pub fn coalesce(text: &str, name: &str) -> Option<String> {
    let adaptive = |side| {
        let line = text.lines().find(|line| line.starts_with("Adaptive RX:"))?;
        let (_, after) = line.split_once(side)?;
        after.split_whitespace().next()
    };
    let value = match name {
        "adaptive-rx" => adaptive("RX:"),
        "adaptive-tx" => adaptive("TX:"),
        _ => text.lines().find_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == name)).map(|(_, v)| v),
    };
    value.map(str::trim).filter(|value| *value != "n/a").map(str::to_owned)
}

/// A feature of `ethtool -k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Whether it is on.
    pub is_on: bool,
    /// Whether the driver lets nobody change it.
    pub is_fixed: bool,
}

/// Reads one feature of `ethtool -k`, by its long name.
#[must_use]
pub fn feature(text: &str, name: &str) -> Option<Feature> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))?;
    let mut words = line.split_whitespace();
    let is_on = match words.next()? {
        "on" => true,
        "off" => false,
        _ => return None,
    };
    Some(Feature { is_on, is_fixed: line.contains("[fixed]") })
}

/// Reads a `name: on` line of `ethtool -a` or `--show-priv-flags`.
#[must_use]
pub fn flag(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == name))?.1.trim();
    matches!(value, "on" | "off").then(|| value.to_owned())
}

/// Reads a line of `ethtool -i`.
#[must_use]
pub fn driver_line(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// Reads the table of `ethtool -x`: which queue each bucket of the hash goes to.
#[must_use]
pub fn indirection(text: &str) -> Option<Vec<u32>> {
    let rows = text.lines().filter_map(|line| {
        let (index, queues) = line.split_once(':')?;
        index.trim().parse::<u32>().ok()?;
        queues.split_whitespace().map(|queue| queue.parse().ok()).collect::<Option<Vec<u32>>>()
    });
    let table: Vec<u32> = rows.flatten().collect();
    (!table.is_empty()).then_some(table)
}

/// An indirection table as `ethtool -X` takes it: `equal N` or `weight A B …`. `None` for a table that it cannot write.
#[must_use]
pub fn spread(table: &[u32]) -> Option<String> {
    let queues = table.iter().max()? + 1;
    if table.iter().zip((0..queues).cycle()).all(|(found, queue)| *found == queue) {
        return Some(format!("equal {queues}"));
    }
    if !table.is_sorted() {
        return None;
    }
    let weight = |queue: u32| table.iter().filter(|found| **found == queue).count().to_string();
    Some(format!("weight {}", (0..queues).map(weight).collect::<Vec<_>>().join(" ")))
}

/// What the fields of `ethtool -n NIC rx-flow-hash …` are called in `-N`.
const HASH_FIELDS: &[(&str, char)] = &[
    ("L2DA", 'm'),
    ("VLAN tag", 'v'),
    ("L3 proto", 't'),
    ("IP SA", 's'),
    ("IP DA", 'd'),
    ("L4 bytes 0 & 1", 'f'),
    ("L4 bytes 2 & 3", 'n'),
];

/// Reads `ethtool -n NIC rx-flow-hash …` into the letters that `-N` takes.
#[must_use]
pub fn flow_hash(text: &str) -> Option<String> {
    let fields = text.split_once("Hash flow key:")?.1;
    let named = HASH_FIELDS.iter().filter(|(field, _)| fields.lines().any(|line| line.trim().starts_with(field)));
    let letters: String = named.map(|(_, letter)| letter).collect();
    (!letters.is_empty()).then_some(letters)
}
