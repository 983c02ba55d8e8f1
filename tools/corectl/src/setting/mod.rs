//! A setting of a host: where it is, how its text is compared, and in which order settings are written.
//!
//! | address | read | written |
//! |---|---|---|
//! | `file` | a file of the kernel | one write to it |
//! | `nic` | `ethtool` | `ethtool` |
//! | `irq` | the vectors of a queue, found by name at that moment | `smp_affinity_list` |
//! | `stored` | an ordinary file; not there is a value of its own | replaced as a whole; systemd reads its files again |
//! | `unit` | whether a unit runs | `systemctl start`, `stop` |
//! | `boot` | our file for GRUB; in force is `/proc/cmdline` | the file, then `update-grub` |
//! | `untracked` | our table of nftables | replaced as a whole |
//!
//! **Invariants**: an address stays right when the driver numbers its interrupts anew. What is written can be read back by the same
//! address, and the reading written again.
//!
//! **Source**: Documentation/core-api/irq/irq-affinity.rst, Documentation/networking/scaling.rst of Linux.

mod access;
mod boot;
mod unit;
mod untracked;
pub mod vectors;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use access::{effective, read, settle, take_back, write};

use crate::cpu_list::CpuList;
use crate::ethtool::NicItem;

/// How the text of a file is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Words; how much space is between them means nothing.
    Words,
    /// A mask of CPUs, kept as a list.
    CpuMask,
    /// A list of CPUs.
    CpuList,
    /// Words of which one, in brackets, is the value.
    Choice,
}

/// Which interrupt of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VectorSide {
    /// The one of its receive side, also where the send side shares it.
    Rx,
    /// The one of its send side, where it has one of its own.
    Tx,
}

/// Where a setting is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SettingAddress {
    /// A file of the kernel.
    File {
        /// Its path.
        path: String,
        /// How its text is compared.
        form: Form,
    },
    /// A setting of a network card.
    Nic {
        /// The interface.
        nic: String,
        /// Which one.
        item: NicItem,
    },
    /// The CPUs that may take a queue's interrupt.
    Irq {
        /// The interface.
        nic: String,
        /// The queue, from 0.
        queue: u32,
        /// Which of its interrupts.
        side: VectorSide,
    },
    /// An ordinary file.
    Stored {
        /// Its path.
        path: String,
    },
    /// A unit of systemd: `active` or `inactive`.
    Unit {
        /// Its name.
        unit: String,
    },
    /// A parameter of the kernel's command line; empty where it is not given.
    Boot {
        /// Its name.
        parameter: String,
    },
    /// Ports whose connections are not tracked, as `8080 8443`; empty for none.
    Untracked,
}

/// What was found at an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingReading {
    /// A value, in the form in which it is written.
    Value(String),
    /// A value that cannot be changed, or could not be put back.
    Fixed(String),
    /// This host has no such setting, or no such file yet.
    Absent,
    /// It is there and cannot be read; the text says why.
    Unreadable(String),
}

impl SettingReading {
    /// The value, if there is one that can be written.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        match self {
            SettingReading::Value(value) => Some(value),
            _ => None,
        }
    }
}

impl SettingReading {
    /// Whether it shows a value, be it one that can be changed or not.
    #[must_use]
    pub fn shows(&self, wanted: &str) -> bool {
        matches!(self, SettingReading::Value(value) | SettingReading::Fixed(value) if value == wanted)
    }
}

/// A value as people read it: that of a file by its length.
#[must_use]
pub fn shown(value: &str) -> String {
    match value.lines().count() {
        0 => "none".into(),
        1 => value.into(),
        lines => format!("{lines} lines"),
    }
}

impl fmt::Display for SettingReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingReading::Value(value) => f.write_str(&shown(value)),
            SettingReading::Fixed(value) => write!(f, "{value} (fixed)"),
            SettingReading::Absent => f.write_str("absent"),
            SettingReading::Unreadable(why) => write!(f, "unreadable: {why}"),
        }
    }
}

/// A setting may not be written before those of a smaller number: a driver that gets other queues forgets what was said of the old
/// ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WriteOrder {
    /// Files of the kernel that no other setting resets.
    Kernel,
    /// `ethtool -L`.
    Channels,
    /// `ethtool -G`.
    Rings,
    /// `ethtool -K` and private flags.
    Features,
    /// `ethtool -X` and `-N`.
    Spreading,
    /// Interrupts.
    Interrupts,
    /// XPS, RPS and other files of queues and interfaces.
    Queues,
    /// `ethtool -C` and `-A`.
    Coalescing,
    /// Files that others read: written when what they describe is so.
    Stored,
    /// The kernel's command line.
    Boot,
}

impl SettingAddress {
    /// When it is written, and put back.
    #[must_use]
    pub fn order(&self) -> WriteOrder {
        match self {
            SettingAddress::File { path, .. } if path.starts_with("/sys/class/net/") => WriteOrder::Queues,
            SettingAddress::File { .. } => WriteOrder::Kernel,
            SettingAddress::Irq { .. } => WriteOrder::Interrupts,
            SettingAddress::Stored { .. } => WriteOrder::Stored,
            SettingAddress::Boot { .. } => WriteOrder::Boot,
            SettingAddress::Unit { .. } | SettingAddress::Untracked => WriteOrder::Kernel,
            SettingAddress::Nic { item, .. } => match item {
                NicItem::Channels => WriteOrder::Channels,
                NicItem::RingRx | NicItem::RingTx => WriteOrder::Rings,
                NicItem::Feature(_) | NicItem::PrivateFlag(_) => WriteOrder::Features,
                NicItem::Rss | NicItem::FlowHash(_) => WriteOrder::Spreading,
                NicItem::Coalesce(_) | NicItem::Pause(_) => WriteOrder::Coalescing,
            },
        }
    }

    /// Whether it is still there after a reboot.
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        matches!(self, SettingAddress::Stored { .. } | SettingAddress::Boot { .. })
    }

    /// The network card it belongs to.
    #[must_use]
    pub fn nic(&self) -> Option<&str> {
        match self {
            SettingAddress::Nic { nic, .. } | SettingAddress::Irq { nic, .. } => Some(nic),
            SettingAddress::File { path, .. } => path.strip_prefix("/sys/class/net/")?.split('/').next(),
            SettingAddress::Stored { .. }
            | SettingAddress::Unit { .. }
            | SettingAddress::Boot { .. }
            | SettingAddress::Untracked => None,
        }
    }

    /// The same setting of another network card; itself where it belongs to none.
    #[must_use]
    pub fn on_nic(&self, name: &str) -> Self {
        match self {
            SettingAddress::Nic { item, .. } => SettingAddress::Nic { nic: name.into(), item: item.clone() },
            SettingAddress::Irq { queue, side, .. } => {
                SettingAddress::Irq { nic: name.into(), queue: *queue, side: *side }
            }
            SettingAddress::File { path, form } => match self.nic() {
                Some(nic) => {
                    let rest = &path["/sys/class/net/".len() + nic.len()..];
                    SettingAddress::File { path: format!("/sys/class/net/{name}{rest}"), form: *form }
                }
                None => self.clone(),
            },
            other => other.clone(),
        }
    }

    /// Whether a value that was there before is back. The file of a slice's partition is there only while the slice has CPUs of its
    /// own; without them it is a member like every other.
    #[must_use]
    pub fn is_back(&self, found: &SettingReading, prior: &SettingReading) -> bool {
        let is_partition =
            matches!(self, SettingAddress::File { path, .. } if path.ends_with("/cpuset.cpus.partition"));
        found == prior || (is_partition && prior.value() == Some("member") && *found == SettingReading::Absent)
    }

    /// Whether it is written only when the change is confirmed: the kernel acts on it at the next boot, confirmed or not.
    #[must_use]
    pub fn waits_for_confirmation(&self) -> bool {
        matches!(self, SettingAddress::Boot { .. })
    }

    /// Whether writing it makes drivers forget other settings of the card.
    #[must_use]
    pub fn resets_others(&self) -> bool {
        matches!(self.order(), WriteOrder::Channels | WriteOrder::Rings | WriteOrder::Features | WriteOrder::Spreading)
    }

    /// Text of a file in the form in which values are compared.
    #[must_use]
    pub fn normal(&self, text: &str) -> String {
        let words = || text.split_whitespace().collect::<Vec<_>>().join(" ");
        match self {
            SettingAddress::File { form: Form::CpuMask, .. } => {
                CpuList::from_mask(text).map_or_else(words, |list| list.to_string())
            }
            SettingAddress::File { form: Form::CpuList, .. } | SettingAddress::Irq { .. } => {
                CpuList::from_list(text).map_or_else(words, |list| list.to_string())
            }
            SettingAddress::File { form: Form::Choice, .. } => {
                let chosen = text.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
                chosen.map_or_else(words, str::to_owned)
            }
            SettingAddress::File { form: Form::Words, .. }
            | SettingAddress::Nic { .. }
            | SettingAddress::Unit { .. }
            | SettingAddress::Boot { .. }
            | SettingAddress::Untracked => words(),
            SettingAddress::Stored { .. } => text.to_owned(),
        }
    }
}

impl fmt::Display for SettingAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingAddress::File { path, .. } | SettingAddress::Stored { path } => f.write_str(path),
            SettingAddress::Unit { unit } => f.write_str(unit),
            SettingAddress::Boot { parameter } => write!(f, "kernel parameter {parameter}"),
            SettingAddress::Untracked => f.write_str("nftables table inet corelane_tune"),
            SettingAddress::Nic { nic, item } => write!(f, "ethtool {} {nic}", item.set_option()),
            SettingAddress::Irq { nic, queue, side: VectorSide::Rx } => write!(f, "interrupt of {nic} queue {queue}"),
            SettingAddress::Irq { nic, queue, side: VectorSide::Tx } => {
                write!(f, "interrupt of {nic} queue {queue}, send")
            }
        }
    }
}
