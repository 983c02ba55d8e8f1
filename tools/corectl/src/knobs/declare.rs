//! What a declaration of a knob says.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::ethtool::NicItem;
use crate::setting::{Form, VectorSide};

/// What can go wrong with a setting. Each class allows those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Nothing: no traffic is interrupted, and other programs do not notice.
    Safe,
    /// Packets may be lost for a moment, or other programs of the host become slower.
    Perf,
    /// A protection is weakened.
    Security,
    /// It needs a reboot, and a wrong value may keep the host from starting.
    Reboot,
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Risk::Safe => "safe",
            Risk::Perf => "perf",
            Risk::Security => "security",
            Risk::Reboot => "reboot",
        })
    }
}

/// What a setting is about; `--only` selects by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// What belongs to a network namespace: its sysctls and its network cards.
    Net,
    /// Interrupts.
    Irq,
}

impl Group {
    /// All groups.
    pub const ALL: &'static [Group] = &[Group::Net, Group::Irq];

    /// Whether its settings are those of the network namespace that they are written in.
    #[must_use]
    pub fn is_of_namespace(self) -> bool {
        self == Group::Net
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Group::Net => "net",
            Group::Irq => "irq",
        })
    }
}

/// How a profile's value meets what a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The profile's value.
    Exact,
    /// The larger of the two, number by number: a value that was raised is never lowered.
    AtLeast,
    /// The smaller of the two.
    AtMost,
    /// The first number not above, the second not below what is there.
    Widen,
}

impl Rule {
    /// As documentation says it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Rule::Exact => "as the profile says",
            Rule::AtLeast => "never lowers a larger value",
            Rule::AtMost => "never raises a smaller value",
            Rule::Widen => "never narrows the range",
        }
    }
}

/// A setting that `ethtool` reaches; [`NicItem`] with names known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// See [`NicItem::Channels`].
    Channels,
    /// See [`NicItem::RingRx`].
    RingRx,
    /// See [`NicItem::RingTx`].
    RingTx,
    /// See [`NicItem::Feature`].
    Feature(&'static str),
    /// See [`NicItem::Rss`].
    Rss,
    /// See [`NicItem::FlowHash`].
    FlowHash(&'static str),
    /// See [`NicItem::Pause`].
    Pause(&'static str),
    /// See [`NicItem::PrivateFlag`].
    PrivateFlag(&'static str),
    /// See [`NicItem::Coalesce`].
    Coalesce(&'static str),
}

impl Tool {
    /// The item of a card.
    #[must_use]
    pub fn item(self) -> NicItem {
        match self {
            Tool::Channels => NicItem::Channels,
            Tool::RingRx => NicItem::RingRx,
            Tool::RingTx => NicItem::RingTx,
            Tool::Feature(name) => NicItem::Feature(name.into()),
            Tool::Rss => NicItem::Rss,
            Tool::FlowHash(kind) => NicItem::FlowHash(kind.into()),
            Tool::Pause(name) => NicItem::Pause(name.into()),
            Tool::PrivateFlag(name) => NicItem::PrivateFlag(name.into()),
            Tool::Coalesce(name) => NicItem::Coalesce(name.into()),
        }
    }
}

/// How a knob is read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The file below `/proc/sys` that its name says.
    Sysctl,
    /// A file of every card, in `/sys/class/net/NIC`.
    NicFile(&'static str),
    /// A file of every queue of every card.
    QueueFile {
        /// `rx` or `tx`.
        side: &'static str,
        /// The file.
        file: &'static str,
        /// How its text is compared.
        form: Form,
    },
    /// A setting of every card, by `ethtool`.
    NicTool(Tool),
    /// The interrupt of every queue.
    QueueIrq(VectorSide),
}

/// A knob.
#[derive(Debug)]
pub struct Knob {
    /// Its name in profiles.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// What can go wrong.
    pub risk: Risk,
    /// How it is read and written.
    pub access: Access,
    /// How a profile's value meets the host's.
    pub rule: Rule,
    /// Why one would turn it.
    pub reason: &'static str,
    /// Where that is documented.
    pub source: &'static str,
}
