//! Settings of a network card that only `ethtool` reaches, read and written.
//!
//! **Not**: ioctls or netlink of our own, which need `unsafe` or a library that lacks half of this.
//!
//! **Source**: ethtool(8).

mod text;

use serde::{Deserialize, Serialize};

pub use text::{
    ChannelCounts, Channels, Feature, Rings, channels, coalesce, driver_line, feature, flag, flow_hash, indirection,
    rings, spread,
};

use crate::host::{HostAccess, HostError};
use crate::setting::SettingReading;

/// A setting of a network card.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NicItem {
    /// Numbers of queues (`-L`), as `combined 4` or `rx 4 tx 4`.
    Channels,
    /// Descriptors of a receive queue (`-G rx`).
    RingRx,
    /// Descriptors of a send queue (`-G tx`).
    RingTx,
    /// An offload or filter, by the name in `-k` (`-K`).
    Feature(String),
    /// Which queue a hash leads to (`-X`), as `equal 4` or `weight 1 1`.
    Rss,
    /// The fields that are hashed, for a kind of traffic such as `tcp4` (`-N … rx-flow-hash`).
    FlowHash(String),
    /// Ethernet pause frames: `autoneg`, `rx` or `tx` (`-A`).
    Pause(String),
    /// A flag that only this driver has (`--set-priv-flags`).
    PrivateFlag(String),
    /// When an interrupt is raised, by the name in `-C`.
    Coalesce(String),
}

impl NicItem {
    /// The option that shows it.
    #[must_use]
    pub fn show_option(&self) -> &'static str {
        match self {
            NicItem::Channels => "-l",
            NicItem::RingRx | NicItem::RingTx => "-g",
            NicItem::Feature(_) => "-k",
            NicItem::Rss => "-x",
            NicItem::FlowHash(_) => "-n",
            NicItem::Pause(_) => "-a",
            NicItem::PrivateFlag(_) => "--show-priv-flags",
            NicItem::Coalesce(_) => "-c",
        }
    }

    /// The option that sets it.
    #[must_use]
    pub fn set_option(&self) -> &'static str {
        match self {
            NicItem::Channels => "-L",
            NicItem::RingRx | NicItem::RingTx => "-G",
            NicItem::Feature(_) => "-K",
            NicItem::Rss => "-X",
            NicItem::FlowHash(_) => "-N",
            NicItem::Pause(_) => "-A",
            NicItem::PrivateFlag(_) => "--set-priv-flags",
            NicItem::Coalesce(_) => "-C",
        }
    }
}

/// The text of a showing option; `None` when the driver does not support it.
///
/// # Errors
/// ethtool could not be run.
pub fn show(host: &dyn HostAccess, arguments: &[&str]) -> Result<Option<String>, HostError> {
    let output = host.run("ethtool", arguments)?;
    Ok((output.status == 0).then_some(output.stdout))
}

/// Reads a setting.
#[must_use]
pub fn read(host: &dyn HostAccess, nic: &str, item: &NicItem) -> SettingReading {
    let mut arguments = vec![item.show_option(), nic];
    if let NicItem::FlowHash(kind) = item {
        arguments.extend(["rx-flow-hash", kind.as_str()]);
    }
    match show(host, &arguments) {
        Ok(Some(text)) => reading(&text, item),
        Ok(None) => SettingReading::Absent,
        Err(error) if error.is_absent() => SettingReading::Absent,
        Err(error) => SettingReading::Unreadable(error.to_string()),
    }
}

fn reading(text: &str, item: &NicItem) -> SettingReading {
    let value = match item {
        NicItem::Channels => channels(text).map(|channels| channels.setting()),
        NicItem::RingRx => rings(text).map(|rings| rings.rx.to_string()),
        NicItem::RingTx => rings(text).map(|rings| rings.tx.to_string()),
        NicItem::Coalesce(name) => coalesce(text, name),
        NicItem::FlowHash(_) => flow_hash(text),
        NicItem::Pause(name) => flag(text, pause_name(name)),
        NicItem::PrivateFlag(name) => flag(text, name),
        NicItem::Feature(name) => {
            let Some(feature) = feature(text, name) else { return SettingReading::Absent };
            let value = if feature.is_on { "on" } else { "off" }.to_owned();
            return if feature.is_fixed { SettingReading::Fixed(value) } else { SettingReading::Value(value) };
        }
        NicItem::Rss => {
            let Some(table) = indirection(text) else { return SettingReading::Absent };
            return spread(&table).map_or_else(|| SettingReading::Fixed(NO_SPREAD.into()), SettingReading::Value);
        }
    };
    value.map_or(SettingReading::Absent, SettingReading::Value)
}

/// A table that could not be put back.
const NO_SPREAD: &str = "a table that ethtool cannot write";

fn pause_name(name: &str) -> &'static str {
    match name {
        "rx" => "RX",
        "tx" => "TX",
        _ => "Autonegotiate",
    }
}

/// Writes a setting. What the card has already is not written again: ethtool makes an error of that.
///
/// # Errors
/// ethtool is not installed, or the driver refuses.
pub fn write(host: &dyn HostAccess, nic: &str, item: &NicItem, value: &str) -> Result<(), HostError> {
    let words: Vec<String> = match item {
        NicItem::Channels => channel_arguments(host, nic, value)?,
        NicItem::Rss => value.split_whitespace().map(str::to_owned).collect(),
        NicItem::RingRx => vec!["rx".into(), value.into()],
        NicItem::RingTx => vec!["tx".into(), value.into()],
        NicItem::FlowHash(kind) => vec!["rx-flow-hash".into(), kind.clone(), value.into()],
        NicItem::Feature(name) | NicItem::Pause(name) | NicItem::PrivateFlag(name) | NicItem::Coalesce(name) => {
            vec![name.clone(), value.into()]
        }
    };
    if words.is_empty() {
        return Ok(());
    }
    if *item == NicItem::Channels {
        spread_by_default(host, nic);
    }
    let mut arguments = vec![item.set_option(), nic];
    arguments.extend(words.iter().map(String::as_str));
    let what = format!("ethtool {}", arguments.join(" "));
    host.run("ethtool", &arguments)?.success(&what).map(drop)
}

/// Lets the driver spread connections over its queues, whatever their number: of a table that somebody has set, the kernel refuses
/// every smaller number of queues ("requested channel counts are too low for existing indirection table settings"), and with a larger
/// one the new queues get nothing. A table that could not be written again is left alone.
fn spread_by_default(host: &dyn HostAccess, nic: &str) {
    if matches!(read(host, nic, &NicItem::Rss), SettingReading::Value(_)) {
        // A driver that cannot do it says so when the number of queues is written.
        let _ = host.run("ethtool", &["-X", nic, "default"]);
    }
}

/// What `-L` needs to get from what is there to `value`: kinds that it does not name are no longer wanted.
fn channel_arguments(host: &dyn HostAccess, nic: &str, value: &str) -> Result<Vec<String>, HostError> {
    let what = format!("ethtool -l {nic}");
    let text = host.run("ethtool", &["-l", nic])?.success(&what)?;
    let channels = channels(&text).ok_or_else(|| HostError::refused(what, &"unknown text"))?;
    let words: Vec<&str> = value.split_whitespace().collect();
    let wanted = |kind: &str| {
        let at = words.iter().position(|word| *word == kind);
        at.and_then(|at| words.get(at + 1)?.parse::<u32>().ok()).unwrap_or_default()
    };
    let (max, current) = (channels.max, channels.current);
    let kinds = [("rx", max.rx, current.rx), ("tx", max.tx, current.tx), ("combined", max.combined, current.combined)];
    let differing = kinds.into_iter().filter(|&(kind, max, current)| max > 0 && wanted(kind) != current);
    Ok(differing.flat_map(|(kind, ..)| [kind.to_owned(), wanted(kind).to_string()]).collect())
}
