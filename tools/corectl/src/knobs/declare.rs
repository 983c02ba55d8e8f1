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
    /// Packet filters of a network namespace.
    Filter,
    /// The network stack, where all namespaces share it.
    Stack,
    /// Interrupts.
    Irq,
    /// Frequency, idle states and threads of CPUs.
    Cpu,
    /// Paging, huge pages, NUMA.
    Memory,
    /// The scheduler's and the kernel's own work.
    Kernel,
    /// Files that the service and its units read.
    Service,
    /// The kernel's command line.
    Boot,
    /// What is only looked at.
    Report,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.to_possible_value();
        f.pad(word.as_ref().map_or("", |word| word.get_name()))
    }
}

impl Group {
    /// All groups.
    pub const ALL: &'static [Group] = &[
        Group::Net,
        Group::Filter,
        Group::Stack,
        Group::Irq,
        Group::Cpu,
        Group::Memory,
        Group::Kernel,
        Group::Service,
        Group::Boot,
        Group::Report,
    ];

    /// Whether its settings are those of the network namespace that they are written in.
    #[must_use]
    pub fn is_of_namespace(self) -> bool {
        matches!(self, Group::Net | Group::Filter | Group::Report)
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
    /// One file of the kernel.
    HostFile(&'static str, Form),
    /// A file of every frequency policy, in `/sys/devices/system/cpu/cpufreq/policyN`.
    PolicyFile(&'static str),
    /// Idle states of every CPU that take longer to leave than the value, in microseconds.
    IdleStates,
    /// A file of every NUMA node, in `/sys/devices/system/node/nodeN`.
    NodeFile(&'static str),
    /// Whether a unit of systemd runs.
    Unit(&'static str),
    /// A parameter of the kernel's command line, by GRUB.
    Boot(&'static str),
    /// Ports whose connections are not tracked, by nftables.
    Untracked,
    /// A file that corectl writes.
    Document(Document),
    /// Nothing is written; what is found is said.
    ReportOnly,
}

/// A file that corectl writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// The map of cores, queues and interrupts that `cores = "profile"` reads.
    CoreMap,
    /// The CPUs of the service's slice.
    SliceCpus,
}

/// A knob.
#[derive(Debug, Clone, Copy)]
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

impl Knob {
    /// A knob whose value is the profile's; `words` are its reason and its source.
    pub(super) const fn new(
        name: &'static str,
        group: Group,
        risk: Risk,
        access: Access,
        words: (&'static str, &'static str),
    ) -> Self {
        Knob { name, group, risk, access, rule: Rule::Exact, reason: words.0, source: words.1 }
    }

    /// The same with another rule.
    pub(super) const fn ruled(self, rule: Rule) -> Self {
        Knob { rule, ..self }
    }

    /// Whether turning it gives a protection up, which an operator has to acknowledge.
    #[must_use]
    pub fn weakens(&self) -> bool {
        self.risk == Risk::Security || matches!(self.access, Access::Boot("mitigations" | "audit"))
    }
}
