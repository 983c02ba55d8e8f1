//! Why a topology file is refused.
//!
//! **Not**: the file's name, which only the reader of the file knows and puts in front.
//!
//! **Invariants**: every error names the line, the key, what was found, what is allowed, and what to do.
//!
//! **Source**: docs/config.md, "The topology file".

use thiserror::Error;

/// What is wrong with a topology file, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopologyFault {
    /// Not TOML.
    Syntax,
    /// The file is larger than any topology.
    FileTooLarge,
    /// A key that does not exist.
    UnknownKey,
    /// A key that must be there and is not.
    MissingKey,
    /// A value of another type than the key takes.
    WrongType,
    /// The cluster's name has characters or a length that are not allowed.
    BadCluster,
    /// The epoch is 0, negative or beyond 32 bits.
    BadEpoch,
    /// A node's id is 0, negative or beyond 32 bits.
    BadNodeId,
    /// Two nodes have the same id.
    DuplicateNodeId,
    /// An address is not an IP address and port that can be connected to.
    BadAddress,
    /// Two nodes have the same address.
    DuplicateAddress,
    /// A weight out of range.
    BadWeight,
    /// A zone's name has characters or a length that are not allowed.
    BadZone,
    /// The hash seed is negative.
    BadHashSeed,
    /// There is no node, or there are too many.
    NodeCount,
    /// A slot range that is malformed, out of order or out of range.
    BadSlots,
    /// Two assignments name the same slot.
    OverlappingSlots,
    /// An assignment to a node that the file does not list.
    UnknownNode,
}

impl TopologyFault {
    /// The stable snake_case name for metrics and status pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::FileTooLarge => "file_too_large",
            Self::UnknownKey => "unknown_key",
            Self::MissingKey => "missing_key",
            Self::WrongType => "wrong_type",
            Self::BadCluster => "bad_cluster",
            Self::BadEpoch => "bad_epoch",
            Self::BadNodeId => "bad_node_id",
            Self::DuplicateNodeId => "duplicate_node_id",
            Self::BadAddress => "bad_address",
            Self::DuplicateAddress => "duplicate_address",
            Self::BadWeight => "bad_weight",
            Self::BadZone => "bad_zone",
            Self::BadHashSeed => "bad_hash_seed",
            Self::NodeCount => "node_count",
            Self::BadSlots => "bad_slots",
            Self::OverlappingSlots => "overlapping_slots",
            Self::UnknownNode => "unknown_node",
        }
    }
}

/// Why a topology file is refused. The operator is at fault; the text says what to do, of the first fault; [`Self::all`] has all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {key}: found {found}; allowed: {allowed}; {remedy}")]
pub struct TopologyError {
    pub(super) line: u32,
    pub(super) fault: TopologyFault,
    pub(super) key: String,
    pub(super) found: String,
    pub(super) allowed: String,
    pub(super) remedy: String,
    /// Further faults, by line.
    pub(super) more: Box<[TopologyError]>,
}

impl TopologyError {
    /// Several faults as one error; `None` for none.
    pub(super) fn of(faults: &[Self]) -> Option<Self> {
        let is_misspelt = |fault: &Self| {
            let name = fault.key.rsplit('.').next().unwrap_or_default();
            let suggestion = format!("did you mean {name}?");
            fault.fault == TopologyFault::MissingKey && faults.iter().any(|other| other.remedy == suggestion)
        };
        // What is missing because it is misspelt is one fault.
        let mut faults: Vec<Self> = faults.iter().filter(|fault| !is_misspelt(fault)).cloned().collect();
        faults.sort_by_key(|fault| fault.line);
        let mut faults = faults.into_iter();
        let first = faults.next()?;
        Some(Self { more: faults.collect(), ..first })
    }

    /// Every fault of the file, by line: this one first.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.more)
    }

    /// The line at fault, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line as usize
    }

    /// The kind of fault.
    #[must_use]
    pub const fn fault(&self) -> TopologyFault {
        self.fault
    }

    /// The key at fault, such as `node.weight`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}
